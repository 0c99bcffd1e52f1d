// Sizes checked before anything is multiplied or allocated, and what follows from them.
#include "makemore/model.hpp"

#include "makemore/error.hpp"

namespace makemore {

namespace {

void check_size(const char* name, int64_t value, int64_t limit) {
  if (value >= 1 && value <= limit) return;
  throw ArgumentError(std::string(name) + " must be between 1 and " + std::to_string(limit) +
                      ", got " + std::to_string(value));
}

// Cannot overflow for sizes within their own limits.
ParameterCounts count(const Sizes& sizes) {
  const auto [T, E, H, V] = sizes;
  return {.C = V * E, .W1 = T * E * H, .b1 = H, .W2 = H * V, .b2 = V};
}

}  // namespace

void check_sizes(const Sizes& sizes) {
  check_size("block_size", sizes.block_size, kMaxBlockSize);
  check_size("n_embd", sizes.n_embd, kMaxEmbd);
  check_size("n_hidden", sizes.n_hidden, kMaxHidden);
  check_size("vocab_size", sizes.vocab_size, kMaxVocabSize);
  const int64_t total = count(sizes).total();
  if (total > kMaxParameters) {
    throw ArgumentError("block_size " + std::to_string(sizes.block_size) + ", n_embd " +
                        std::to_string(sizes.n_embd) + ", n_hidden " +
                        std::to_string(sizes.n_hidden) + " and vocab_size " +
                        std::to_string(sizes.vocab_size) + " make " + std::to_string(total) +
                        " parameters, more than the limit of " + std::to_string(kMaxParameters));
  }
}

ParameterCounts parameter_counts(const Sizes& sizes) {
  check_sizes(sizes);
  return count(sizes);
}

ParameterArrays::ParameterArrays(const Sizes& sizes) {
  const ParameterCounts counts = parameter_counts(sizes);
  C.resize(static_cast<size_t>(counts.C));
  W1.resize(static_cast<size_t>(counts.W1));
  b1.resize(static_cast<size_t>(counts.b1));
  W2.resize(static_cast<size_t>(counts.W2));
  b2.resize(static_cast<size_t>(counts.b2));
}

}  // namespace makemore
