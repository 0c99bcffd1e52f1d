// Many steps of minibatch gradient descent in one call.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "makemore/model.hpp"
#include "makemore/optimizer.hpp"
#include "makemore/poll.hpp"

namespace makemore {

// X (count,T) contexts and Y (count) next tokens.
struct Examples {
  const int32_t* X;
  const int32_t* Y;
  int64_t count;
};

// Which examples each step uses.
struct Batches {
  enum class Kind {
    drawn,  // batch_size rows by batch_rows(seed, step)
    given,  // rows (steps, batch_size)
    all,    // every example in every step
  };
  Kind kind = Kind::drawn;
  int64_t batch_size = 32;        // not used by `all`
  const int64_t* rows = nullptr;  // only used by `given`
};

struct TrainOptions {
  UpdateOptions update = {};
  // The probability with which a hidden unit is set to 0 for an example of a minibatch; the others
  // are multiplied by 1 / (1 - dropout).  Losses of steps are with dropout.  Srivastava et al.,
  // "Dropout: a simple way to prevent neural networks from overfitting", 2014.
  double dropout = 0;
  // Where it is given, a step's softmax is that of the minibatch's targets and so many other
  // tokens, drawn without replacement; with the vocabulary's size less 1 it is that of all tokens.
  // Losses of steps are by that softmax, and the steps touch the rows of W2 and b2, and of their
  // moments, of these tokens alone.  The proposal is the root of 1 + how often a token is a target
  // in all examples.
  std::optional<int64_t> negatives;
  uint64_t seed = 1;  // of the drawn batches, the dropout and the negatives
  int threads = 0;    // 0: all available; never changes a result
};

// Calls visit(name, option) for each option but the seed and the threads, those of the update too.
template <class Visit>
void for_each_option(TrainOptions& options, Visit&& visit) {
  for_each_option(options.update, visit);
  visit("dropout", options.dropout);
  visit("negatives", options.negatives);
}

// Does steps first_step, first_step + 1, ... with learning rates lr (steps) and writes the loss of
// each batch, in nats per token before the step's update, to losses (steps).  Returns the number of
// steps done: fewer than `steps` only when should_stop, polled between steps on the calling thread,
// said so.  The parameters then hold the last completed step.  `poll` is called while the first
// batch is made, which takes long when it is all of many examples.
//
// The result depends on the arguments alone: n steps in one call equal any division into calls, bit
// for bit, with any number of threads.
//
// Throws DivergedError when a loss or an updated parameter is not finite, RangeError for a token or
// a row outside its range (only rows that are used are looked at), ArgumentError otherwise; the
// parameters are then as they were.
int64_t train_steps(float* losses, const Parameters& parameters, const OptimizerState& state,
                    const Sizes& sizes, const Examples& examples, const double* lr, int64_t steps,
                    uint64_t first_step, const Batches& batches, const TrainOptions& options,
                    const std::function<bool()>& should_stop = {}, const Poll& poll = {});

}  // namespace makemore
