// Makes weights from log-probabilities, and chooses by a uniform number.
#include "net/token_choice.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace makemore {

TokenChoice::TokenChoice(int64_t vocab_size, double temperature, int64_t top_k, double top_p)
    : V_(vocab_size),
      temperature_(temperature),
      top_k_(top_k > 0 ? std::min(top_k, vocab_size) : vocab_size),
      top_p_(top_p),
      order_(top_k_ < V_ || top_p_ < 1 ? static_cast<size_t>(vocab_size) : 0) {}

bool TokenChoice::cumulate(double* weights, const float* log_probs, bool may_end) {
  double sum = 0;
  for (int64_t v = 0; v < V_; ++v) {
    weights[v] = std::exp(double{log_probs[v]});
    sum += weights[v];
  }
  if (!is_sum_of_distribution(sum)) return false;

  const int64_t first = may_end ? 0 : 1;
  std::fill_n(weights, first, 0.0);
  if (temperature_ != 1 && first < V_) sharpen(weights + first, log_probs + first, V_ - first);
  if (!order_.empty()) keep_most_probable(weights);
  std::partial_sum(weights, weights + V_, weights);
  return true;
}

void TokenChoice::sharpen(double* weights, const float* log_probs, int64_t n) const {
  const int64_t best = std::max_element(log_probs, log_probs + n) - log_probs;  // the first maximum
  const double max = log_probs[best];
  if (max == -std::numeric_limits<double>::infinity()) return;  // no token has a weight
  for (int64_t v = 0; v < n; ++v) {
    weights[v] = temperature_ > 0 ? std::exp((log_probs[v] - max) / temperature_) : 0;
  }
  weights[best] = 1;
}

void TokenChoice::keep_most_probable(double* weights) {
  std::iota(order_.begin(), order_.end(), 0);
  const auto before = [weights](int32_t a, int32_t b) {
    return weights[a] > weights[b] || (weights[a] == weights[b] && a < b);
  };
  const auto end = order_.begin() + top_k_;
  std::partial_sort(order_.begin(), end, order_.end(), before);
  auto kept = end;
  if (top_p_ < 1) {
    const double needed =
        top_p_ * std::accumulate(order_.begin(), end, 0.0,
                                 [weights](double sum, int32_t v) { return sum + weights[v]; });
    double sum = 0;
    for (kept = order_.begin(); kept != end && sum < needed; ++kept) sum += weights[*kept];
  }
  for (; kept != order_.end(); ++kept) weights[*kept] = 0;
}

int32_t choose_token(const double* cumulative, int64_t V, double u) {
  const double total = cumulative[V - 1], target = u * total;
  if (total == 0) return -1;
  // Counting avoids a branch that no predictor could guess; searching pays where tokens are many.
  constexpr int64_t kMaxCounted = 128;
  int64_t token = 0;
  if (V <= kMaxCounted) {
    for (int64_t v = 0; v < V; ++v) token += cumulative[v] <= target;
  } else {
    token = std::upper_bound(cumulative, cumulative + V, target) - cumulative;
  }
  if (token == V) token = std::lower_bound(cumulative, cumulative + V, total) - cumulative;
  return static_cast<int32_t>(token);
}

bool is_sum_of_distribution(double sum) {
  // The sum is 1 but for rounding; the bounds find NaN, and weights that were never normalised.
  return sum > 0 && sum <= 2;
}

ArgumentError not_a_distribution(int64_t position, const std::string& of_what) {
  return ArgumentError("what the model predicts for position " + std::to_string(position) + " of " +
                       of_what + " is not the logarithm of a probability distribution");
}

}  // namespace makemore
