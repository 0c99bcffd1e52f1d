// The module _core, part by part.  It needs no global lock: without one, what two threads may
// change at once is under a mutex or in a critical section of the Python object.
#include "bindings.hpp"

namespace py = pybind11;

PYBIND11_MODULE(core_of_main_interpreter, m, py::mod_gil_not_used()) {
  using namespace makemore::bindings;
  m.doc() = "The compiled core of makemore_cpp; python/makemore_cpp/_core.pyi describes it.";
  m.attr("__version__") = MAKEMORE_VERSION;
  bind_errors(m);
  bind_machine(m);
  bind_random(m);
  bind_ops(m);
  bind_model(m);
  bind_vocabulary(m);
  bind_arrow(m);
  bind_files(m);
  bind_saved_model(m);
  bind_language_model(m);
}

// Refuses a subinterpreter, in which pybind11 would wait for ever for a lock that it holds itself.
extern "C" PYBIND11_EXPORT PyObject* PyInit__core() {
  if (PyInterpreterState_Get() == PyInterpreterState_Main()) {
    return PyInit_core_of_main_interpreter();
  }
  PyErr_SetString(PyExc_ImportError,
                  "makemore_cpp cannot be imported in a subinterpreter, only in the main one");
  return nullptr;
}
