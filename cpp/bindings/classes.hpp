// The classes that the core gives to Python.  No object is used before its constructor has run:
// Python allows to leave that out, by Class.__new__(Class) or in a subclass's __init__.
#pragma once

#include <pybind11/pybind11.h>

#include <exception>
#include <memory>
#include <new>
#include <string>
#include <type_traits>
#include <utility>

#include "scalars.hpp"

namespace makemore {
class LanguageModel;
class Vocabulary;
struct SavedModel;
}  // namespace makemore

namespace makemore::bindings {

class PySampler;
struct PyTextColumn;

// Every class that class_of makes must be one of these, wherever it is an argument.
template <typename T>
constexpr bool is_class_for_python =
    std::is_same_v<T, LanguageModel> || std::is_same_v<T, Vocabulary> ||
    std::is_same_v<T, SavedModel> || std::is_same_v<T, PySampler> ||
    std::is_same_v<T, PyTextColumn>;

}  // namespace makemore::bindings

namespace pybind11::detail {

// Refuses an object whose constructor has not run, for which pybind11's own caster would hand on
// memory that was never written.
template <typename T>
class type_caster<T, std::enable_if_t<makemore::bindings::is_class_for_python<T>>>
    : public type_caster_base<T> {
 public:
  bool load(handle source, bool convert) {
    return type_caster_base<T>::template load_impl<type_caster>(source, convert);
  }

 private:
  friend class type_caster_generic;
  void load_value(value_and_holder&& object) {
    if (object.value_ptr() == nullptr) {
      const handle self(reinterpret_cast<PyObject*>(object.inst));
      throw type_error("the constructor, __init__, of this " + makemore::bindings::type_name(self) +
                       " has not run");
    }
    type_caster_base<T>::load_value(std::move(object));
  }
};

}  // namespace pybind11::detail

namespace makemore::bindings {

// Whether the value's type is T or derives from it.  (isinstance would believe the __class__ that
// an object claims, as a mock does.)
template <typename T>
bool is_a(py::handle value) {
  return PyObject_TypeCheck(value.ptr(),
                            reinterpret_cast<PyTypeObject*>(py::type::of<T>().ptr())) != 0;
}

// The value as a T; TypeError where it is none.
template <typename T>
const T& object_of(const char* name, py::handle value) {
  if (is_a<T>(value)) return value.cast<const T&>();
  throw py::type_error(std::string(name) + " must be a " +
                       py::type::of<T>().attr("__name__").template cast<std::string>() + ", not " +
                       type_name(value));
}

// Makes an object whose constructor has not run (tp_new).  Python's C code calls it, through which
// no C++ exception may pass, so pybind11's become Python's here.
inline PyObject* new_object(PyTypeObject* type, PyObject*, PyObject*) {
  try {
    return py::detail::make_new_instance(type);
  } catch (const std::bad_alloc&) {
    return PyErr_NoMemory();
  } catch (const std::exception& error) {
    PyErr_SetString(PyExc_RuntimeError, error.what());
    return nullptr;
  }
}

template <typename T>
py::class_<T> class_of(const py::module_& m, const char* name, const char* doc) {
  static_assert(is_class_for_python<T>);
  return {m, name, doc,
          py::custom_type_setup([](PyHeapTypeObject* type) { type->ht_type.tp_new = new_object; })};
}

// Defines the constructor as py::init does, but safe in two cases: an argument whose conversion
// constructs the same object again, and no memory for pybind11's own entry of the object.
template <typename T, typename... Arguments, typename... Extra>
void def_init(py::class_<T>& of, T (*make)(Arguments...), const Extra&... extra) {
  of.def(
      "__init__",
      [make](py::detail::value_and_holder& self, Arguments... arguments) {
        auto value = std::make_unique<T>(make(arguments...));
        if (self.value_ptr() != nullptr) {
          throw py::type_error("the constructor, __init__, of an object is called inside itself");
        }
        self.value_ptr() = value.get();
        try {
          self.type->init_instance(self.inst, nullptr);
        } catch (...) {
          self.value_ptr() = nullptr;
          throw;
        }
        static_cast<void>(value.release());  // self holds it
      },
      py::detail::is_new_style_constructor(), extra...);
}

}  // namespace makemore::bindings
