// One step of an optimiser on packed parameters.
#pragma once

#include <array>
#include <cstdint>

#include "base/buffer.hpp"
#include "kernels/kernels.hpp"
#include "makemore/optimizer.hpp"

namespace makemore {

// Packed parameters: array 0 holds their values, the others are the optimiser's moments of them.
struct Weights {
  Weights(int64_t n, int64_t moments) : arrays{Buffer<float>(n)} {
    for (int64_t i = 1; i <= moments; ++i) arrays[static_cast<size_t>(i)] = Buffer<float>(n);
  }
  float* value() { return arrays[0].get(); }
  const float* value() const { return arrays[0].get(); }
  float* array(int64_t i) { return arrays[static_cast<size_t>(i)].get(); }
  const float* array(int64_t i) const { return arrays[static_cast<size_t>(i)].get(); }

  std::array<Buffer<float>, 3> arrays;
};

// The numbers that all updates of one step share.
struct UpdateRule {
  UpdateRule(const UpdateOptions& options, double lr, uint64_t step);

  Optimizer optimizer;
  float lr;
  float momentum;
  AdamStep adam;       // without its two fields of weight decay
  double mean_weight;  // 1 - beta1^t, for Adam
  float weight_decay;  // the decay of C, W1 and W2
  float bias_decay;    // the decay of b1 and b2
};

// Updates the parameters [begin, begin + n) of w by their gradient; returns whether all are finite.
bool update(const Kernels& kernel, const UpdateRule& rule, float decay, Weights& w, int64_t begin,
            const float* gradient, int64_t n);

}  // namespace makemore
