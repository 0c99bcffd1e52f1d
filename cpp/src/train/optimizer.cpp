// The optimisers, which do the same as PyTorch's: their names, moments, options and updates.
#include "makemore/optimizer.hpp"

#include <cmath>

#include "base/check.hpp"
#include "base/utf8.hpp"
#include "makemore/error.hpp"
#include "train/update.hpp"

namespace makemore {

namespace {

struct Named {
  const char* name;
  Optimizer optimizer;
};
constexpr Named kOptimizers[] = {{"sgd", Optimizer::sgd},
                                 {"momentum", Optimizer::momentum},
                                 {"adam", Optimizer::adam},
                                 {"adamw", Optimizer::adamw}};

}  // namespace

Optimizer optimizer_named(const std::string& name) {
  for (const Named& known : kOptimizers) {
    if (name == known.name) return known.optimizer;
  }
  throw ArgumentError("optimizer = '" + show_text(name) +
                      "' is not one of 'sgd', 'momentum', 'adam', 'adamw'");
}

std::string name_of(Optimizer optimizer) {
  return kOptimizers[static_cast<size_t>(optimizer)].name;  // in the order of the enumeration
}

std::vector<std::string> moments_of(Optimizer optimizer) {
  switch (optimizer) {
    case Optimizer::sgd:
      return {};
    case Optimizer::momentum:
      return {"velocity"};
    case Optimizer::adam:
    case Optimizer::adamw:
      return {"m", "v"};
  }
  return {};
}

void check_update_options(const UpdateOptions& options) {
  checked_rate("weight_decay", options.weight_decay);
  check_fraction("momentum", options.momentum);
  check_fraction("beta1", options.beta1);
  check_fraction("beta2", options.beta2);
  if (checked_rate("epsilon", options.epsilon) > 0) return;
  throw ArgumentError("epsilon = " + shown(options.epsilon) + " is not above 0 as a float32");
}

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
