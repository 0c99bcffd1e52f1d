// Does many steps of minibatch gradient descent in one call.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "makemore/exchange.hpp"
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
    drawn,  // batch_size rows drawn by batch_rows(seed, step)
    given,  // the caller's rows (steps, batch_size)
    all,    // every example in every step
  };
  Kind kind = Kind::drawn;
  int64_t batch_size = 32;        // not used by `all`
  const int64_t* rows = nullptr;  // only used by `given`
};

struct TrainOptions {
  UpdateOptions update = {};
  // The probability with which a hidden unit is set to 0 for an example of a minibatch; the other
  // units are multiplied by 1 / (1 - dropout).  The losses of the steps are computed with dropout.
  // Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", 2014.
  double dropout = 0;
  // With a number n of negatives, a step's softmax is over its candidates: the minibatch's targets
  // and n other tokens, drawn without replacement with probabilities proportional to
  // sqrt(1 + count), where count is how often the token is a target in all examples.  From
  // vocab_size - 1 on, the candidates are all tokens.  The losses of the steps are those of this
  // softmax, and a step changes only the candidates' columns of W2 and elements of b2, and their
  // moments.
  std::optional<int64_t> negatives;
  uint64_t seed = 1;  // of the drawn batches, the dropout and the negatives
  int threads = 0;    // 0: all available; never changes a result
  // Where it is given, its ranks share the work of an output layer that is cut along tokens, and
  // the update of the embeddings where a step changes all of them; their number never changes a
  // result.
  Exchange* exchange = nullptr;
};

// Calls visit(name, option) for each option, those of the update included, except seed, threads and
// exchange.
template <class Visit>
void for_each_option(TrainOptions& options, Visit&& visit) {
  for_each_option(options.update, visit);
  visit("dropout", options.dropout);
  visit("negatives", options.negatives);
}

// Does steps first_step, first_step + 1, ... with learning rates lr (steps) and writes the loss of
// each batch, in nats per token before the step's update, to losses (steps).  Returns the number of
// steps done.  That is fewer than `steps` only when should_stop, which is called between steps on
// the calling thread, returned true; the parameters then hold the last completed step.  `poll` is
// called while the first batch is made, which takes long when it is all of many examples.
//
// The result depends on the arguments alone: n steps in one call equal any division into calls, bit
// for bit, with any number of threads, and of ranks, each of which has the whole result.  Ranks
// must agree on where to stop, which should_stop cannot make them do.
//
// Throws DivergedError when a loss or an updated parameter is not finite, RangeError for a token or
// a row outside its range (it checks only the rows that it uses), and ArgumentError for any other
// wrong argument; the parameters are then as they were before the call.
int64_t train_steps(float* losses, const Parameters& parameters, const OptimizerState& state,
                    const Sizes& sizes, const Examples& examples, const double* lr, int64_t steps,
                    uint64_t first_step, const Batches& batches, const TrainOptions& options,
                    const std::function<bool()>& should_stop = {}, const Poll& poll = {});

}  // namespace makemore
