// The model's sizes and its five parameter arrays, as every part of the library passes them on.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace makemore {

// The sizes of a model.  Comments call them T, E, H and V; K is T*E, and F the number of features.
struct Sizes {
  int64_t block_size = 0;  // T, tokens of context
  int64_t n_embd = 0;      // E
  int64_t n_hidden = 0;    // H
  int64_t vocab_size = 0;  // V
  // Whether the output layer sees the K numbers of the context's embeddings beside the hidden
  // units: the direct connections of Bengio et al. (2003).  H may then be 0.
  bool is_direct = false;

  // F, the number of inputs of the output layer and of rows of W2; the hidden units come first.
  int64_t n_features() const { return n_hidden + (is_direct ? block_size * n_embd : 0); }
  bool operator==(const Sizes&) const = default;
};

// These limits are more than any model of this kind needs, and so small that no product of two
// sizes overflows.
constexpr int64_t kMaxBlockSize = 1 << 16;
constexpr int64_t kMaxEmbd = 1 << 16;
constexpr int64_t kMaxHidden = 1 << 20;
constexpr int64_t kMaxVocabSize = 1 << 20;
constexpr int64_t kMaxParameters = 1 << 28;

// Throws ArgumentError unless every size is positive (n_hidden may be 0 when is_direct) and within
// the limits above.
void check_sizes(const Sizes& sizes);

// The model's arrays in their order, float32 and contiguous.  A shape is written in the letters of
// `Sizes`, K and F.
struct ParameterKind {
  const char* name;
  const char* shape;
};
constexpr std::array<ParameterKind, 5> kParameters{
    {{"C", "VE"}, {"W1", "KH"}, {"b1", "H"}, {"W2", "FV"}, {"b2", "V"}}};

// One thing for each of the five arrays; all() has the order of kParameters.
template <typename Thing>
struct PerParameter {
  Thing C, W1, b1, W2, b2;
  std::array<Thing*, kParameters.size()> all() { return {&C, &W1, &b1, &W2, &b2}; }
  std::array<const Thing*, kParameters.size()> all() const { return {&C, &W1, &b1, &W2, &b2}; }
};

// Calls `of` on each of the five things and returns the five results.
template <typename Things, typename Of>
auto map_parameters(Things& things, const Of& of) {
  auto& [C, W1, b1, W2, b2] = things;
  return PerParameter<decltype(of(C))>{of(C), of(W1), of(b1), of(W2), of(b2)};
}

std::vector<int64_t> shape_of(const ParameterKind& parameter, const Sizes& sizes);

// The number of elements of each array, and of all together.
PerParameter<int64_t> parameter_counts(const Sizes& sizes);
int64_t parameter_count(const Sizes& sizes);

// Pointers to the five arrays of a caller, who owns them.
using Parameters = PerParameter<float*>;
using ConstParameters = PerParameter<const float*>;

// The five arrays themselves.
struct ParameterArrays : PerParameter<std::vector<float>> {
  explicit ParameterArrays(const Sizes& sizes);  // zeros
  ParameterArrays() = default;
  Parameters view() {
    return map_parameters(*this, [](auto& array) { return array.data(); });
  }
  ConstParameters view() const {
    return map_parameters(*this, [](auto& array) { return array.data(); });
  }
};

}  // namespace makemore
