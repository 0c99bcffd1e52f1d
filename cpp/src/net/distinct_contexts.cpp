// Finds the distinct contexts by hashing, and sorts the targets by counting.
#include "net/distinct_contexts.hpp"

#include <algorithm>

namespace makemore {

namespace {

// The number of bits that number at least twice as many slots as there can be contexts.
int bits_for(int64_t max_examples) {
  int bits = 1;
  while ((int64_t{1} << bits) < 2 * max_examples) ++bits;
  return bits;
}

// A search ends after this many slots.  By chance that happens once in millions of contexts; where
// somebody has chosen contexts that collide, some equal ones then count as distinct, which is still
// right, and the search does not become quadratic.
constexpr int64_t kMaxProbes = 64;

// Examples between two polls: some milliseconds of work.
constexpr int64_t kExamplesPerPoll = 1 << 16;

}  // namespace

DistinctContexts::DistinctContexts(int64_t block_size, int64_t max_examples, bool share)
    : T_(block_size),
      share_(share),
      slot_bits_(bits_for(max_examples)),
      slots_(share ? int64_t{1} << slot_bits_ : 0),
      number_(max_examples),
      X_(max_examples * block_size),
      starts_(max_examples + 1),
      Y_(max_examples) {}

void DistinctContexts::build(const int32_t* X, const int32_t* Y, int64_t B, const Poll& poll) {
  count_ = 0;
  if (share_) std::fill_n(slots_.get(), int64_t{1} << slot_bits_, -1);
  for (int64_t begin = 0; begin < B; begin += kExamplesPerPoll) {
    if (poll) poll();
    const int64_t end = std::min(B, begin + kExamplesPerPoll);
    for (int64_t b = begin; b < end; ++b) {
      number_[b] = share_ ? number_of(X + b * T_) : add(X + b * T_);
    }
  }
  if (poll) poll();

  std::fill_n(starts_.get(), count_ + 1, 0);
  for (int64_t b = 0; b < B; ++b) ++starts_[number_[b]];
  for (int64_t i = 0, end = 0; i <= count_; ++i) {
    end += starts_[i];
    starts_[i] = static_cast<int32_t>(end);
  }
  // From the last example to the first, each start moves from its context's end to its beginning.
  for (int64_t b = B - 1; b >= 0; --b) Y_[--starts_[number_[b]]] = Y[b];
}

int32_t DistinctContexts::number_of(const int32_t* context) {
  uint64_t hash = 0;  // Fibonacci hashing: the high bits of a product depend on all lower ones
  for (int64_t t = 0; t < T_; ++t) {
    hash = (hash + static_cast<uint32_t>(context[t])) * 0x9E3779B97F4A7C15u;
  }
  const int64_t mask = (int64_t{1} << slot_bits_) - 1;
  auto slot = static_cast<int64_t>(hash >> (64 - slot_bits_));
  for (int64_t probe = 0; probe < kMaxProbes; ++probe, slot = (slot + 1) & mask) {
    const int32_t number = slots_[slot];
    if (number < 0) return slots_[slot] = add(context);
    if (std::equal(context, context + T_, &X_[number * T_])) return number;
  }
  return add(context);
}

int32_t DistinctContexts::add(const int32_t* context) {
  for (int64_t t = 0; t < T_; ++t) X_[count_ * T_ + t] = context[t];
  return static_cast<int32_t>(count_++);
}

}  // namespace makemore
