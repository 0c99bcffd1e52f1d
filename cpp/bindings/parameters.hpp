// The five parameter arrays as arguments: that they fit each other is checked here only.
#pragma once

#include <array>
#include <utility>

#include "arrays.hpp"
#include "makemore/model.hpp"

namespace makemore::bindings {

struct ParameterArguments {
  FloatArray C, W1, b1, W2, b2;
  Sizes sizes;
  Parameters mutable_view();
  ConstParameters view() const;
  std::array<std::pair<const char*, const FloatArray*>, 5> named() const;
};

// How each array is taken: float_input, or float_in_place.
using Take = FloatArray (*)(const char* name, py::handle value, const Shape& shape);

// TypeError unless all are float32, ArgumentError unless the shapes fit each other and V.
ParameterArguments parameters_of(Take take, py::handle C, py::handle W1, py::handle b1,
                                 py::handle W2, py::handle b2, int64_t V = kAny);

// The same for arrays that are written in place, of which no two share memory.
ParameterArguments parameters_in_place(py::handle C, py::handle W1, py::handle b1, py::handle W2,
                                       py::handle b2);

}  // namespace makemore::bindings
