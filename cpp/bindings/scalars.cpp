// The conversions behind scalars.hpp.
#include "scalars.hpp"

#include <cstdio>

#include "makemore/error.hpp"

namespace makemore::bindings {

std::string type_name(py::handle value) { return Py_TYPE(value.ptr())->tp_name; }

void clear_error_of_value() {
  if (PyErr_ExceptionMatches(PyExc_Exception) && !PyErr_ExceptionMatches(PyExc_MemoryError)) {
    PyErr_Clear();
  } else {
    throw py::error_already_set();
  }
}

namespace {

py::object index_of(const char* name, py::handle value) {
  py::object index = py::reinterpret_steal<py::object>(PyNumber_Index(value.ptr()));
  if (!index) {
    clear_error_of_value();
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

double number(const char* name, py::handle value) {
  // A method __float__ is not enough: NumPy's complex numbers have it, and lose their imaginary
  // part in it.
  if (!py::isinstance(value, py::module_::import("numbers").attr("Real"))) {
    throw py::type_error(std::string(name) + " must be a real number, not " + type_name(value));
  }
  const double number = PyFloat_AsDouble(value.ptr());
  if (PyErr_Occurred() != nullptr) {
    const bool is_too_large = PyErr_ExceptionMatches(PyExc_OverflowError) != 0;
    clear_error_of_value();
    if (is_too_large) {
      throw ArgumentError(std::string(name) + " is outside the range of 64-bit floats");
    }
    throw py::type_error(std::string(name) + " must be a real number, not " + type_name(value));
  }
  return number;
}

bool flag(const char* name, py::handle value) {
  const bool is_numpy_bool = type_name(value) == "bool" || type_name(value) == "bool_";
  if (!PyBool_Check(value.ptr()) && !is_numpy_bool) {
    throw py::type_error(std::string(name) + " must be a bool, not " + type_name(value));
  }
  return py::bool_(py::reinterpret_borrow<py::object>(value));
}

std::string_view text(const std::string& name, py::handle value) {
  if (!PyUnicode_Check(value.ptr())) {
    throw py::type_error(name + " must be a str, not " + type_name(value));
  }
  Py_ssize_t bytes = 0;
  if (const char* utf8 = PyUnicode_AsUTF8AndSize(value.ptr(), &bytes)) {
    return {utf8, static_cast<size_t>(bytes)};
  }
  const py::error_already_set reason;
  for (Py_ssize_t i = 0; i < PyUnicode_GetLength(value.ptr()); ++i) {
    const Py_UCS4 code_point = PyUnicode_ReadChar(value.ptr(), i);
    if (code_point < 0xD800 || code_point > 0xDFFF) continue;
    char shown[16];
    std::snprintf(shown, sizeof shown, "U+%04X", static_cast<unsigned>(code_point));
    throw ArgumentError(name + " has the lone surrogate " + shown + " at position " +
                        std::to_string(i) + ", which is not a character");
  }
  throw reason;  // out of memory
}

py::dict dict_of_arrays(const char* name, py::handle value) {
  if (!PyDict_Check(value.ptr())) {
    throw py::type_error(std::string(name) + " must be a dict of arrays, not " + type_name(value));
  }
  PyObject* const copy = PyDict_Copy(value.ptr());
  if (copy == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::dict>(copy);
}

std::string_view bytes_argument(const char* name, py::handle value) {
  if (!PyBytes_Check(value.ptr())) {
    throw py::type_error(std::string(name) + " must be bytes, not " + type_name(value));
  }
  return py::reinterpret_borrow<py::bytes>(value);
}

std::string path_of(py::handle path) {
  PyObject* bytes = nullptr;
  if (!PyUnicode_FSConverter(path.ptr(), &bytes)) {
    const py::error_already_set reason;
    if (reason.matches(PyExc_TypeError)) {
      throw py::type_error("path must be a str, bytes or a path, not " + type_name(path));
    }
    if (!reason.matches(PyExc_ValueError)) throw reason;
    const auto shown = py::reinterpret_steal<py::str>(PyObject_ASCII(path.ptr()));
    throw ArgumentError("path " + std::string(shown) + " is not one that a file can have");
  }
  return py::reinterpret_steal<py::bytes>(bytes);
}

}  // namespace makemore::bindings
