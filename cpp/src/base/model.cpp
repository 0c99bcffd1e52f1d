// Checks sizes before anything is multiplied or allocated, and derives shapes and counts from them.
#include "makemore/model.hpp"

#include <string>
#include <string_view>

#include "makemore/error.hpp"

namespace makemore {

namespace {

void check_size(const char* name, int64_t value, int64_t limit, int64_t least = 1) {
  if (value >= least && value <= limit) return;
  throw ArgumentError(std::string(name) + " must be between " + std::to_string(least) + " and " +
                      std::to_string(limit) + ", got " + std::to_string(value));
}

int64_t size_of(char letter, const Sizes& sizes) {
  switch (letter) {
    case 'V':
      return sizes.vocab_size;
    case 'E':
      return sizes.n_embd;
    case 'H':
      return sizes.n_hidden;
    case 'F':
      return sizes.n_features();
    default:  // K
      return sizes.block_size * sizes.n_embd;
  }
}

// The number of elements of each array.  Sizes within their own limits cannot make it overflow.
PerParameter<int64_t> count(const Sizes& sizes) {
  PerParameter<int64_t> counts;
  for (size_t i = 0; i < kParameters.size(); ++i) {
    int64_t& elements = *counts.all()[i] = 1;
    for (const int64_t size : shape_of(kParameters[i], sizes)) elements *= size;
  }
  return counts;
}

int64_t total(const Sizes& sizes) {
  int64_t sum = 0;
  const auto counts = count(sizes);
  for (const int64_t* elements : counts.all()) sum += *elements;
  return sum;
}

}  // namespace

void check_sizes(const Sizes& sizes) {
  check_size("block_size", sizes.block_size, kMaxBlockSize);
  check_size("n_embd", sizes.n_embd, kMaxEmbd);
  check_size("n_hidden", sizes.n_hidden, kMaxHidden, sizes.is_direct ? 0 : 1);
  check_size("vocab_size", sizes.vocab_size, kMaxVocabSize);
  const int64_t elements = total(sizes);
  if (elements > kMaxParameters) {
    throw ArgumentError("block_size " + std::to_string(sizes.block_size) + ", n_embd " +
                        std::to_string(sizes.n_embd) + ", n_hidden " +
                        std::to_string(sizes.n_hidden) + " and vocab_size " +
                        std::to_string(sizes.vocab_size) + " make " + std::to_string(elements) +
                        " parameters, more than the limit of " + std::to_string(kMaxParameters));
  }
}

std::vector<int64_t> shape_of(const ParameterKind& parameter, const Sizes& sizes) {
  std::vector<int64_t> shape;
  for (const char letter : std::string_view(parameter.shape)) {
    shape.push_back(size_of(letter, sizes));
  }
  return shape;
}

PerParameter<int64_t> parameter_counts(const Sizes& sizes) {
  check_sizes(sizes);
  return count(sizes);
}

int64_t parameter_count(const Sizes& sizes) {
  check_sizes(sizes);
  return total(sizes);
}

ParameterArrays::ParameterArrays(const Sizes& sizes) {
  const auto counts = parameter_counts(sizes);
  for (size_t i = 0; i < kParameters.size(); ++i) {
    all()[i]->resize(static_cast<size_t>(*counts.all()[i]));
  }
}

}  // namespace makemore
