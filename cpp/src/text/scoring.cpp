// Scores come from the table of all contexts where there is one; else from the net, which runs once
// for every distinct context of a window of predictions.
#include "text/scoring.hpp"

#include <algorithm>
#include <limits>
#include <vector>

#include "base/floating_point.hpp"
#include "base/thread_pool.hpp"
#include "net/distinct_contexts.hpp"

namespace makemore {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct Texts {
  std::span<const int32_t> tokens;
  std::span<const int64_t> offsets;
  int64_t count() const { return static_cast<int64_t>(offsets.size()) - 1; }
  int64_t begin(int64_t text) const { return offsets[static_cast<size_t>(text)]; }
  int64_t length(int64_t text) const { return begin(text + 1) - begin(text); }
  const int32_t* of(int64_t text) const { return tokens.data() + begin(text); }
  // The number of predictions before a text, one for each token and each end.
  int64_t predictions(int64_t text) const { return begin(text) + text; }
};

// -- with the table -------------------------------------------------------------------------------

// Calls take(ln p) for each token of one text and its end.
template <typename Take>
void look_up(const float* table, const FrozenNet& net, const int32_t* tokens, int64_t length,
             const Take& take) {
  const int64_t T = net.sizes().block_size, V = net.sizes().vocab_size;
  const int64_t oldest_digit = net.contexts() / V;
  int64_t context = 0;  // a number whose digits are the context's tokens
  for (int64_t i = 0; i <= length; ++i) {
    const int64_t token = i < length ? tokens[i] : 0;
    take(table[context * V + token]);
    const int64_t oldest = i >= T ? tokens[i - T] : 0;
    context = (context - oldest * oldest_digit) * V + token;
  }
}

bool has_unknown(std::span<const int32_t> tokens) {
  int32_t signs = 0;  // the loop has no exit inside, so that it is vectorised
  for (const int32_t token : tokens) signs |= token;
  return signs < 0;
}

double looked_up_score(const float* table, const FrozenNet& net, const int32_t* tokens,
                       int64_t length) {
  double sum = 0;
  look_up(table, net, tokens, length, [&](float log_p) { sum += log_p; });
  return sum;
}

// -- without the table ----------------------------------------------------------------------------

// The number of predictions among which equal contexts are found.
int64_t window_rows(const FrozenNet& net, int64_t predictions) {
  constexpr int64_t kMaxRows = 1 << 17, kMaxTokens = 1 << 21;
  return std::min(std::clamp(kMaxTokens / net.sizes().block_size, int64_t{1}, kMaxRows),
                  predictions);
}

// One thread's window of predictions, which collects contexts until it is full.
class Window {
 public:
  Window(const FrozenNet& net, int64_t rows)
      : net_(net),
        T_(net.sizes().block_size),
        rows_(rows),
        distinct_(T_, rows, true),
        scratch_(net, std::min(rows, net.max_target_rows())),
        X_(rows * T_),
        Y_(rows),
        numbers_(rows),
        texts_(rows),
        log_p_(rows),
        targets_(rows),
        target_log_p_(rows) {
    for (int64_t i = 0; i < rows; ++i) numbers_[i] = static_cast<int32_t>(i);
  }

  // Calls take(text, ln p) for each token and end of the texts of a part, in order; for a text with
  // a token below 0 it calls take(text, -inf) once.
  template <typename Take>
  void run(const Texts& texts, Range part, Take take, const std::function<void()>& check) {
    for (int64_t text = part.begin; text < part.end; ++text) {
      const int32_t* const tokens = texts.of(text);
      const int64_t length = texts.length(text);
      if (has_unknown({tokens, static_cast<size_t>(length)})) {
        take(text, -kInfinity);
        continue;
      }
      for (int64_t i = 0; i <= length; ++i) {
        int32_t* const x = &X_[filled_ * T_];
        for (int64_t t = 0; t < T_; ++t) x[t] = i - T_ + t >= 0 ? tokens[i - T_ + t] : 0;
        Y_[filled_] = i < length ? tokens[i] : 0;
        texts_[filled_] = text;
        if (++filled_ == rows_) empty(take, check);
      }
    }
    empty(take, check);
  }

 private:
  template <typename Take>
  void empty(Take& take, const std::function<void()>& check) {
    distinct_.build(X_.get(), numbers_.get(), filled_);
    for (int64_t k = 0; k < filled_; ++k) targets_[k] = Y_[distinct_.Y()[k]];
    for (int64_t first = 0; first < distinct_.count(); first += net_.max_target_rows()) {
      check();
      const int64_t n = std::min(net_.max_target_rows(), distinct_.count() - first);
      net_.target_log_probs(target_log_p_.get(), distinct_.X() + first * T_,
                            distinct_.starts() + first, targets_.get(), n, scratch_);
    }
    for (int64_t k = 0; k < filled_; ++k) log_p_[distinct_.Y()[k]] = target_log_p_[k];
    for (int64_t row = 0; row < filled_; ++row) take(texts_[row], log_p_[row]);
    filled_ = 0;
  }

  const FrozenNet& net_;
  int64_t T_, rows_;
  int64_t filled_ = 0;
  DistinctContexts distinct_;
  FrozenNet::Scratch scratch_;
  Buffer<int32_t> X_, Y_, numbers_;  // contexts (rows,T), targets (rows), 0 1 2 ... (rows)
  Buffer<int64_t> texts_;            // (rows)
  Buffer<float> log_p_;              // (rows)
  Buffer<int32_t> targets_;          // (rows), sorted by context
  Buffer<float> target_log_p_;       // (rows)
};

// The texts of part `block` of `blocks`; the parts have about equally many predictions.
Range texts_of_block(const Texts& texts, int64_t block, int64_t blocks) {
  const int64_t all = texts.predictions(texts.count());
  const auto first_text_from = [&](int64_t prediction) {
    int64_t low = 0, high = texts.count();
    while (low < high) {
      const int64_t middle = (low + high) / 2;
      if (texts.predictions(middle) < prediction) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  };
  const Range part = share_of(all, block, blocks);
  return {first_text_from(part.begin), first_text_from(part.end)};
}

// Calls look_up_text(text) for each text.
template <typename LookUp>
void for_each_text(const Texts& texts, int threads, const Poll& poll, const LookUp& look_up_text) {
  constexpr int64_t kMinPredictions = 1 << 14;  // fewer do not pay for waking a thread
  const int64_t predictions = texts.predictions(texts.count());
  const int64_t blocks = std::clamp(predictions / kMinPredictions, int64_t{1}, Team::kMaxTasks);
  run_team(static_cast<int>(std::min<int64_t>(threads, blocks)), [&](Team& team) {
    team.run(blocks, [&](int64_t block) {
      const Range part = texts_of_block(texts, block, blocks);
      for (int64_t text = part.begin; text < part.end; ++text) look_up_text(text);
      team.check();
      if (poll && team.rank() == 0) poll();
    });
  });
}

// Computes all log-probabilities; take_part(part) returns the function that takes those of a part.
template <typename TakePart>
void compute(const FrozenNet& net, const Texts& texts, int threads, const Poll& poll,
             const TakePart& take_part) {
  // Larger windows find more equal contexts; more windows keep more threads busy.
  constexpr int64_t kMinRows = 1 << 11;
  const int64_t predictions = texts.predictions(texts.count());
  const int64_t most = window_rows(net, predictions);
  const int64_t rows =
      std::clamp((predictions + threads - 1) / threads, std::min(kMinRows, most), most);
  const int64_t blocks = std::min((predictions + rows - 1) / rows, Team::kMaxTasks);
  run_team(static_cast<int>(std::min<int64_t>(threads, blocks)), [&](Team& team) {
    Window window(net, rows);
    const auto check = [&] {
      team.check();
      if (poll && team.rank() == 0) poll();
    };
    team.run(blocks, [&](int64_t block) {
      const Range part = texts_of_block(texts, block, blocks);
      window.run(texts, part, take_part(part), check);
    });
  });
}

}  // namespace

void score_tokens(double* out, const FrozenNet& net, std::span<const int32_t> tokens,
                  std::span<const int64_t> offsets, int threads, const Poll& poll) {
  const PlainFloatingPoint mode;
  const Texts texts{tokens, offsets};
  if (texts.count() == 0) return;
  if (const float* table = net.table(texts.predictions(texts.count()), threads, poll)) {
    const bool some_unknown = has_unknown(tokens);
    for_each_text(texts, threads, poll, [&](int64_t text) {
      const int32_t* const its = texts.of(text);
      const int64_t length = texts.length(text);
      const bool is_possible = !some_unknown || !has_unknown({its, static_cast<size_t>(length)});
      out[text] = is_possible ? looked_up_score(table, net, its, length) : -kInfinity;
    });
    return;
  }
  std::fill_n(out, texts.count(), 0.0);
  compute(net, texts, threads, poll,
          [&](Range) { return [out](int64_t text, double log_p) { out[text] += log_p; }; });
}

void token_surprisals(double* out, const FrozenNet& net, std::span<const int32_t> tokens,
                      std::span<const int64_t> offsets, int threads, const Poll& poll) {
  const PlainFloatingPoint mode;
  const Texts texts{tokens, offsets};
  if (texts.count() == 0) return;
  if (const float* table = net.table(texts.predictions(texts.count()), threads, poll)) {
    for_each_text(texts, threads, poll, [&](int64_t text) {
      double* next = out + texts.predictions(text);
      look_up(table, net, texts.of(text), texts.length(text),
              [&next](float log_p) { *next++ = -double{log_p}; });
    });
    return;
  }
  compute(net, texts, threads, poll, [&](Range part) {
    return [next = out + texts.predictions(part.begin)](int64_t, double log_p) mutable {
      *next++ = -log_p;
    };
  });
}

}  // namespace makemore
