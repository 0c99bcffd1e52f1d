// Log-probabilities of whole texts under a frozen net.
#pragma once

#include <cstdint>
#include <span>

#include "net/frozen_net.hpp"

namespace makemore {

// out[i] = ln p(text i and its end), where text i is tokens [offsets[i], offsets[i+1]); the terms
// are added in float64 from the first token on.  A text with a token below 0 has -inf.  All tokens
// must be below V.
void score_tokens(double* out, const FrozenNet& net, std::span<const int32_t> tokens,
                  std::span<const int64_t> offsets, int threads, const Poll& poll);

// out (tokens + texts) = -ln p of each token, given the tokens before it, and of each end; the
// numbers of text i begin at offsets[i] + i.  All tokens must be in [0, V).
void token_surprisals(double* out, const FrozenNet& net, std::span<const int32_t> tokens,
                      std::span<const int64_t> offsets, int threads, const Poll& poll);

}  // namespace makemore
