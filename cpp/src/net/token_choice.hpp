// Chooses the next token of a sample from a distribution.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "makemore/error.hpp"

namespace makemore {

class TokenChoice {
 public:
  // The options are those of SampleOptions; top_k = 0 keeps all tokens.
  explicit TokenChoice(int64_t vocab_size, double temperature = 1, int64_t top_k = 0,
                       double top_p = 1);

  // cumulative[v] = the sum of the weights of tokens 0 to v after temperature, top_k and top_p;
  // token 0 has no weight unless the text may end.  Returns false where log_probs (V) is not the
  // logarithm of a distribution.
  bool cumulate(double* cumulative, const float* log_probs, bool may_end);

 private:
  void sharpen(double* weights, const float* log_probs, int64_t n) const;
  void keep_most_probable(double* weights);

  int64_t V_;
  double temperature_;
  int64_t top_k_;
  double top_p_;
  std::vector<int32_t> order_;  // scratch: tokens, the most probable first
};

// Returns the first token whose cumulative weight exceeds u times the sum of all, u in [0, 1);
// where rounding leaves none, the token that completes the sum; -1 where no token has a weight.
int32_t choose_token(const double* cumulative, int64_t V, double u);

// Whether `sum` can be the sum of the probabilities of a distribution.
bool is_sum_of_distribution(double sum);
// The error for a prediction whose sum cannot be that; `of_what` names the text.
ArgumentError not_a_distribution(int64_t position, const std::string& of_what);

}  // namespace makemore
