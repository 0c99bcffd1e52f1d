// Python's global lock: given away during long calls, taken back to ask Python something.
//
// A daemon thread that wants the lock after the interpreter began to end is ended by CPython before
// 3.14 with pthread_exit, whose unwinding of a C++ stack ends the process.  Here such a thread
// sleeps until the process is gone, which is what later versions do.
#pragma once

#include <pybind11/pybind11.h>
#include <unistd.h>

#include <exception>

namespace makemore::bindings {

// Makes a call that may wait for the lock.
template <typename Call>
auto or_sleep(const Call& call) {
  try {
    return call();
  } catch (...) {
    if (std::current_exception() != nullptr) throw;  // pthread_exit's unwinding is no exception
    for (;;) ::pause();
  }
}

// Python's state of this thread, while the thread has given the lock away.
inline thread_local PyThreadState* without_lock = nullptr;

// Gives the lock away while the object lives, so that other threads may run Python.
class GilRelease {
 public:
  GilRelease() { without_lock = PyEval_SaveThread(); }
  ~GilRelease() {
    or_sleep([] { PyEval_RestoreThread(without_lock); });
  }
  GilRelease(const GilRelease&) = delete;
  GilRelease& operator=(const GilRelease&) = delete;
};

// Takes the lock back while the object lives, in a thread inside a GilRelease.  (PyGILState_Ensure
// would ask the interpreter for the thread's state, and crash once the interpreter is gone.)
class GilAcquire {
 public:
  GilAcquire() {
    or_sleep([] { PyEval_RestoreThread(without_lock); });
  }
  ~GilAcquire() { without_lock = PyEval_SaveThread(); }
  GilAcquire(const GilAcquire&) = delete;
  GilAcquire& operator=(const GilAcquire&) = delete;
};

// Calls function(*arguments), where `arguments` is an array of n; throws Python's exception.
inline pybind11::object call(pybind11::handle function, PyObject* const* arguments, size_t n) {
  PyObject* const result =
      or_sleep([&] { return PyObject_Vectorcall(function.ptr(), arguments, n, nullptr); });
  if (result == nullptr) throw pybind11::error_already_set();
  return pybind11::reinterpret_steal<pybind11::object>(result);
}

}  // namespace makemore::bindings
