// The parameter arrays as arguments: that they fit each other is checked here only.
#pragma once

#include "arrays.hpp"
#include "makemore/model.hpp"

namespace makemore::bindings {

struct ParameterArguments {
  PerParameter<FloatArray> arrays;
  Sizes sizes;
  Parameters mutable_view();
  ConstParameters view() const;
};

// New arrays of these sizes, whose elements are not set.
PerParameter<FloatArray> new_parameters(const Sizes& sizes);
Parameters mutable_view(PerParameter<FloatArray>& arrays);
py::tuple tuple_of(const PerParameter<FloatArray>& arrays);

// How each array is taken: float_input, or float_in_place.
using Take = FloatArray (*)(const char* name, py::handle value, const Shape& shape);

// Takes all arrays.  TypeError unless all are float32, ArgumentError unless the shapes fit each
// other and V.
ParameterArguments parameters_of(Take take, const PerParameter<py::handle>& given,
                                 int64_t V = kAny);

// Takes arrays that are written in place.  ArgumentError also where two of them share memory.
ParameterArguments parameters_in_place(const PerParameter<py::handle>& given);

}  // namespace makemore::bindings
