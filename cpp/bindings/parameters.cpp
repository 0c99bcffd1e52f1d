// The checks behind parameters.hpp.
#include "parameters.hpp"

#include <string>
#include <utility>

#include "makemore/error.hpp"

namespace makemore::bindings {

Parameters ParameterArguments::mutable_view() {
  return {C.mutable_data(), W1.mutable_data(), b1.mutable_data(), W2.mutable_data(),
          b2.mutable_data()};
}

ConstParameters ParameterArguments::view() const {
  return {C.data(), W1.data(), b1.data(), W2.data(), b2.data()};
}

std::array<std::pair<const char*, const FloatArray*>, 5> ParameterArguments::named() const {
  return {{{"C", &C}, {"W1", &W1}, {"b1", &b1}, {"W2", &W2}, {"b2", &b2}}};
}

ParameterArguments parameters_of(Take take, py::handle C, py::handle W1, py::handle b1,
                                 py::handle W2, py::handle b2, int64_t V) {
  ParameterArguments p;
  p.C = take("C", C, {V, kAny});
  p.W1 = take("W1", W1, {kAny, kAny});
  V = p.C.shape(0);
  const int64_t E = p.C.shape(1), K = p.W1.shape(0), H = p.W1.shape(1);
  if (E == 0 || K % E != 0) {
    throw ArgumentError("W1 has " + std::to_string(K) +
                        " rows, which is not a multiple of the embedding size " +
                        std::to_string(E) + " of C");
  }
  p.b1 = take("b1", b1, {H});
  p.W2 = take("W2", W2, {H, V});
  p.b2 = take("b2", b2, {V});
  p.sizes = {K / E, E, H, V};
  check_sizes(p.sizes);
  return p;
}

ParameterArguments parameters_in_place(py::handle C, py::handle W1, py::handle b1, py::handle W2,
                                       py::handle b2) {
  ParameterArguments p = parameters_of(float_in_place, C, W1, b1, W2, b2);
  const auto arrays = p.named();
  for (size_t i = 0; i < arrays.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      check_apart(arrays[j].first, *arrays[j].second, arrays[i].first, *arrays[i].second);
    }
  }
  return p;
}

}  // namespace makemore::bindings
