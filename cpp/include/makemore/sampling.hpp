// Draws texts from anything that predicts the next token.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "makemore/model.hpp"
#include "makemore/poll.hpp"

namespace makemore {

// out (N,V) = ln p( . | X[i]) for each context of X (N,T).  A row must not depend on the others.
using NextLogProbs = std::function<void(float* out, const int32_t* X, int64_t N)>;

// How tokens are chosen.  The options apply in the order in which they stand here.
struct SampleOptions {
  uint64_t seed = 42;
  double temperature = 1;    // divides log-probabilities; 0: always the most probable token
  int64_t top_k = 0;         // only this many of the most probable tokens; 0: all
  double top_p = 1;          // only the fewest most probable tokens that have this probability
  int64_t min_length = 0;    // no text ends before it has this many tokens
  int64_t max_length = 100;  // a text that would be longer is cut here
};
constexpr int64_t kMaxSampleLength = 1'000'000;
constexpr int64_t kMaxSamplesAtOnce = 1 << 24;

// Throws ArgumentError naming the option that is outside its range.  The lengths include the
// prefix.
void check_sample_options(const SampleOptions& options, int64_t prefix_length);

enum class Ending : uint8_t {
  end,   // the model drew the boundary
  cut,   // the text reached max_length
  stuck  // the text may not end yet, and the model gives no other token a probability
};

struct Samples {
  std::vector<int32_t> tokens;   // of all texts, one after another, without boundaries
  std::vector<int64_t> offsets;  // text i is tokens [offsets[i], offsets[i+1])
  std::vector<Ending> endings;
};

// Draws the samples number first to first + n - 1, each beginning with `prefix`, which the lengths
// include.  Sample i is a function of the model, the options, the prefix and i alone:
// sample_uniform(seed, i, p) chooses its token at position p.  Throws ArgumentError when an option
// is outside its range or a prediction is not a distribution.
Samples draw_samples(const NextLogProbs& next, int64_t block_size, int64_t vocab_size,
                     const SampleOptions& options, std::span<const int32_t> prefix, uint64_t first,
                     int64_t n, const Poll& poll = {});

}  // namespace makemore
