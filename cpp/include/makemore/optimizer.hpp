// The optimisers: how a step changes the parameters.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace makemore {

// With g the gradient and t the number of steps so far, this one included:
//   sgd       w -= lr * g
//   momentum  v = momentum * v + g;  w -= lr * v                       (as in PyTorch's SGD)
//   adam      m = beta1 * m + (1 - beta1) * g;  v = beta2 * v + (1 - beta2) * g^2;
//             w -= lr * (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon)
//             (Kingma and Ba, "Adam: a method for stochastic optimization", 2015)
//   adamw     the same, after w -= lr * weight_decay * w instead of adding weight_decay * w to g
//             (Loshchilov and Hutter, "Decoupled weight decay regularization", 2019)
enum class Optimizer { sgd, momentum, adam, adamw };
Optimizer optimizer_named(const std::string& name);  // throws ArgumentError
std::string name_of(Optimizer optimizer);

// The names of what an optimiser remembers for each parameter: none for SGD, "velocity" for
// momentum, "m" and "v" for Adam and AdamW.
std::vector<std::string> moments_of(Optimizer optimizer);

// What an optimiser remembers from step to step beside the parameters: for each moment and each
// parameter one array of the parameter's size, named like "velocity.W1".  The arrays are zeros
// before the first step and updated in place.
struct StateArray {
  std::string name;
  float* data;
  int64_t size;
};
using OptimizerState = std::vector<StateArray>;  // empty for SGD

struct UpdateOptions {
  Optimizer optimizer = Optimizer::sgd;
  double weight_decay = 0;    // gradient += weight_decay * w on C, W1 and W2; not in the losses
  bool decay_biases = false;  // the same on b1 and b2
  double momentum = 0.9;      // only used by Optimizer::momentum
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;  // only used by adam and adamw
};

// Calls visit(name, option) for each option: callers in other languages set options by name.
template <class Visit>
void for_each_option(UpdateOptions& options, Visit&& visit) {
  visit("optimizer", options.optimizer);
  visit("weight_decay", options.weight_decay);
  visit("decay_biases", options.decay_biases);
  visit("momentum", options.momentum);
  visit("beta1", options.beta1);
  visit("beta2", options.beta2);
  visit("epsilon", options.epsilon);
}

// Throws ArgumentError unless rates are finite and not negative, momentum, beta1 and beta2 in
// [0, 1), and epsilon above 0, all as float32.
void check_update_options(const UpdateOptions& options);

}  // namespace makemore
