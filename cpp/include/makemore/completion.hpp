// Finds the most probable texts that begin with a prefix, for anything that predicts the next
// token.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "makemore/sampling.hpp"

namespace makemore {

struct Completion {
  std::vector<int32_t> tokens;  // of the whole text, prefix included, boundary excluded
  double log_prob;              // of the whole text and its end, in nats
};

struct Completions {
  std::vector<Completion> found;  // the most probable first; among equal ones the first found
  bool gave_up;                   // after kMaxNodes beginnings; the texts found are still the best
};

constexpr int64_t kMaxCompletions = 1'000'000;
constexpr int64_t kMaxNodes = 1 << 22;

// Returns the k most probable texts of at most max_length tokens that begin with `prefix`, or all
// such texts where there are fewer.  The best-first search is exact.  Throws ArgumentError when k
// or max_length is outside its range or a prediction is not a distribution.
Completions complete(const NextLogProbs& next, int64_t block_size, int64_t vocab_size,
                     std::span<const int32_t> prefix, int64_t k, int64_t max_length,
                     const Poll& poll = {});

}  // namespace makemore
