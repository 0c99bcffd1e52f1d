// The optimisers' names, what they remember, and the checks of their options.
#include "makemore/optimizer.hpp"

#include "base/check.hpp"
#include "base/utf8.hpp"
#include "makemore/error.hpp"

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

}  // namespace makemore
