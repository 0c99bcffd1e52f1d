// Log-probabilities of whole texts under a frozen net.
#pragma once

#include <cstdint>
#include <span>

#include "net/frozen_net.hpp"

namespace makemore {

// out[i] = ln p(text i and its end), added up in float64 from the first token on, where text i is
// tokens [offsets[i], offsets[i+1]); -inf for a text that holds a token below 0.  The tokens must
// be below V.
void score_tokens(double* out, const FrozenNet& net, std::span<const int32_t> tokens,
                  std::span<const int64_t> offsets, int threads, const Poll& poll);

// -ln p of each token after those before it, and of each end: out (tokens + texts), those of text i
// from offsets[i] + i on.  The tokens must be in [0, V).
void token_surprisals(double* out, const FrozenNet& net, std::span<const int32_t> tokens,
                      std::span<const int64_t> offsets, int threads, const Poll& poll);

}  // namespace makemore
