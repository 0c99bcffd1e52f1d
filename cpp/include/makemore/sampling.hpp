// Drawing texts from anything that predicts the next token.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "makemore/model.hpp"
#include "makemore/poll.hpp"

namespace makemore {

// out (N,V) = ln p( . | X[i]) of each context X (N,T).  A row must not depend on the other rows.
using NextLogProbs = std::function<void(float* out, const int32_t* X, int64_t N)>;

// How tokens are chosen.  The options apply in the order in which they stand here.
struct SampleOptions {
  uint64_t seed = 42;
  double temperature = 1;    // divides log-probabilities; 0: always the most probable token
  int64_t top_k = 0;         // only so many of the most probable tokens; 0: all
  double top_p = 1;          // only the most probable tokens, as few as have this probability
  int64_t min_length = 0;    // no text ends before it has so many tokens
  int64_t max_length = 100;  // a text that would be longer is cut here
};
constexpr int64_t kMaxSampleLength = 1'000'000;
constexpr int64_t kMaxSamplesAtOnce = 1 << 24;

// Throws ArgumentError naming the option that is outside its range.  A prefix counts for the
// lengths.
void check_sample_options(const SampleOptions& options, int64_t prefix_length);

enum class Ending : uint8_t {
  end,   // the boundary was drawn
  cut,   // at max_length
  stuck  // the text may not end yet, and the model gives no other token a probability
};

struct Samples {
  std::vector<int32_t> tokens;   // of all texts, one after another, without boundaries
  std::vector<int64_t> offsets;  // text i is tokens [offsets[i], offsets[i+1])
  std::vector<Ending> endings;
};

// Samples number first to first + n - 1, each beginning with `prefix`, which counts for the
// lengths. Sample i is a function of the model, the options, the prefix and i alone: its token at
// position p is chosen by sample_uniform(seed, i, p).  Throws ArgumentError when an option is
// outside its range or a prediction is not a distribution.
Samples draw_samples(const NextLogProbs& next, int64_t block_size, int64_t vocab_size,
                     const SampleOptions& options, std::span<const int32_t> prefix, uint64_t first,
                     int64_t n, const Poll& poll = {});

}  // namespace makemore
