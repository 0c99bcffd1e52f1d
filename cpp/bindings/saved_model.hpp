// What the bindings of the model file and of the checkpoint share.
#pragma once

#include <string>

#include "makemore/model.hpp"
#include "parameters.hpp"

namespace makemore::bindings {

// str or os.PathLike, in the encoding of the file system.
std::string path_of(const py::object& path);

// From NumPy's arrays and back.
ParameterArrays copies_of(const ParameterArguments& arguments);
py::tuple arrays_of(const ParameterArrays& arrays, const Sizes& sizes);

}  // namespace makemore::bindings
