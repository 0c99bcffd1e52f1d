// The checks behind parameters.hpp.
#include "parameters.hpp"

#include <string>

#include "makemore/error.hpp"

namespace makemore::bindings {

Parameters ParameterArguments::mutable_view() { return bindings::mutable_view(arrays); }

ConstParameters ParameterArguments::view() const {
  return map_parameters(arrays, [](const FloatArray& array) { return array.data(); });
}

PerParameter<FloatArray> new_parameters(const Sizes& sizes) {
  PerParameter<FloatArray> arrays;
  for (size_t i = 0; i < kParameters.size(); ++i) {
    *arrays.all()[i] = new_floats(shape_of(kParameters[i], sizes));
  }
  return arrays;
}

Parameters mutable_view(PerParameter<FloatArray>& arrays) {
  return map_parameters(arrays, [](FloatArray& array) { return array.mutable_data(); });
}

py::tuple tuple_of(const PerParameter<FloatArray>& arrays) {
  py::tuple tuple(kParameters.size());
  for (size_t i = 0; i < kParameters.size(); ++i) tuple[i] = *arrays.all()[i];
  return tuple;
}

ParameterArguments parameters_of(Take take, const PerParameter<py::handle>& given, int64_t V) {
  ParameterArguments p;
  auto& [C, W1, b1, W2, b2] = p.arrays;
  C = take("C", given.C, {V, kAny});
  W1 = take("W1", given.W1, {kAny, kAny});
  V = C.shape(0);
  const int64_t E = C.shape(1), K = W1.shape(0), H = W1.shape(1);
  if (E == 0 || K % E != 0) {
    throw ArgumentError("W1 has " + std::to_string(K) +
                        " rows, which is not a multiple of the embedding size " +
                        std::to_string(E) + " of C");
  }
  b1 = take("b1", given.b1, {H});
  W2 = take("W2", given.W2, {kAny, kAny});
  const bool is_direct = W2.shape(0) == H + K;
  W2 = take("W2", W2, {is_direct ? H + K : H, V});
  b2 = take("b2", given.b2, {V});
  p.sizes = {K / E, E, H, V, is_direct};
  try {
    check_sizes(p.sizes);
  } catch (const ArgumentError& error) {  // the caller gave arrays, and no size by its name
    throw ArgumentError("C has the shape " + text_of(shape_of(C)) + " and W1 " +
                        text_of(shape_of(W1)) + ", but " + error.what());
  }
  return p;
}

ParameterArguments parameters_in_place(const PerParameter<py::handle>& given) {
  ParameterArguments p = parameters_of(float_in_place, given);
  const auto arrays = p.arrays.all();
  for (size_t i = 0; i < arrays.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      check_apart(kParameters[j].name, *arrays[j], kParameters[i].name, *arrays[i]);
    }
  }
  return p;
}

}  // namespace makemore::bindings
