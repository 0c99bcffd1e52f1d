// Draws many samples side by side, token after token; the model predicts once for equal contexts.
#include "makemore/sampling.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "base/check.hpp"
#include "base/floating_point.hpp"
#include "makemore/error.hpp"
#include "makemore/random.hpp"
#include "net/distinct_contexts.hpp"
#include "net/token_choice.hpp"

namespace makemore {

namespace {

[[noreturn]] void refuse(const char* name, double value, const char* rule) {
  throw ArgumentError(std::string(name) + " is " + shown(value) + "; it must be " + rule);
}

class Drawing {
 public:
  Drawing(const NextLogProbs& next, int64_t block_size, int64_t vocab_size,
          const SampleOptions& options, std::span<const int32_t> prefix, uint64_t first, int64_t n)
      : next_(next),
        T_(block_size),
        V_(vocab_size),
        options_(options),
        first_(first),
        choice_(vocab_size, options.temperature, options.top_k, options.top_p),
        cumulative_(static_cast<size_t>(vocab_size)),
        distinct_(block_size, n, true),
        texts_(static_cast<size_t>(n), {prefix.begin(), prefix.end()}),
        endings_(static_cast<size_t>(n), Ending::end),
        going_(static_cast<size_t>(n)),
        rows_(static_cast<size_t>(n)),
        contexts_(n * block_size),
        tokens_(n) {
    std::iota(going_.begin(), going_.end(), 0);
    std::iota(rows_.begin(), rows_.end(), 0);
    const int64_t known = std::min(static_cast<int64_t>(prefix.size()), T_);
    for (int64_t i = 0; i < n; ++i) {
      std::copy(prefix.end() - known, prefix.end(), &contexts_[(i + 1) * T_ - known]);
    }
  }

  bool done() const { return going_.empty(); }

  // Draws the token at `position` of all samples that go on.
  void draw(int64_t position) {
    distinct_.build(contexts_.get(), rows_.data(), static_cast<int64_t>(going_.size()));
    const int64_t at_once = std::max<int64_t>(1, kMaxProbabilities / V_);
    log_probs_.resize(static_cast<size_t>(std::min(at_once, distinct_.count()) * V_));
    for (int64_t begin = 0; begin < distinct_.count(); begin += at_once) {
      const int64_t n = std::min(at_once, distinct_.count() - begin);
      next_(log_probs_.data(), distinct_.X() + begin * T_, n);
      for (int64_t i = 0; i < n; ++i) choose(position, begin + i, log_probs_.data() + i * V_);
    }
    append(position);
  }

  Samples result() {
    Samples all{{}, {0}, std::move(endings_)};
    for (const std::vector<int32_t>& text : texts_) {
      all.tokens.insert(all.tokens.end(), text.begin(), text.end());
      all.offsets.push_back(static_cast<int64_t>(all.tokens.size()));
    }
    return all;
  }

 private:
  static constexpr int64_t kMaxProbabilities = 1 << 22;  // at once: 16 MiB

  // Chooses the tokens of all samples that share a context.
  void choose(int64_t position, int64_t context, const float* log_probs) {
    const int32_t* const rows = distinct_.Y() + distinct_.starts()[context];
    const int32_t* const end = distinct_.Y() + distinct_.starts()[context + 1];
    if (!choice_.cumulate(cumulative_.data(), log_probs, position >= options_.min_length)) {
      throw not_a_distribution(position, "sample " + std::to_string(number_of(*rows)));
    }
    for (const int32_t* row = rows; row != end; ++row) {
      const double u =
          sample_uniform(options_.seed, number_of(*row), static_cast<uint64_t>(position));
      tokens_[*row] = choose_token(cumulative_.data(), V_, u);
    }
  }

  // Appends the chosen tokens, and keeps the samples that go on, in their order.
  void append(int64_t position) {
    size_t kept = 0;
    for (size_t row = 0; row < going_.size(); ++row) {
      const auto sample = static_cast<size_t>(going_[row]);
      const int32_t token = tokens_[static_cast<int64_t>(row)];
      if (token == 0) continue;
      if (token < 0 || position == options_.max_length) {
        endings_[sample] = token < 0 ? Ending::stuck : Ending::cut;
        continue;
      }
      texts_[sample].push_back(token);
      const int32_t* const from = &contexts_[static_cast<int64_t>(row) * T_];
      int32_t* const to = &contexts_[static_cast<int64_t>(kept) * T_];
      std::copy(from + 1, from + T_, to);
      to[T_ - 1] = token;
      going_[kept++] = going_[row];
    }
    going_.resize(kept);
  }

  uint64_t number_of(int32_t row) const {
    return first_ + static_cast<uint64_t>(going_[static_cast<size_t>(row)]);
  }

  const NextLogProbs& next_;
  int64_t T_, V_;
  const SampleOptions& options_;
  uint64_t first_;
  TokenChoice choice_;
  std::vector<double> cumulative_;
  DistinctContexts distinct_;
  std::vector<float> log_probs_;
  std::vector<std::vector<int32_t>> texts_;  // (n)
  std::vector<Ending> endings_;              // (n)
  std::vector<int32_t> going_;               // the samples that go on, in order
  std::vector<int32_t> rows_;                // 0 1 2 ...
  Buffer<int32_t> contexts_, tokens_;        // (n,T) (n), for the samples that go on
};

}  // namespace

void check_sample_options(const SampleOptions& options, int64_t prefix_length) {
  if (!(options.temperature >= 0 && std::isfinite(options.temperature))) {
    refuse("temperature", options.temperature, "finite and not negative");
  }
  check_at_least("top_k", options.top_k, 0);
  if (!(options.top_p > 0 && options.top_p <= 1)) refuse("top_p", options.top_p, "in (0, 1]");
  check_in_range("max_length", options.max_length, 1, kMaxSampleLength);
  check_in_range("min_length", options.min_length, 0, options.max_length);
  if (prefix_length > options.max_length) {
    throw ArgumentError("the prefix has " + std::to_string(prefix_length) +
                        " tokens, more than max_length " + std::to_string(options.max_length));
  }
}

Samples draw_samples(const NextLogProbs& next, int64_t block_size, int64_t vocab_size,
                     const SampleOptions& options, std::span<const int32_t> prefix, uint64_t first,
                     int64_t n, const Poll& poll) {
  const PlainFloatingPoint mode;
  const auto prefix_length = static_cast<int64_t>(prefix.size());
  check_sample_options(options, prefix_length);
  check_in_range("block_size", block_size, 1, kMaxBlockSize);
  check_in_range("vocab_size", vocab_size, 1, kMaxVocabSize);
  check_token_vector("prefix", prefix.data(), prefix_length, vocab_size);
  check_in_range("n", n, 0, kMaxSamplesAtOnce);
  Drawing drawing(next, block_size, vocab_size, options, prefix, first, n);
  for (int64_t position = prefix_length; !drawing.done(); ++position) {
    if (poll) poll();
    drawing.draw(position);
  }
  return drawing.result();
}

}  // namespace makemore
