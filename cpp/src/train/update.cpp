// The rules of the optimisers: those of PyTorch's SGD, Adam and AdamW.
#include "train/update.hpp"

#include <cmath>

namespace makemore {

UpdateRule::UpdateRule(const UpdateOptions& options, double rate, uint64_t step)
    : optimizer(options.optimizer),
      lr(static_cast<float>(rate)),
      momentum(static_cast<float>(options.momentum)),
      adam{},
      mean_weight(1),
      weight_decay(static_cast<float>(options.weight_decay)),
      bias_decay(options.decay_biases ? weight_decay : 0.0f) {
  if (optimizer != Optimizer::adam && optimizer != Optimizer::adamw) return;
  const double t = static_cast<double>(step) + 1;
  mean_weight = 1 - std::pow(options.beta1, t);
  adam.lr = static_cast<float>(rate / mean_weight);
  adam.beta1 = static_cast<float>(options.beta1);
  adam.beta1_rest = static_cast<float>(1 - options.beta1);
  adam.beta2 = static_cast<float>(options.beta2);
  adam.beta2_rest = static_cast<float>(1 - options.beta2);
  adam.v_scale = static_cast<float>(1 / std::sqrt(1 - std::pow(options.beta2, t)));
  adam.epsilon = static_cast<float>(options.epsilon);
}

bool update(const Kernels& kernel, const UpdateRule& rule, float decay, Weights& w, int64_t begin,
            const float* gradient, int64_t n) {
  float* const value = w.value() + begin;
  if (rule.optimizer == Optimizer::sgd) {
    return kernel.sgd_update(value, gradient, rule.lr, decay, n) != 0;
  }
  float* const first = w.array(1) + begin;
  if (rule.optimizer == Optimizer::momentum) {
    return kernel.momentum_update(value, first, gradient, rule.lr, rule.momentum, decay, n) != 0;
  }
  AdamStep step = rule.adam;
  const bool is_decoupled = rule.optimizer == Optimizer::adamw;
  step.weight_decay = is_decoupled ? 0 : decay;
  step.decoupled_decay = is_decoupled ? static_cast<float>(decay * rule.mean_weight) : 0;
  return kernel.adam_update(value, first, w.array(2) + begin, gradient, &step, n) != 0;
}

}  // namespace makemore
