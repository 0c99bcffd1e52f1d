// Finding the distinct pairs, and their rows of the table.
#include "fold.hpp"

#include <algorithm>

namespace makemore {

Fold::Fold(const Sizes& sizes, int64_t max_examples, int64_t chunk_rows)
    : T_(sizes.block_size),
      E_(sizes.n_embd),
      chunk_rows_(chunk_rows),
      max_rows_(T_ * std::min(max_examples, sizes.vocab_size)),
      rows_(max_examples * T_),
      tokens_(max_rows_),
      starts_((max_examples + chunk_rows - 1) / chunk_rows * (max_rows_ + 1)),
      members_(max_examples * T_),
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

void Fold::list_members(int64_t B) {
  for (int64_t first = 0; first < B; first += chunk_rows_) {
    const int64_t chunk = first / chunk_rows_;
    const int64_t count = std::min(chunk_rows_, B - first) * T_;
    const int32_t* rows = &rows_[first * T_];
    int32_t* starts = &starts_[chunk * (row_count() + 1)];
    int32_t* members = &members_[first * T_];
    std::fill_n(starts, row_count() + 1, 0);
    for (int64_t i = 0; i < count; ++i) ++starts[rows[i]];
    for (int64_t row = 0, end = 0; row <= row_count(); ++row) {
      end += starts[row];
      starts[row] = static_cast<int32_t>(end);
    }
    // From the last example to the first, each start moves from its row's end to its beginning.
    for (int64_t i = count - 1; i >= 0; --i) {
      members[--starts[rows[i]]] = static_cast<int32_t>(i / T_);
    }
  }
}

void Fold::gather(float* embeddings, const float* C) const {
  for (int64_t row = 0; row < row_count(); ++row) {
    const float* from = C + tokens_[row] * E_;
    float* to = embeddings + row * E_;
    for (int64_t e = 0; e < E_; ++e) to[e] = from[e];  // too few for a call of memcpy
  }
}

void Fold::table(const Kernels& kernel, float* table, int64_t ld, const float* embeddings,
                 const float* W1, int64_t ldW1, int64_t n) const {
  for (int64_t t = 0; t < T_; ++t) {
    const int64_t first = first_row(t);
    kernel.matmul(table + first * ld, ld, embeddings + first * E_, E_, 1, W1 + t * E_ * ldW1, ldW1,
                  nullptr, 0, first_row(t + 1) - first, n, E_);
  }
}

}  // namespace makemore
