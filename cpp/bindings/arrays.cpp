// The conversions behind arrays.hpp.
#include "arrays.hpp"

#include <string>

#include "check.hpp"
#include "makemore/error.hpp"

namespace makemore::bindings {

namespace {

std::string type_name(py::handle value) { return Py_TYPE(value.ptr())->tp_name; }

std::string text_of(const Shape& shape) {
  std::string text = "(";
  for (size_t i = 0; i < shape.size(); ++i) {
    if (i > 0) text += ", ";
    text += shape[i] == kAny ? "any" : std::to_string(shape[i]);
  }
  return text + (shape.size() == 1 ? ",)" : ")");
}

Shape shape_of(const py::array& array) { return {array.shape(), array.shape() + array.ndim()}; }

}  // namespace

void check_shape(const char* name, const py::array& array, const Shape& expected) {
  const Shape shape = shape_of(array);
  bool fits = shape.size() == expected.size();
  for (size_t i = 0; fits && i < shape.size(); ++i) {
    fits = expected[i] == kAny || shape[i] == expected[i];
  }
  if (!fits) {
    throw ArgumentError(std::string(name) + " has the shape " + text_of(shape) + ", expected " +
                        text_of(expected));
  }
}

namespace {

py::array_t<float> float_array(const char* name, py::handle value, const Shape& shape) {
  if (!py::isinstance<py::array>(value)) {
    throw py::type_error(std::string(name) + " must be a float32 array, not " + type_name(value));
  }
  if (!py::isinstance<py::array_t<float>>(value)) {
    throw py::type_error(std::string(name) + " must be a float32 array, not one of " +
                         std::string(py::str(value.attr("dtype"))));
  }
  auto array = py::reinterpret_borrow<py::array_t<float>>(value);
  check_shape(name, array, shape);
  return array;
}

bool is_plain(const py::array& array) {
  constexpr int kPlain =
      py::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_ | py::detail::npy_api::NPY_ARRAY_ALIGNED_;
  return (array.flags() & kPlain) == kPlain;
}

}  // namespace

namespace {

py::object index_of(const char* name, py::handle value) {
  py::object index = py::reinterpret_steal<py::object>(PyNumber_Index(value.ptr()));
  if (!index) {
    PyErr_Clear();
    throw py::type_error(std::string(name) + " must be an integer, not " + type_name(value));
  }
  return index;
}

// " = number", unless it has so many digits that they would bury the sentence.
std::string shown(const py::object& index) {
  if (index.attr("bit_length")().cast<int64_t>() > 128) return "";
  return " = " + py::str(index).cast<std::string>();
}

}  // namespace

int64_t integer(const char* name, py::handle value) {
  const py::object index = index_of(name, value);
  int overflow = 0;
  const long long number = PyLong_AsLongLongAndOverflow(index.ptr(), &overflow);
  if (overflow != 0) {
    throw ArgumentError(std::string(name) + shown(index) + " is " +
                        (overflow > 0 ? "above" : "below") + " the range of 64-bit integers");
  }
  return number;
}

uint64_t seed_of(const char* name, py::handle value) {
  const py::object index = index_of(name, value);
  const unsigned long long seed = PyLong_AsUnsignedLongLong(index.ptr());
  if (PyErr_Occurred() != nullptr) {
    PyErr_Clear();
    throw ArgumentError(std::string(name) + shown(index) + " is not between 0 and 2**64 - 1");
  }
  return seed;
}

int threads_of(py::handle value) {
  if (value.is_none()) return 0;
  const int64_t threads = integer("threads", value);
  if (threads < 1 || threads > 1024) {
    throw ArgumentError("threads = " + std::to_string(threads) + " is not between 1 and 1024");
  }
  return static_cast<int>(threads);
}

FloatArray float_input(const char* name, py::handle value, const Shape& shape) {
  const py::array_t<float> array = float_array(name, value, shape);
  if (is_plain(array)) return py::reinterpret_borrow<FloatArray>(array);
  return py::reinterpret_steal<FloatArray>(array.attr("copy")(py::arg("order") = "C").release());
}

FloatArray float_in_place(const char* name, py::handle value, const Shape& shape) {
  const py::array_t<float> array = float_array(name, value, shape);
  if (!is_plain(array)) {
    throw ArgumentError(std::string(name) +
                        " is written in place and must be C-contiguous and aligned");
  }
  if (!array.writeable()) {
    throw ArgumentError(std::string(name) + " is written in place but is read-only");
  }
  return py::reinterpret_borrow<FloatArray>(array);
}

namespace {

template <typename Integer>
void convert_tokens(int32_t* out, const char* name, const py::array& from, int64_t limit) {
  const auto values = py::array_t<Integer, py::array::c_style | py::array::forcecast>::ensure(from);
  if (!values) throw py::error_already_set();
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
  const py::array array = py::array::ensure(value);
  if (!array) {
    PyErr_Clear();
    throw py::type_error(std::string(name) + " must be an array of integers, not " +
                         type_name(value));
  }
  const char kind = array.dtype().kind();
  if (kind != 'i' && kind != 'u') {
    throw py::type_error(std::string(name) + " must hold integers, not " +
                         std::string(py::str(array.dtype())));
  }
  check_shape(name, array, shape);
  if (py::isinstance<py::array_t<int32_t>>(array) && is_plain(array)) {
    return {py::reinterpret_borrow<py::array_t<int32_t, py::array::c_style>>(array)};
  }
  py::array_t<int32_t, py::array::c_style> converted(shape_of(array));
  if (kind == 'i') {
    convert_tokens<int64_t>(converted.mutable_data(), name, array, limit);
  } else {
    convert_tokens<uint64_t>(converted.mutable_data(), name, array, limit);
  }
  return {std::move(converted)};
}

FloatArray new_floats(const Shape& shape) { return FloatArray(shape); }

void SignalPoll::operator()() {
  // Well below what a person notices, well above what acquiring the GIL costs.
  constexpr auto kInterval = std::chrono::milliseconds(50);
  const auto now = std::chrono::steady_clock::now();
  if (now - last_ < kInterval) return;
  last_ = now;
  const py::gil_scoped_acquire gil;
  if (PyErr_CheckSignals() != 0) throw py::error_already_set();
}

}  // namespace makemore::bindings
