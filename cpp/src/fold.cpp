// Finding the distinct pairs, and their rows of the table.
#include "fold.hpp"

#include <algorithm>
#include <cstring>

namespace makemore {

Fold::Fold(const Sizes& sizes, int64_t max_examples)
    : T_(sizes.block_size),
      E_(sizes.n_embd),
      max_rows_(T_ * std::min(max_examples, sizes.vocab_size)),
      rows_(max_examples * T_),
      tokens_(max_rows_),
      embeddings_(max_rows_ * E_),
      first_row_(static_cast<size_t>(T_ + 1)),
      row_of_token_(static_cast<size_t>(sizes.vocab_size)),
      seen_at_(static_cast<size_t>(sizes.vocab_size)) {}

void Fold::build(const int32_t* X, int64_t B) {
  int32_t row_count = 0;
  for (int64_t t = 0; t < T_; ++t) {
    ++visit_;
    for (int64_t b = 0; b < B; ++b) {
      const auto token = static_cast<size_t>(X[b * T_ + t]);
      if (seen_at_[token] != visit_) {
        seen_at_[token] = visit_;
        row_of_token_[token] = row_count;
        tokens_[row_count++] = static_cast<int32_t>(token);
      }
      rows_[b * T_ + t] = row_of_token_[token];
    }
    first_row_[static_cast<size_t>(t + 1)] = row_count;
  }
}

void Fold::gather(const float* C) {
  const size_t row_bytes = static_cast<size_t>(E_) * sizeof(float);
  for (int64_t row = 0; row < row_count(); ++row) {
    std::memcpy(&embeddings_[row * E_], C + tokens_[row] * E_, row_bytes);
  }
}

void Fold::table(const Kernels& kernel, float* table, int64_t ld, const float* W1, int64_t ldW1,
                 int64_t n) const {
  for (int64_t t = 0; t < T_; ++t) {
    const int64_t first = first_row(t);
    kernel.matmul(table + first * ld, ld, embeddings() + first * E_, E_, 1, W1 + t * E_ * ldW1,
                  ldW1, nullptr, 0, first_row(t + 1) - first, n, E_);
  }
}

}  // namespace makemore
