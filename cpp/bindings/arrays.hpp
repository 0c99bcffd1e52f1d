// From Python's objects to the core's pointers and sizes: every conversion and check of arguments.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

namespace makemore::bindings {

namespace py = pybind11;

using FloatArray = py::array_t<float, py::array::c_style>;
using Shape = std::vector<int64_t>;

// A dimension that may have any length.
constexpr int64_t kAny = -1;

// An integer (anything with __index__).  TypeError for another type, ArgumentError out of int64.
int64_t integer(const char* name, py::handle value);

// A seed: an integer in [0, 2^64).
uint64_t seed_of(const char* name, py::handle value);

// None is 0, all available threads.
int threads_of(py::handle value);

// A float32 array that is only read: a copy of it when it is not contiguous.
// TypeError for another type, ArgumentError for another shape.
FloatArray float_input(const char* name, py::handle value, const Shape& shape);

// A float32 array that is written in place: contiguous and writable, never a copy.
FloatArray float_in_place(const char* name, py::handle value, const Shape& shape);

// An array of integers of any type, as int32.  Where it is not int32 and contiguous already it is
// converted, after a check that every value is in [0, limit).
struct Tokens {
  py::array_t<int32_t, py::array::c_style> array;
  const int32_t* data() const { return array.data(); }
  std::vector<int32_t> copy() const { return {array.data(), array.data() + array.size()}; }
};
Tokens tokens_of(const char* name, py::handle value, const Shape& shape, int64_t limit);

// Throws ArgumentError unless the array has this shape.
void check_shape(const char* name, const py::array& array, const Shape& expected);

// A new array.
FloatArray new_floats(const Shape& shape);

// Runs Python's signal handlers now and then, from a thread that has released the GIL.
class SignalPoll {
 public:
  // Throws the handler's exception.
  void operator()();

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

}  // namespace makemore::bindings
