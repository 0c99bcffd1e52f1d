// Finds the distinct pairs and computes their rows of the table.
#include "net/fold.hpp"

#include <algorithm>

namespace makemore {

void gather_embeddings(float* x, int64_t ld, const float* C, const int32_t* X, int64_t B, int64_t T,
                       int64_t E) {
  for (int64_t b = 0; b < B; ++b) {
    for (int64_t t = 0; t < T; ++t) std::copy_n(C + X[b * T + t] * E, E, x + b * ld + t * E);
  }
}

Fold::Fold(const Sizes& sizes, int64_t max_examples)
    : T_(sizes.block_size),
      E_(sizes.n_embd),
      max_rows_(T_ * std::min(max_examples, sizes.vocab_size)),
      rows_(max_examples * T_),
      tokens_(max_rows_ + 1),
      row_of_token_(sizes.vocab_size),
      first_row_(static_cast<size_t>(T_ + 1)) {}

void Fold::build(const int32_t* X, int64_t B) {
  int32_t row_count = 0;
  for (int64_t t = 0; t < T_; ++t) {
    const int32_t first = row_count;
    for (int64_t b = 0; b < B; ++b) {
      // A sparse set (Briggs and Torczon 1993): the row of a token is valid if tokens_ names that
      // token there, so that nothing needs to be cleared.  There is no branch, because no predictor
      // could guess it: the row behind the last one is written over until its token is new.
      const int32_t token = X[b * T_ + t], known = row_of_token_[token];
      const bool is_new = (known < first) | (known >= row_count) | (tokens_[known] != token);
      const int32_t row = is_new ? row_count : known;
      row_of_token_[token] = row;
      tokens_[row] = token;
      row_count += is_new;
      rows_[b * T_ + t] = row;
    }
    first_row_[static_cast<size_t>(t + 1)] = row_count;
  }
}

void Fold::gather(float* embeddings, const float* C) const {
  for (int64_t row = 0; row < row_count(); ++row) {
    const float* from = C + tokens_[row] * E_;
    float* to = embeddings + row * E_;
    for (int64_t e = 0; e < E_; ++e) to[e] = from[e];  // too few floats for a call of memcpy
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
