// The candidates of a sampled softmax: the targets of the minibatch, and negatives drawn among all
// other tokens.
//
// The sum of the exponentials is estimated without bias: a drawn token counts 1 / expected times,
// where `expected` is its expected number of draws, by the correction -ln expected of its logit.  A
// target is a candidate in any case, so that its logit stays as it is.  Bengio and Senecal,
// "Adaptive importance sampling to accelerate training of a neural probabilistic language model",
// 2008; Jean et al., "On using very large target vocabulary for neural machine translation", 2015.
//
// python/makemore_cpp/reference/negatives.py defines what is drawn and gives the reasons.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/buffer.hpp"
#include "kernels/kernels.hpp"
#include "makemore/poll.hpp"

namespace makemore {

// The candidates of one step, all different, sorted by group: the distinct targets of a group come
// first, then its negatives.
struct Candidates {
  Candidates() = default;
  Candidates(int64_t most, int64_t batch_size)
      : tokens(most), corrections(most), places(batch_size) {}

  std::vector<int64_t> starts;  // (groups + 1): the first candidate of each group, and the count
  Buffer<int32_t> tokens;       // (count)
  Buffer<float> corrections;    // (count), of the logits: -ln expected
  Buffer<int32_t> places;       // (B), the places of the targets among the tokens
};

// The largest number of candidates that a step of B examples can have.
inline int64_t most_candidates(int64_t vocab_size, int64_t negatives, int64_t B) {
  return std::min(vocab_size, std::min(vocab_size, B) + negatives);
}

class Negatives {
 public:
  // Computes the weights of the tokens from the targets Y (N) of all examples, and cuts the tokens
  // into groups; targets outside the vocabulary are ignored.
  Negatives(const int32_t* Y, int64_t N, int64_t vocab_size, int64_t negatives, int64_t batch_size,
            int64_t groups, uint64_t seed, const Poll& poll);

  // The first token of each group, and V: groups in which a step of batch_size examples has about
  // the same number of candidates.
  const std::vector<int64_t>& first_tokens() const { return first_tokens_; }

  // Draws the candidates of a step with targets Y (B); they depend on the seed, the step, the set
  // of these targets and the weights alone.
  void draw(const Kernels& kernel, Candidates& to, uint64_t step, const int32_t* Y, int64_t B);

 private:
  void cut_in_groups(int64_t N, int64_t batch_size);
  void sort_by_group(Candidates& to, int64_t targets);

  const int64_t negatives_;
  const uint64_t seed_;
  std::vector<int64_t> weights_;  // (V)
  int64_t total_weight_ = 0;
  std::vector<int32_t> order_;   // (V): all tokens, the greatest weight first
  std::vector<int32_t> others_;  // the tokens that are not targets of this step, in that order
  std::vector<int32_t> place_;   // (V): the places of this step's targets, -1 for other tokens
  std::vector<int64_t> first_tokens_;             // (groups + 1)
  std::vector<std::pair<int32_t, float>> drawn_;  // tokens of this step, and 1 / expected
};

}  // namespace makemore
