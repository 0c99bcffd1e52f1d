// The folded embedding: one table row for each distinct (position, token) pair of a batch.
//
// The hidden layer needs C[X[b,t]] @ W1[t] for every example and position, but a batch holds each
// (position, token) pair many times.  Computing the product once per distinct pair turns the layer
// into T row additions per example, and its backward pass into additions into the same rows.
#pragma once

#include <cstdint>
#include <vector>

#include "base/buffer.hpp"
#include "kernels/kernels.hpp"
#include "makemore/model.hpp"

namespace makemore {

// x (B,K) = the embeddings of contexts X (B,T), one after the other;   C (V,E)
void gather_embeddings(float* x, int64_t ld, const float* C, const int32_t* X, int64_t B, int64_t T,
                       int64_t E);

class Fold {
 public:
  Fold(const Sizes& sizes, int64_t max_examples);

  // Finds the pairs of B distinct contexts X (B,T), whose tokens must be inside the vocabulary.
  void build(const int32_t* X, int64_t B);

  // embeddings (rows,E) = C[token] of every pair;   C (V,E)
  void gather(float* embeddings, const float* C) const;

  // table (rows,n) = embeddings @ W1[t] for every pair;   W1 (K,n)
  void table(const Kernels& kernel, float* table, int64_t ld, const float* embeddings,
             const float* W1, int64_t ldW1, int64_t n) const;

  int64_t max_rows() const { return max_rows_; }
  int64_t row_count() const { return first_row_.back(); }
  const int32_t* rows() const { return rows_.get(); }      // (B,T), the row of each pair
  const int32_t* tokens() const { return tokens_.get(); }  // (rows), the token of each row
  int64_t first_row(int64_t t) const { return first_row_[static_cast<size_t>(t)]; }  // t <= T

 private:
  int64_t T_, E_;
  int64_t max_rows_;
  Buffer<int32_t> rows_, tokens_;
  Buffer<int32_t> row_of_token_;
  std::vector<int64_t> first_row_;  // (T+1): position t owns the rows from first_row_[t] on
};

}  // namespace makemore
