// The parts of the module, one function each.
#pragma once

#include <pybind11/pybind11.h>

namespace makemore::bindings {

void bind_errors(pybind11::module_& m);
void bind_machine(pybind11::module_& m);
void bind_random(pybind11::module_& m);
void bind_ops(pybind11::module_& m);
void bind_model(pybind11::module_& m);
void bind_vocabulary(pybind11::module_& m);
void bind_arrow(pybind11::module_& m);
void bind_files(pybind11::module_& m);
void bind_saved_model(pybind11::module_& m);
void bind_language_model(pybind11::module_& m);

}  // namespace makemore::bindings
