// The core's errors as Python classes that also derive from the built-in ones.
#include <stdexcept>

#include "bindings.hpp"
#include "makemore/error.hpp"

namespace makemore::bindings {

namespace py = pybind11;

namespace {

// The classes are owned by the module, which lives as long as the process.
struct ErrorClasses {
  PyObject *error, *argument, *range, *format, *file, *diverged;
} classes;

PyObject* new_class(py::module_& m, const char* name, PyObject* base, PyObject* builtin,
                    const char* doc) {
  py::tuple bases = py::make_tuple(py::handle(base));
  if (builtin != nullptr) bases = py::make_tuple(py::handle(base), py::handle(builtin));
  const std::string full_name = std::string("makemore_cpp.") + name;
  PyObject* created = PyErr_NewExceptionWithDoc(full_name.c_str(), doc, bases.ptr(), nullptr);
  if (created == nullptr) throw py::error_already_set();
  m.attr(name) = py::handle(created);
  return created;
}

void set_diverged(const DivergedError& error) {
  const py::object instance = py::handle(classes.diverged)(error.what());
  instance.attr("step") = error.step;
  instance.attr("loss") = error.loss;
  instance.attr("learning_rate") = error.learning_rate;
  PyErr_SetObject(classes.diverged, instance.ptr());
}

void translate(std::exception_ptr pointer) {
  try {
    std::rethrow_exception(pointer);
  } catch (const DivergedError& error) {
    set_diverged(error);
  } catch (const FormatError& error) {
    PyErr_SetString(classes.format, error.what());
  } catch (const ArgumentError& error) {
    PyErr_SetString(classes.argument, error.what());
  } catch (const RangeError& error) {
    PyErr_SetString(classes.range, error.what());
  } catch (const FileError& error) {
    PyErr_SetString(classes.file, error.what());
  } catch (const Error& error) {
    PyErr_SetString(classes.error, error.what());
  } catch (const std::runtime_error&) {
    // pybind11 throws this where Python had no memory for a list or bytes; MemoryError is set.
    if (PyErr_Occurred() == nullptr || !PyErr_ExceptionMatches(PyExc_MemoryError)) throw;
  }
}

}  // namespace

void bind_errors(py::module_& m) {
  classes.error = new_class(m, "Error", PyExc_Exception, nullptr, "Base class of all our errors.");
  classes.argument =
      new_class(m, "ArgumentError", classes.error, PyExc_ValueError,
                "An argument has the wrong size, value or combination; also a ValueError.");
  classes.range = new_class(m, "RangeError", classes.error, PyExc_IndexError,
                            "A token or a row lies outside its range; also an IndexError.");
  classes.format =
      new_class(m, "FormatError", classes.argument, nullptr,
                "Bytes, of a file mostly, are not what the format demands; also a ValueError.");
  classes.file = new_class(m, "FileError", classes.error, PyExc_OSError,
                           "A file cannot be read or written; also an OSError.");
  classes.diverged =
      new_class(m, "DivergedError", classes.error, PyExc_ArithmeticError,
                R"(A loss or an updated parameter is not finite; also an ArithmeticError.

Attributes
----------
step : int
    The number of the step in which it happened; the first is 0.
loss : float
    The loss of its minibatch, or of the split that the sentence names.
learning_rate : float
    The learning rate of the step.)");
  py::register_exception_translator(&translate);
}

}  // namespace makemore::bindings
