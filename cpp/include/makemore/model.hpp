// The model's sizes and its five parameter arrays, as every part of the library passes them on.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace makemore {

// T, E, H, V in the comments of this library; K = T*E.
struct Sizes {
  int64_t block_size = 0;  // T, tokens of context
  int64_t n_embd = 0;      // E
  int64_t n_hidden = 0;    // H
  int64_t vocab_size = 0;  // V
  bool operator==(const Sizes&) const = default;
};

// More than any model of this kind needs, and small enough that no product of two sizes overflows.
constexpr int64_t kMaxBlockSize = 1 << 16;
constexpr int64_t kMaxEmbd = 1 << 16;
constexpr int64_t kMaxHidden = 1 << 20;
constexpr int64_t kMaxVocabSize = 1 << 16;
constexpr int64_t kMaxParameters = 1 << 28;

// Throws ArgumentError unless every size is positive and within the limits above.
void check_sizes(const Sizes& sizes);

// The number of elements of C, W1, b1, W2, b2, in this order, and of all five together.
struct ParameterCounts {
  int64_t C, W1, b1, W2, b2;
  int64_t total() const { return C + W1 + b1 + W2 + b2; }
};
ParameterCounts parameter_counts(const Sizes& sizes);

// Somebody else's arrays: C (V,E)  W1 (K,H)  b1 (H)  W2 (H,V)  b2 (V), each contiguous.
template <typename Float>
struct ParameterPointers {
  Float* C;
  Float* W1;
  Float* b1;
  Float* W2;
  Float* b2;
};
using Parameters = ParameterPointers<float>;
using ConstParameters = ParameterPointers<const float>;

// The same five arrays, owned.
struct ParameterArrays {
  std::vector<float> C, W1, b1, W2, b2;
  explicit ParameterArrays(const Sizes& sizes);  // zeros
  ParameterArrays() = default;
  Parameters view() { return {C.data(), W1.data(), b1.data(), W2.data(), b2.data()}; }
  ConstParameters view() const { return {C.data(), W1.data(), b1.data(), W2.data(), b2.data()}; }
};

}  // namespace makemore
