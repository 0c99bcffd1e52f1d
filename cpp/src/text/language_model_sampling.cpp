// Draws samples of a frozen net: with a table of all contexts where many are drawn, else side by
// side.
#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <optional>

#include "base/check.hpp"
#include "base/floating_point.hpp"
#include "base/thread_pool.hpp"
#include "makemore/language_model.hpp"
#include "makemore/random.hpp"
#include "net/frozen_net.hpp"
#include "net/token_choice.hpp"

namespace makemore {

namespace {

// The number of samples that are drawn side by side: equal contexts are found among so many.
constexpr int64_t kSideBySide = 1 << 13;
// The number of samples that are drawn by a table between two checks for other threads' errors.
constexpr int64_t kSamplesPerTask = 1 << 10;

// The uniform numbers of one sample, drawn for two positions at a time.
class Uniforms {
 public:
  Uniforms(uint64_t seed, uint64_t sample) : seed_(seed), sample_(sample) {}
  double at(int64_t position) {
    if (position / 2 != pair_) {
      pair_ = position / 2;
      numbers_ = sample_uniforms(seed_, sample_, static_cast<uint64_t>(pair_));
    }
    return numbers_[static_cast<size_t>(position % 2)];
  }

 private:
  uint64_t seed_, sample_;
  int64_t pair_ = -1;
  std::array<double, 2> numbers_{};
};

void append(Samples& all, const Samples& part) {
  const int64_t before = std::ssize(all.tokens);
  all.tokens.insert(all.tokens.end(), part.tokens.begin(), part.tokens.end());
  for (size_t i = 1; i < part.offsets.size(); ++i) all.offsets.push_back(before + part.offsets[i]);
  all.endings.insert(all.endings.end(), part.endings.begin(), part.endings.end());
}

}  // namespace

struct Sampler::State {
  std::shared_ptr<const FrozenNet> net;
  SampleOptions options;
  std::vector<int32_t> prefix;
  // Cumulative weights of every context (V^T,V), where the text may end and where it may not yet.
  MadeOnce<Buffer<double>> may_end, may_not_end;
  std::atomic<int64_t> uses{0};  // the expected number of contexts of all samples so far

  Buffer<double> cumulative(const float* log_probs, bool ending, int threads) const;
  Samples side_by_side(uint64_t first, int64_t n, int threads, const Poll& poll) const;
  Samples by_table(const double* ending, const double* not_ending, uint64_t first, int64_t n,
                   int threads, const Poll& poll) const;
  void draw(Samples& samples, const double* ending, const double* not_ending,
            uint64_t sample) const;
};

Sampler::Sampler(const LanguageModel& model, const SampleOptions& options, std::string_view prefix)
    : state_(std::make_shared<State>()) {
  state_->net = model.net_;
  state_->options = options;
  state_->prefix = model.vocabulary().encode(prefix);
  check_sample_options(options, std::ssize(state_->prefix));
}

Samples Sampler::draw(uint64_t first, int64_t n, int threads, const Poll& poll) const {
  const PlainFloatingPoint mode;
  check_in_range("n", n, 0, kMaxSamplesAtOnce);
  State& state = *state_;
  const int team = checked_threads(threads);
  // The table pays once samples are expected to need as many contexts as it has rows.
  constexpr int64_t kTypicalLength = 8;
  const int64_t expected = n * kTypicalLength, contexts = state.net->contexts();
  if (contexts > 0 && state.uses.fetch_add(expected) + expected >= contexts) {
    const float* log_probs = state.net->table(expected, team, poll);
    const Buffer<double>*ending = nullptr, *not_ending = nullptr;
    if (log_probs != nullptr) {
      ending = state.may_end.get_or_make([&] { return state.cumulative(log_probs, true, team); });
      const bool only_ending = state.options.min_length == 0;
      not_ending = only_ending ? ending : state.may_not_end.get_or_make([&] {
        return state.cumulative(log_probs, false, team);
      });
    }
    if (ending != nullptr && not_ending != nullptr) {
      return state.by_table(ending->get(), not_ending->get(), first, n, team, poll);
    }
  }
  return state.side_by_side(first, n, team, poll);
}

Samples Sampler::State::side_by_side(uint64_t first, int64_t n, int threads,
                                     const Poll& poll) const {
  const int64_t T = net->sizes().block_size, V = net->sizes().vocab_size;
  const auto next = [&](float* out, const int32_t* X, int64_t N) {
    net->log_probs(out, X, N, threads, poll);
  };
  const int64_t at_once = std::clamp((int64_t{1} << 22) / T, int64_t{1}, kSideBySide);
  Samples all{{}, {0}, {}};
  for (int64_t begin = 0; begin < n; begin += at_once) {
    append(all, draw_samples(next, T, V, options, prefix, first + static_cast<uint64_t>(begin),
                             std::min(at_once, n - begin), poll));
  }
  return all;
}

Buffer<double> Sampler::State::cumulative(const float* log_probs, bool ending, int threads) const {
  const int64_t V = net->sizes().vocab_size, contexts = net->contexts();
  Buffer<double> all(contexts * V);
  const int64_t blocks = std::min(contexts, Team::kMaxTasks);
  for_each_block(blocks, threads, [&](int64_t block) {
    TokenChoice choice(V, options.temperature, options.top_k, options.top_p);
    const Range part = share_of(contexts, block, blocks);
    for (int64_t i = part.begin; i < part.end; ++i) {
      // Logits may overflow in a context that no sample reaches: draw refuses a sample that does.
      if (!choice.cumulate(&all[i * V], log_probs + i * V, ending)) all[i * V + V - 1] = NAN;
    }
  });
  return all;
}

Samples Sampler::State::by_table(const double* ending, const double* not_ending, uint64_t first,
                                 int64_t n, int threads, const Poll& poll) const {
  const int64_t blocks = std::clamp(n / kSamplesPerTask, int64_t{1}, Team::kMaxTasks);
  std::vector<Samples> parts(static_cast<size_t>(blocks), Samples{{}, {0}, {}});
  run_team(static_cast<int>(std::min<int64_t>(threads, blocks)), [&](Team& team) {
    team.run(blocks, [&](int64_t block) {
      const Range part = share_of(n, block, blocks);
      for (int64_t i = part.begin; i < part.end; ++i) {
        if ((i - part.begin) % kSamplesPerTask == 0) {
          team.check();
          if (poll && team.rank() == 0) poll();
        }
        draw(parts[static_cast<size_t>(block)], ending, not_ending,
             first + static_cast<uint64_t>(i));
      }
    });
  });
  Samples all{{}, {0}, {}};
  for (const Samples& part : parts) append(all, part);
  return all;
}

void Sampler::State::draw(Samples& samples, const double* ending, const double* not_ending,
                          uint64_t sample) const {
  const int64_t T = net->sizes().block_size, V = net->sizes().vocab_size;
  const int64_t oldest_digit = net->contexts() / V;
  std::vector<int32_t>& tokens = samples.tokens;
  const int64_t begin = std::ssize(tokens);
  int64_t context = 0;  // a number whose digits are the context's tokens
  const auto take = [&](int32_t token) {
    const int64_t oldest = std::ssize(tokens) - T;
    if (oldest >= begin) context -= tokens[static_cast<size_t>(oldest)] * oldest_digit;
    context = context * V + token;
    tokens.push_back(token);
  };
  for (const int32_t token : prefix) take(token);
  Uniforms uniforms(options.seed, sample);
  Ending how = Ending::end;
  for (int64_t position = std::ssize(prefix);; ++position) {
    const double* const table = position >= options.min_length ? ending : not_ending;
    if (std::isnan(table[context * V + V - 1])) {
      throw not_a_distribution(position, "sample " + std::to_string(sample));
    }
    const int32_t token = choose_token(table + context * V, V, uniforms.at(position));
    if (token <= 0 || position == options.max_length) {
      if (token < 0) how = Ending::stuck;
      if (token > 0) how = Ending::cut;
      break;
    }
    take(token);
  }
  samples.offsets.push_back(std::ssize(tokens));
  samples.endings.push_back(how);
}

std::vector<Sample> LanguageModel::sample(int64_t n, const SampleOptions& options,
                                          std::string_view prefix, int threads,
                                          const Poll& poll) const {
  check_in_range("n", n, 0, kMaxSamplesAtOnce);
  const Samples drawn = Sampler(*this, options, prefix).draw(0, n, threads, poll);
  std::vector<Sample> samples;
  samples.reserve(static_cast<size_t>(n));
  for (size_t i = 0; i < drawn.endings.size(); ++i) {
    const auto begin = static_cast<size_t>(drawn.offsets[i]);
    const auto end = static_cast<size_t>(drawn.offsets[i + 1]);
    samples.push_back({vocabulary().decode(std::span(drawn.tokens).subspan(begin, end - begin)),
                       drawn.endings[i]});
  }
  return samples;
}

}  // namespace makemore
