// Searches best first: the most probable beginning is continued first, so that the first text that
// is complete is the most probable of all.
#include "makemore/completion.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <queue>
#include <string>

#include "base/check.hpp"
#include "base/floating_point.hpp"
#include "makemore/error.hpp"
#include "makemore/model.hpp"
#include "net/token_choice.hpp"

namespace makemore {

namespace {

struct Node {
  int64_t parent;  // a node, or -1: the prefix
  int32_t token;   // 0: the text ends here
  int32_t length;  // tokens, prefix included
};

struct Candidate {
  double log_prob;
  int64_t node;
  // Whether this candidate comes later than the other; among equal ones the first made comes first.
  bool operator<(const Candidate& other) const {
    return log_prob < other.log_prob || (log_prob == other.log_prob && node > other.node);
  }
};

class Search {
 public:
  Search(const NextLogProbs& next, int64_t block_size, int64_t vocab_size,
         std::span<const int32_t> prefix, int64_t k, int64_t max_length)
      : next_(next),
        T_(block_size),
        prefix_(prefix),
        k_(k),
        max_length_(max_length),
        context_(static_cast<size_t>(block_size)),
        log_probs_(static_cast<size_t>(vocab_size)) {}

  Completions run(const Poll& poll) {
    Completions result{{}, false};
    extend({prefix_log_prob(), -1});
    for (int64_t step = 0; !queue_.empty() && std::ssize(result.found) < k_; ++step) {
      if (poll && step % 256 == 0) poll();
      const Candidate best = queue_.top();
      queue_.pop();
      if (nodes_[static_cast<size_t>(best.node)].token == 0) {
        result.found.push_back({text_of(best.node), best.log_prob});
      } else if (std::ssize(nodes_) > kMaxNodes) {
        result.gave_up = true;
        break;
      } else {
        extend(best);
      }
    }
    return result;
  }

 private:
  double prefix_log_prob() {
    double sum = 0;
    const auto length = static_cast<int64_t>(prefix_.size());
    for (int64_t i = 0; i < length; ++i) {
      for (int64_t t = 0; t < T_; ++t) {
        const int64_t place = i - T_ + t;
        context_[static_cast<size_t>(t)] = place < 0 ? 0 : prefix_[static_cast<size_t>(place)];
      }
      sum += predict(i)[prefix_[static_cast<size_t>(i)]];
    }
    return sum;
  }

  // Makes a candidate for each token that may follow.
  void extend(const Candidate& beginning) {
    const int64_t length = length_of(beginning.node);
    set_context(beginning.node);
    const float* const log_probs = predict(length);
    const int64_t V = std::ssize(log_probs_);
    for (int32_t token = 0; token < (length < max_length_ ? V : 1); ++token) {
      const double log_prob = beginning.log_prob + log_probs[token];
      if (log_prob == -HUGE_VAL || is_beaten(log_prob)) continue;
      if (token == 0) remember_end(log_prob);
      queue_.push({log_prob, std::ssize(nodes_)});
      nodes_.push_back({beginning.node, token, static_cast<int32_t>(length + (token != 0))});
    }
  }

  // Whether k complete texts are known that are at least this probable.
  bool is_beaten(double log_prob) const {
    return std::ssize(best_ends_) == k_ && log_prob <= best_ends_.top();
  }
  void remember_end(double log_prob) {
    best_ends_.push(log_prob);
    if (std::ssize(best_ends_) > k_) best_ends_.pop();
  }

  // Sets the context of the token after a node: the node's last T tokens, preceded by tokens of the
  // prefix and boundaries.
  void set_context(int64_t node) {
    auto place = std::ssize(prefix_);
    for (int64_t t = T_ - 1; t >= 0; --t) {
      int32_t token = 0;
      if (node >= 0) {
        token = nodes_[static_cast<size_t>(node)].token;
        node = nodes_[static_cast<size_t>(node)].parent;
      } else if (place > 0) {
        token = prefix_[static_cast<size_t>(--place)];
      }
      context_[static_cast<size_t>(t)] = token;
    }
  }

  const float* predict(int64_t position) {
    next_(log_probs_.data(), context_.data(), 1);
    double sum = 0;
    for (const float log_p : log_probs_) sum += std::exp(double{log_p});
    if (!is_sum_of_distribution(sum)) throw not_a_distribution(position, "a completion");
    return log_probs_.data();
  }

  int64_t length_of(int64_t node) const {
    return node < 0 ? std::ssize(prefix_) : nodes_[static_cast<size_t>(node)].length;
  }

  std::vector<int32_t> text_of(int64_t node) const {
    std::vector<int32_t> text;
    for (node = nodes_[static_cast<size_t>(node)].parent; node >= 0;
         node = nodes_[static_cast<size_t>(node)].parent) {
      text.push_back(nodes_[static_cast<size_t>(node)].token);
    }
    text.insert(text.end(), prefix_.rbegin(), prefix_.rend());
    std::reverse(text.begin(), text.end());
    return text;
  }

  const NextLogProbs& next_;
  int64_t T_;
  std::span<const int32_t> prefix_;
  int64_t k_, max_length_;
  std::vector<int32_t> context_;
  std::vector<float> log_probs_;
  std::vector<Node> nodes_;
  std::priority_queue<Candidate> queue_;
  std::priority_queue<double, std::vector<double>, std::greater<>> best_ends_;
};

}  // namespace

Completions complete(const NextLogProbs& next, int64_t block_size, int64_t vocab_size,
                     std::span<const int32_t> prefix, int64_t k, int64_t max_length,
                     const Poll& poll) {
  const PlainFloatingPoint mode;
  const auto prefix_length = static_cast<int64_t>(prefix.size());
  check_in_range("block_size", block_size, 1, kMaxBlockSize);
  check_in_range("vocab_size", vocab_size, 1, kMaxVocabSize);
  check_in_range("k", k, 1, kMaxCompletions);
  check_in_range("max_length", max_length, 1, kMaxSampleLength);
  check_token_vector("prefix", prefix.data(), prefix_length, vocab_size);
  if (prefix_length > max_length) {
    throw ArgumentError("the prefix has " + std::to_string(prefix_length) +
                        " tokens, more than max_length " + std::to_string(max_length));
  }
  return Search(next, block_size, vocab_size, prefix, k, max_length).run(poll);
}

}  // namespace makemore
