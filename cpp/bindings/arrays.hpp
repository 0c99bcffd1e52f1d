// Every conversion and check of a NumPy array that Python gives to the core.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <string>
#include <vector>

#include "base/growing_buffer.hpp"
#include "scalars.hpp"

namespace makemore::bindings {

using FloatArray = py::array_t<float, py::array::c_style>;
using Shape = std::vector<int64_t>;

// A dimension that may have any length.
constexpr int64_t kAny = -1;

// `name` is what errors call the array.  Every function throws TypeError for another type and
// ArgumentError for another shape.

// A float32 array that is only read: a copy of it when it is not contiguous.
FloatArray float_input(const char* name, py::handle value, const Shape& shape);

// Any real numbers, in an array or in lists, rounded to float32.  ArgumentError also for a number
// beyond the range of float32.
FloatArray floats_of(const char* name, py::handle value, const Shape& shape);

// A float32 array that is written in place: contiguous and writable, never a copy.
FloatArray float_in_place(const char* name, py::handle value, const Shape& shape);
FloatArray float_in_place(const char* name, py::handle value);  // of any shape

// Throws ArgumentError when two arrays share memory, of which one is written in place.
void check_apart(const char* a_name, const FloatArray& a, const char* b_name, const FloatArray& b);

// The memory that a call writes in place.  While the object lives, no other call may write there,
// neither in another thread nor in a function that the call calls back.
class WrittenMemory {
 public:
  WrittenMemory() = default;
  ~WrittenMemory();
  WrittenMemory(const WrittenMemory&) = delete;
  WrittenMemory& operator=(const WrittenMemory&) = delete;

  // Adds the array's memory.  ArgumentError where another call writes any of it.
  void claim(const std::string& name, const py::array& array);
};

// An array of floats or integers of any type, as float64.
using DoubleArray = py::array_t<double, py::array::c_style>;
DoubleArray numbers_of(const char* name, py::handle value, const Shape& shape);

// An array of integers of any type, as int32.  An array that is int32 and contiguous is taken as it
// is, unchecked; any other is converted, with a check that every value is in [0, limit).
struct Tokens {
  py::array_t<int32_t, py::array::c_style> array;
  const int32_t* data() const { return array.data(); }
  std::vector<int32_t> copy() const { return {array.data(), array.data() + array.size()}; }
};
Tokens tokens_of(const char* name, py::handle value, const Shape& shape, int64_t limit);

// An array (steps, B) of integers of any type, the numbers of examples, as int64.  RangeError for a
// value that int64 cannot hold; whether it is in [0, n_examples) is checked where it is used.
using RowArray = py::array_t<int64_t, py::array::c_style>;
RowArray rows_of(py::handle value, int64_t steps, int64_t n_examples);

Shape shape_of(const py::array& array);

// A shape as errors show it, with letters for the sizes that are kAny.
std::string text_of(const Shape& shape);

// A new array, whose elements are not set.
FloatArray new_floats(const Shape& shape);

// A new array that holds a copy of the values.  (pybind11's constructor from values returns no
// error where there is no memory.)
template <typename T>
py::array_t<T> array_of(const T* values, const Shape& shape) {
  py::array_t<T> array(shape);
  std::copy_n(values, array.size(), array.mutable_data());
  return array;
}
template <typename T>
py::array_t<T> array_of(const std::vector<T>& values) {
  return array_of(values.data(), {std::ssize(values)});
}
// A new array that takes over the memory of the values.
template <typename T>
py::array_t<T> array_of(GrowingBuffer<T>& values) {
  const int64_t n = values.size();
  if (n == 0) return py::array_t<T>(0);
  const py::capsule owner(values.data(), std::free);
  return py::array_t<T>(n, values.give_away(), owner);
}

}  // namespace makemore::bindings
