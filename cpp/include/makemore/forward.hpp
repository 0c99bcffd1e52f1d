// The mean loss and the log-probabilities of a model on many examples, in bounded memory.
#pragma once

#include <cstdint>

#include "makemore/exchange.hpp"
#include "makemore/model.hpp"
#include "makemore/poll.hpp"

namespace makemore {

// The mean over all examples of -ln p(Y[i] | X[i]), in nats per token.   X (N,T)  Y (N)
// Ranks, where there are any, share the work.
// Throws RangeError for a token outside the vocabulary and ArgumentError for N = 0.
double mean_loss(const Sizes& sizes, const ConstParameters& parameters, const int32_t* X,
                 const int32_t* Y, int64_t N, int threads = 0, const Poll& poll = {},
                 Exchange* exchange = nullptr);

// out[i,:] = ln p( . | X[i])           X (N,T)  ->  out (N,V)
// A row's result does not depend on the other rows.
void log_probs(float* out, const Sizes& sizes, const ConstParameters& parameters, const int32_t* X,
               int64_t N, int threads = 0, const Poll& poll = {});

}  // namespace makemore
