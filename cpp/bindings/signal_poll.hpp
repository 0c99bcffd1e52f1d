// Lets Ctrl-C end a long call.
#pragma once

#include <pybind11/pybind11.h>

#include <chrono>

#include "gil.hpp"

namespace makemore::bindings {

// Runs Python's signal handlers now and then, from a thread that has released the GIL.
class SignalPoll {
 public:
  // Throws the handler's exception.
  void operator()() {
    // The interval is far below what a person notices and far above what acquiring the GIL costs.
    constexpr auto kInterval = std::chrono::milliseconds(50);
    const auto now = std::chrono::steady_clock::now();
    if (now - last_ < kInterval) return;
    last_ = now;
    const GilAcquire gil;
    if (PyErr_CheckSignals() != 0) throw pybind11::error_already_set();
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

}  // namespace makemore::bindings
