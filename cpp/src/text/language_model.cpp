// The public face of a frozen net, which takes and gives texts.
#include "makemore/language_model.hpp"

#include <algorithm>

#include "base/check.hpp"
#include "base/dispatch.hpp"
#include "base/floating_point.hpp"
#include "base/thread_pool.hpp"
#include "makemore/error.hpp"
#include "net/frozen_net.hpp"
#include "text/scoring.hpp"
#include "text/token_batch.hpp"

namespace makemore {

namespace {

// The context (T) of the token that follows these tokens at the beginning of a text.
std::vector<int32_t> context_behind(std::span<const int32_t> tokens, int64_t T) {
  std::vector<int32_t> context(static_cast<size_t>(T));
  const auto known = std::min(tokens.size(), context.size());
  std::copy(tokens.end() - static_cast<int64_t>(known), tokens.end(),
            context.end() - static_cast<int64_t>(known));
  return context;
}

void check_texts(std::span<const int32_t> tokens, std::span<const int64_t> offsets, int64_t V) {
  if (offsets.empty() || offsets.front() != 0 || offsets.back() != std::ssize(tokens) ||
      !std::is_sorted(offsets.begin(), offsets.end())) {
    throw ArgumentError("offsets must rise from 0 to the number of tokens, " +
                        std::to_string(tokens.size()));
  }
  int32_t highest = -1;  // the loop has no exit inside, so that it is vectorised
  for (const int32_t token : tokens) highest = std::max(highest, token);
  if (highest < V) return;
  const auto high = std::find_if(tokens.begin(), tokens.end(), [V](int32_t t) { return t >= V; });
  check_token_vector("tokens", &*high, 1, V, high - tokens.begin());
}

}  // namespace

LanguageModel::LanguageModel(const SavedModel& model) {
  const PlainFloatingPoint mode;
  check_model(model);
  vocabulary_ = std::make_shared<Vocabulary>(model.vocabulary);
  net_ = std::make_shared<FrozenNet>(model.sizes, model.parameters.view());
}

LanguageModel LanguageModel::load(const std::string& path) {
  return LanguageModel(load_model(path));
}

const Sizes& LanguageModel::sizes() const { return net_->sizes(); }
const Vocabulary& LanguageModel::vocabulary() const { return *vocabulary_; }

void LanguageModel::log_probs(float* out, const int32_t* X, int64_t N, int threads,
                              const Poll& poll) const {
  const PlainFloatingPoint mode;
  check_at_least("the number of contexts", N, 0);
  const int64_t T = sizes().block_size, V = sizes().vocab_size;
  const int team = checked_threads(threads);
  // X is copied first, because another thread may change it between the check and the use.
  const int64_t at_once = std::clamp(int64_t{1 << 20} / T, int64_t{1}, std::max(N, int64_t{1}));
  std::vector<int32_t> copy;
  for (int64_t begin = 0; begin < N; begin += at_once) {
    const int64_t n = std::min(at_once, N - begin);
    copy.assign(X + begin * T, X + (begin + n) * T);
    check_tokens("X", copy.data(), n, T, V, begin);
    net_->log_probs(out + begin * V, copy.data(), n, team, poll);
  }
}

void LanguageModel::next(float* probs, std::string_view prefix) const {
  const PlainFloatingPoint mode;
  const std::vector<int32_t> context =
      context_behind(vocabulary_->encode(prefix), sizes().block_size);
  const int64_t V = sizes().vocab_size;
  const float* log_probs = net_->table(1, 1, {});
  if (log_probs != nullptr) {
    log_probs += net_->number_of(context.data()) * V;
  } else {
    net_->log_probs(probs, context.data(), 1, 1, {});
    log_probs = probs;
  }
  kernels().exp(probs, log_probs, V);
}

std::vector<float> LanguageModel::next(std::string_view prefix) const {
  std::vector<float> probs(static_cast<size_t>(sizes().vocab_size));
  next(probs.data(), prefix);
  return probs;
}

std::vector<double> LanguageModel::score(std::span<const std::string> texts, Unknown unknown,
                                         int threads, const Poll& poll) const {
  const std::vector<std::string_view> views(texts.begin(), texts.end());
  TokenBatch batch;
  batch.encode(*vocabulary_, views, unknown, threads);
  std::vector<double> scores(texts.size());
  score_tokens(scores.data(), batch.tokens(), batch.offsets(), threads, poll);
  return scores;
}

void LanguageModel::score_tokens(double* out, std::span<const int32_t> tokens,
                                 std::span<const int64_t> offsets, int threads,
                                 const Poll& poll) const {
  check_texts(tokens, offsets, sizes().vocab_size);
  makemore::score_tokens(out, *net_, tokens, offsets, checked_threads(threads), poll);
}

std::vector<double> LanguageModel::surprisals(std::string_view text) const {
  const std::vector<int32_t> tokens = vocabulary_->encode(text);
  const int64_t offsets[] = {0, std::ssize(tokens)};
  std::vector<double> surprisals(tokens.size() + 1);
  token_surprisals(surprisals.data(), *net_, tokens, offsets, 1, {});
  return surprisals;
}

void LanguageModel::surprisals(double* out, std::span<const int32_t> tokens,
                               std::span<const int64_t> offsets, int threads,
                               const Poll& poll) const {
  check_texts(tokens, offsets, sizes().vocab_size);
  check_token_vector("tokens", tokens.data(), std::ssize(tokens), sizes().vocab_size);
  token_surprisals(out, *net_, tokens, offsets, checked_threads(threads), poll);
}

Completions LanguageModel::complete(std::string_view prefix, int64_t k, int64_t max_length,
                                    const Poll& poll) const {
  const auto next = [&](float* out, const int32_t* X, int64_t N) {
    net_->log_probs(out, X, N, 1, poll);
  };
  return makemore::complete(next, sizes().block_size, sizes().vocab_size,
                            vocabulary_->encode(prefix), k, max_length, poll);
}

}  // namespace makemore
