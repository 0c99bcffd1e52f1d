// The conversions behind arrays.hpp.
#include "arrays.hpp"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <mutex>
#include <string>
#include <utility>

#include "base/check.hpp"
#include "base/utf8.hpp"
#include "makemore/error.hpp"

namespace makemore::bindings {

namespace {

// The dtype as errors show it, shortened: that of a structured array may be long.
std::string shown_type(const py::array& array) {
  return show_text(std::string(py::str(array.dtype())));
}

void check_shape(const char* name, const py::array& array, const Shape& expected) {
  const Shape shape = shape_of(array);
  bool fits = shape.size() == expected.size();
  for (size_t i = 0; fits && i < shape.size(); ++i) {
    fits = expected[i] == kAny || shape[i] == expected[i];
  }
  if (!fits) {
    throw ArgumentError(std::string(name) + " has the shape " + text_of(shape) + "; it must be " +
                        text_of(expected));
  }
}

// The value as an array, where NumPy can make one whose dtype.kind is among `kinds`.
py::array array_of_kinds(const char* name, py::handle value, const std::string& kinds,
                         const std::string& elements) {
  // py::array::ensure does the same but loses the error.
  const auto array = py::reinterpret_steal<py::array>(py::detail::npy_api::get().PyArray_FromAny_(
      value.ptr(), nullptr, 0, 0, py::detail::npy_api::NPY_ARRAY_ENSUREARRAY_, nullptr));
  if (!array) {
    clear_error_of_value();
    throw py::type_error(std::string(name) + " must be an array of " + elements + ", not " +
                         type_name(value));
  }
  if (kinds.find(array.dtype().kind()) == std::string::npos) {
    throw py::type_error(std::string(name) + " must hold " + elements + ", not " +
                         shown_type(array));
  }
  return array;
}

py::array_t<float> float_array(const char* name, py::handle value) {
  if (!py::isinstance<py::array>(value)) {
    throw py::type_error(std::string(name) + " must be a float32 array, not " + type_name(value));
  }
  if (!py::isinstance<py::array_t<float>>(value)) {
    throw py::type_error(std::string(name) + " must be a float32 array, not one of " +
                         shown_type(py::reinterpret_borrow<py::array>(value)));
  }
  return py::reinterpret_borrow<py::array_t<float>>(value);
}

// NumPy's own conversion.  (An array's method `copy` may be a subclass's, which returns anything.)
template <typename T>
using Converted = py::array_t<T, py::array::c_style | py::array::forcecast |
                                     py::detail::npy_api::NPY_ARRAY_ALIGNED_>;

bool is_plain(const py::array& array) {
  constexpr int kPlain =
      py::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_ | py::detail::npy_api::NPY_ARRAY_ALIGNED_;
  return (array.flags() & kPlain) == kPlain;
}

}  // namespace

Shape shape_of(const py::array& array) { return {array.shape(), array.shape() + array.ndim()}; }

std::string text_of(const Shape& shape) {
  constexpr const char* kLetters[] = {"N", "M", "K"};
  std::string text = "(";
  for (size_t i = 0; i < shape.size(); ++i) {
    if (i > 0) text += ", ";
    text += shape[i] == kAny ? kLetters[i] : std::to_string(shape[i]);
  }
  return text + (shape.size() == 1 ? ",)" : ")");
}

FloatArray float_input(const char* name, py::handle value, const Shape& shape) {
  const py::array_t<float> array = float_array(name, value);
  check_shape(name, array, shape);
  if (is_plain(array)) return py::reinterpret_borrow<FloatArray>(array);
  return Converted<float>(array);
}

FloatArray floats_of(const char* name, py::handle value, const Shape& shape) {
  if (py::isinstance<py::array_t<float>>(value)) return float_input(name, value, shape);
  const DoubleArray numbers = numbers_of(name, value, shape);
  for (py::ssize_t i = 0; i < numbers.size(); ++i) {
    const double value = numbers.data()[i];
    if (std::isfinite(value) && std::abs(value) > std::numeric_limits<float>::max()) {
      throw ArgumentError(std::string(name) + " holds " + shown(value) +
                          ", which is beyond the range of float32");
    }
  }
  return Converted<float>(numbers);
}

FloatArray float_in_place(const char* name, py::handle value) {
  const py::array_t<float> array = float_array(name, value);
  if (!is_plain(array)) {
    throw ArgumentError(std::string(name) +
                        " is written in place and must be C-contiguous and aligned");
  }
  if (!array.writeable()) {
    throw ArgumentError(std::string(name) + " is written in place but is read-only");
  }
  return py::reinterpret_borrow<FloatArray>(array);
}

FloatArray float_in_place(const char* name, py::handle value, const Shape& shape) {
  check_shape(name, float_array(name, value), shape);
  return float_in_place(name, value);
}

void check_apart(const char* a_name, const FloatArray& a, const char* b_name, const FloatArray& b) {
  const auto a_begin = reinterpret_cast<uintptr_t>(a.data());
  const auto b_begin = reinterpret_cast<uintptr_t>(b.data());
  if (a_begin < b_begin + static_cast<size_t>(b.nbytes()) &&
      b_begin < a_begin + static_cast<size_t>(a.nbytes())) {
    throw ArgumentError(std::string(a_name) + " and " + b_name +
                        " share memory, which is written in place: pass a copy of one of them");
  }
}

namespace {

// Memory that a call has claimed.
struct Claim {
  const WrittenMemory* owner;
  uintptr_t begin, end;
  pid_t process;  // in a child forked meanwhile the call never ends, so its claims do not count
};
std::vector<Claim> claims;
// Guards `claims`.  A thread that holds it calls nothing of Python, so that no fork finds it
// locked: Python forks when all its other threads wait or are outside of it.
std::mutex claims_mutex;

}  // namespace

void WrittenMemory::claim(const std::string& name, const py::array& array) {
  const auto begin = reinterpret_cast<uintptr_t>(array.data());
  const Claim claim{this, begin, begin + static_cast<size_t>(array.nbytes()), ::getpid()};
  const std::lock_guard<std::mutex> lock(claims_mutex);
  for (const Claim& other : claims) {
    if (other.owner != this && other.process == claim.process && other.begin < claim.end &&
        claim.begin < other.end) {
      throw ArgumentError(name + " is written in place by another call, which has not ended");
    }
  }
  claims.push_back(claim);
}

WrittenMemory::~WrittenMemory() {
  const std::lock_guard<std::mutex> lock(claims_mutex);
  std::erase_if(claims, [this](const Claim& claim) { return claim.owner == this; });
}

DoubleArray numbers_of(const char* name, py::handle value, const Shape& shape) {
  const py::array array = array_of_kinds(name, value, "fiu", "real numbers");
  check_shape(name, array, shape);
  return Converted<double>(array);
}

namespace {

template <typename Integer>
void convert_tokens(int32_t* out, const char* name, const py::array& from, int64_t limit) {
  const Converted<Integer> values(from);
  const int64_t columns = from.ndim() < 2 ? -1 : static_cast<int64_t>(from.shape(1));
  for (int64_t i = 0; i < static_cast<int64_t>(values.size()); ++i) {
    const Integer value = values.data()[i];
    if (value < 0 || static_cast<uint64_t>(value) >= static_cast<uint64_t>(limit)) {
      throw_token_error(name, std::to_string(value), columns < 0 ? i : i / columns,
                        columns < 0 ? -1 : i % columns, limit);
    }
    out[i] = static_cast<int32_t>(value);
  }
}

}  // namespace

Tokens tokens_of(const char* name, py::handle value, const Shape& shape, int64_t limit) {
  const py::array array = array_of_kinds(name, value, "iu", "integers");
  check_shape(name, array, shape);
  if (py::isinstance<py::array_t<int32_t>>(array) && is_plain(array)) {
    return {py::reinterpret_borrow<py::array_t<int32_t, py::array::c_style>>(array)};
  }
  py::array_t<int32_t, py::array::c_style> converted(shape_of(array));
  if (array.dtype().kind() == 'i') {
    convert_tokens<int64_t>(converted.mutable_data(), name, array, limit);
  } else {
    convert_tokens<uint64_t>(converted.mutable_data(), name, array, limit);
  }
  return {std::move(converted)};
}

RowArray rows_of(py::handle value, int64_t steps, int64_t n_examples) {
  const py::array array = array_of_kinds("rows", value, "iu", "integers");
  check_shape("rows", array, {steps, kAny});
  const int64_t B = array.shape(1);
  if (B == 0) throw ArgumentError("rows has no columns, so its batches are empty");
  if (array.dtype().kind() == 'u') {
    const Converted<uint64_t> values(array);
    for (int64_t i = 0; i < steps * B; ++i) {
      const uint64_t row = values.data()[i];
      if (std::in_range<int64_t>(row)) continue;
      throw RangeError("row " + std::to_string(row) + " at rows[" + std::to_string(i / B) + ", " +
                       std::to_string(i % B) + "] is outside the examples [0, " +
                       std::to_string(n_examples) + ")");
    }
  }
  return Converted<int64_t>(array);
}

FloatArray new_floats(const Shape& shape) {
  int64_t bytes = sizeof(float);
  for (const int64_t size : shape) {
    if (__builtin_mul_overflow(bytes, std::max<int64_t>(size, 1), &bytes)) {
      throw ArgumentError("the shape " + text_of(shape) + " of the result is too large");
    }
  }
  return FloatArray(shape);
}

}  // namespace makemore::bindings
