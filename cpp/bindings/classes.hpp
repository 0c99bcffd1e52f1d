// The classes that the core gives to Python.  None of their objects is used before its constructor
// has run, which Python allows to leave out: Class.__new__(Class), or a subclass that forgets.
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

// pybind11's own would take memory that nobody wrote for the object.
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

// Whether it is one, whatever it says of its class: a mock names another, which isinstance
// believes.
template <typename T>
bool is_a(py::handle value) {
  return PyObject_TypeCheck(value.ptr(),
                            reinterpret_cast<PyTypeObject*>(py::type::of<T>().ptr())) != 0;
}

// The object of that class; TypeError for another.
template <typename T>
const T& object_of(const char* name, py::handle value) {
  if (is_a<T>(value)) return value.cast<const T&>();
  throw py::type_error(std::string(name) + " must be a " +
                       py::type::of<T>().attr("__name__").template cast<std::string>() + ", not " +
                       type_name(value));
}

// Makes an object without its value, and translates what pybind11 throws, which no C can pass on.
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

// The constructor, as py::init makes it, but for two cases: arguments that construct the same
// object while they are looked at, and no memory for the last that pybind11 notes of an object.
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
