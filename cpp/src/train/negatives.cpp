// Deville's systematic sampling in whole numbers, so that every machine draws the same tokens.
#include "train/negatives.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "makemore/random.hpp"

namespace makemore {

namespace {

// A weight is the root of 1 + a count, in units of 1 / kUnitsOfWeight.
constexpr double kUnitsOfWeight = 1024;

constexpr int64_t kTargetsPerPoll = 1 << 20;

// The whole number in [0, n) that a random word chooses; n is below 2^37.
int64_t whole_below(int64_t n, uint64_t word) {
  const double u = static_cast<double>(word >> 11) * 0x1p-53;
  return std::min(static_cast<int64_t>(u * static_cast<double>(n)), n - 1);
}

}  // namespace

Negatives::Negatives(const int32_t* Y, int64_t N, int64_t vocab_size, int64_t negatives,
                     int64_t batch_size, int64_t groups, uint64_t seed, const Poll& poll)
    : negatives_(negatives),
      seed_(seed),
      weights_(static_cast<size_t>(vocab_size)),
      order_(static_cast<size_t>(vocab_size)),
      place_(static_cast<size_t>(vocab_size), -1),
      first_tokens_(static_cast<size_t>(groups) + 1) {
  others_.reserve(static_cast<size_t>(vocab_size));
  for (int64_t i = 0; i < N; ++i) {
    if (i % kTargetsPerPoll == 0 && poll) poll();
    const int32_t token = Y[i];  // read once: the caller may change it at the same time
    if (token >= 0 && token < vocab_size) ++weights_[static_cast<size_t>(token)];
  }
  for (int64_t& weight : weights_) {  // a count becomes a weight
    weight = static_cast<int64_t>(kUnitsOfWeight * std::sqrt(static_cast<double>(weight + 1)));
    total_weight_ += weight;
  }
  std::iota(order_.begin(), order_.end(), 0);
  std::stable_sort(order_.begin(), order_.end(), [&](int32_t a, int32_t b) {
    return weights_[static_cast<size_t>(a)] > weights_[static_cast<size_t>(b)];
  });
  cut_in_groups(N, batch_size);
}

// The groups are ranges of tokens in which the expected numbers of candidates are equal.  These
// numbers need not be exact, since any cut gives a right result.
void Negatives::cut_in_groups(int64_t N, int64_t batch_size) {
  const auto weight_of = [&](size_t token) { return static_cast<double>(weights_[token]); };
  std::vector<double> missed;  // the probabilities that a token is no target of a step
  double left = static_cast<double>(negatives_), total = 0;
  for (size_t token = 0; token < weights_.size(); ++token) {
    const double root = weight_of(token) / kUnitsOfWeight, count = root * root - 1;
    const double mean = count * static_cast<double>(batch_size) / static_cast<double>(N);
    const double base = 1 + mean / 4;
    missed.push_back(1 / (base * base * base * base));  // about e^-mean
    total += missed.back() * weight_of(token);
  }
  for (const int32_t number : order_) {  // those that are drawn for certain, as in `draw`
    const auto token = static_cast<size_t>(number);
    if (left <= 0 || left * weight_of(token) < total) break;
    total -= missed[token] * weight_of(token);
    left -= missed[token];
  }
  const double of_weight = left > 0 && total > 0 ? left / total : 0;
  std::vector<double> ends;  // the expected number of candidates up to each token
  double sum = 0;
  for (size_t token = 0; token < weights_.size(); ++token) {
    const double drawn = std::min(weight_of(token) * of_weight, 1.0);
    ends.push_back(sum += 1 - missed[token] * (1 - drawn));
  }
  const auto groups = static_cast<double>(first_tokens_.size() - 1);
  for (size_t g = 1; g + 1 < first_tokens_.size(); ++g) {
    const double begin = sum * static_cast<double>(g) / groups;
    first_tokens_[g] = std::upper_bound(ends.begin(), ends.end(), begin) - ends.begin();
  }
  first_tokens_.back() = std::ssize(weights_);
}

void Negatives::draw(const Kernels& kernel, Candidates& to, uint64_t step, const int32_t* Y,
                     int64_t B) {
  const auto weight_of = [&](int32_t token) { return weights_[static_cast<size_t>(token)]; };
  drawn_.clear();
  int64_t total = total_weight_;  // the weight of the tokens that can still be drawn
  const auto take = [&](int32_t token, float expected) {
    drawn_.emplace_back(token, 1 / expected);
  };
  for (int64_t b = 0; b < B; ++b) {
    int32_t& place = place_[static_cast<size_t>(Y[b])];
    if (place >= 0) continue;
    place = 0;  // sort_by_group finds the right one
    total -= weight_of(Y[b]);
    take(Y[b], 1);
  }
  const int64_t targets = std::ssize(drawn_);
  others_.clear();
  for (const int32_t token : order_) {
    if (place_[static_cast<size_t>(token)] < 0) others_.push_back(token);
  }

  auto next = others_.begin();
  int64_t left = std::min(negatives_, static_cast<int64_t>(others_.size()));
  for (; left > 0 && left * weight_of(*next) >= total; --left) {  // drawn for certain
    total -= weight_of(*next);
    take(*next++, 1);
  }
  // The other tokens lie on a line; each is as long as `left` times its weight, which is less than
  // `total`.  The line is cut into `left` parts of the length `total`, and each gives one token.
  const RandomStream stream(seed_, Purpose::negatives, step);
  const float expected_of_weight = static_cast<float>(left) / static_cast<float>(total);
  int64_t end = left > 0 ? left * weight_of(*next) : 0;  // where `next` ends in the present part
  bool is_taken = false;  // whether the part before has taken the token at the beginning
  for (int64_t part = 0; part < left; ++part) {
    const auto words = stream.block(static_cast<uint32_t>(part));
    const auto word64 = [&](size_t i) { return uint64_t{words[i + 1]} << 32 | words[i]; };
    const auto go_to = [&](int64_t point) {  // makes `next` the token on this point
      while (end <= point) end += left * weight_of(*++next);
    };
    // A token that reaches in from the part before, and was not taken there, is taken now with the
    // probability that makes up for that; otherwise a random point behind it chooses the token.
    const int64_t before = left * weight_of(*next) - end;
    const bool reaches_in = before > 0;
    const int64_t after = reaches_in ? end : 0;
    if (!reaches_in || is_taken || whole_below(total - before, word64(0)) >= after) {
      go_to(after + whole_below(total - after, word64(2)));
    }
    take(*next, static_cast<float>(weight_of(*next)) * expected_of_weight);
    const auto taken = next;
    if (part + 1 == left) break;
    go_to(total);
    is_taken = next == taken;
    end -= total;
  }
  sort_by_group(to, targets);
  kernel.log(to.corrections.get(), to.corrections.get(), std::ssize(drawn_));
  for (int64_t b = 0; b < B; ++b) to.places[b] = place_[static_cast<size_t>(Y[b])];
  for (int64_t b = 0; b < B; ++b) place_[static_cast<size_t>(Y[b])] = -1;
}

// Copies what is drawn to its places, and notes those of the targets, which are drawn first.
void Negatives::sort_by_group(Candidates& to, int64_t targets) {
  const auto group_of = [&](int32_t token) {
    const auto first = first_tokens_.begin() + 1;
    return static_cast<size_t>(std::upper_bound(first, first_tokens_.end() - 1, token) - first);
  };
  to.starts.assign(first_tokens_.size(), 0);
  for (const auto& [token, _] : drawn_) ++to.starts[group_of(token)];
  int64_t end = 0;
  for (int64_t& start : to.starts) start = end += start;  // the end of each group
  for (int64_t i = std::ssize(drawn_) - 1; i >= 0; --i) {
    const auto& [token, inverse] = drawn_[static_cast<size_t>(i)];
    const int64_t place = --to.starts[group_of(token)];
    to.tokens[place] = token;
    to.corrections[place] = inverse;
    if (i < targets) place_[static_cast<size_t>(token)] = static_cast<int32_t>(place);
  }
}

}  // namespace makemore
