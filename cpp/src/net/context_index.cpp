// Numbers the contexts in the order of their codes.
#include "net/context_index.hpp"

#include <algorithm>
#include <atomic>

#include "base/check.hpp"
#include "base/thread_pool.hpp"

namespace makemore {

namespace {

// Above kMaxContexts possible contexts the table of their numbers leaves the cache, and repeats are
// rarer; above kMaxProbabilities (V for each possible context) the probabilities of the contexts
// can take more than 64 MiB.
constexpr int64_t kMaxContexts = 1 << 20;
constexpr int64_t kMaxProbabilities = 1 << 24;

// Below this many examples there is too little to gain.
constexpr int64_t kMinExamples = 1024;

constexpr int64_t kIndexBlocks = 16;

// V^T, or some number above kMaxContexts where V^T is above it.
int64_t possible_contexts(const Sizes& sizes) {
  int64_t count = 1;
  for (int64_t t = 0; t < sizes.block_size && count <= kMaxContexts; ++t) count *= sizes.vocab_size;
  return count;
}

// The tokens of X (T) as the digits of a number, or -1 when one is outside [0, V).  Each token is
// read once, so that another thread's writes cannot come between check and use.
inline int64_t code_of(const int32_t* X, int64_t T, int64_t V) {
  int64_t code = 0;
  bool inside = true;
  for (int64_t t = 0; t < T; ++t) {
    const int64_t token = X[t];
    inside &= token >= 0 && token < V;
    code = code * V + token;
  }
  return inside ? code : -1;
}

}  // namespace

bool ContextIndex::worthwhile(const Sizes& sizes, int64_t n) {
  const int64_t contexts = possible_contexts(sizes);
  return n >= kMinExamples && contexts <= kMaxContexts &&
         contexts * sizes.vocab_size <= kMaxProbabilities;
}

ContextIndex::ContextIndex(const Sizes& sizes, const int32_t* X, int64_t N, int threads)
    : T_(sizes.block_size), V_(sizes.vocab_size), number_of_code_(possible_contexts(sizes)) {
  std::vector<std::atomic<char>> seen(static_cast<size_t>(possible_contexts(sizes)));
  for_each_block(kIndexBlocks, threads, [&](int64_t block) {
    const Range part = share_of(N, block, kIndexBlocks);
    for (int64_t i = part.begin; i < part.end; ++i) {
      const int64_t code = code_of(X + i * T_, T_, V_);
      if (code < 0) {
        check_tokens("X", X + i * T_, 1, T_, V_, i);
        continue;  // another thread has changed the token since
      }
      std::atomic<char>& mark = seen[static_cast<size_t>(code)];
      if (mark.load(std::memory_order_relaxed) == 0) mark.store(1, std::memory_order_relaxed);
    }
  });
  for (size_t code = 0; code < seen.size(); ++code) {
    if (seen[code].load(std::memory_order_relaxed) == 0) continue;
    codes_.push_back(static_cast<int64_t>(code));
    number_of_code_[static_cast<int64_t>(code)] = static_cast<int32_t>(codes_.size());
  }
}

void ContextIndex::copy(int32_t* X, int64_t first, int64_t n) const {
  for (int64_t i = 0; i < n; ++i) {
    int64_t code = codes_[static_cast<size_t>(first + i)];
    for (int64_t t = T_ - 1; t >= 0; --t) {
      X[i * T_ + t] = static_cast<int32_t>(code % V_);
      code /= V_;
    }
  }
}

int64_t ContextIndex::number_of(const int32_t* X) const {
  const int64_t code = code_of(X, T_, V_);
  return code < 0 ? -1 : number_of_code_[code] - 1;
}

}  // namespace makemore
