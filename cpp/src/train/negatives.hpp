// The tokens that a step's softmax has where it is sampled: the targets of the minibatch, and
// negatives drawn among all other tokens.
//
// The sum of the exponentials is estimated without bias: a token that has been drawn counts 1 /
// expected for each time that it was to be expected, which a correction of its logit, -ln expected,
// does.  A target is there in any case, so that its logit stays as it is.  Bengio and Senecal,
// "Adaptive importance sampling to accelerate training of a neural probabilistic language model",
// 2008; Jean et al., "On using very large target vocabulary for neural machine translation", 2015.
//
// python/makemore_cpp/reference/negatives.py defines what is drawn, and says why so.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/buffer.hpp"
#include "kernels/kernels.hpp"
#include "makemore/poll.hpp"

namespace makemore {

// The tokens of one step: first the distinct targets, then the negatives; none is twice there.
struct Candidates {
  Candidates() = default;
  Candidates(int64_t most, int64_t batch_size)
      : tokens(most), corrections(most), places(batch_size) {}

  int64_t count = 0;
  Buffer<int32_t> tokens;     // (count)
  Buffer<float> corrections;  // (count), of the logits: -ln of how often each was to be expected
  Buffer<int32_t> places;     // (B): where among the tokens each target is
};

// How many candidates a step of B examples has at most.
inline int64_t most_candidates(int64_t vocab_size, int64_t negatives, int64_t B) {
  return std::min(vocab_size, std::min(vocab_size, B) + negatives);
}

class Negatives {
 public:
  // The weights of the proposal are counted in the targets Y (N) of all examples, of which those
  // outside the vocabulary count for nothing.
  Negatives(const int32_t* Y, int64_t N, int64_t vocab_size, int64_t negatives, uint64_t seed,
            const Poll& poll);

  // The candidates of a step with targets Y (B); they depend on the seed, the step, the set of
  // these targets and the proposal alone.
  void draw(const Kernels& kernel, Candidates& to, uint64_t step, const int32_t* Y, int64_t B);

 private:
  const int64_t negatives_;
  const uint64_t seed_;
  std::vector<int64_t> weights_;  // (V)
  int64_t total_weight_ = 0;
  std::vector<int32_t> order_;   // (V): all tokens, those of the greatest weight first
  std::vector<int32_t> others_;  // those of them that are no targets of this step
  std::vector<int32_t> place_;   // (V), of the targets of this step; -1 of all other tokens
};

}  // namespace makemore
