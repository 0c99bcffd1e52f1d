// The matrix products: tiles of accumulators that stay in registers, over blocks that stay in
// cache.
#pragma once

#include "vector.hpp"

namespace makemore::MAKEMORE_ISA {

// Rows and columns (in vectors) of a tile: as many accumulators as leave room for the operands.
constexpr int kTileRows = kRegisters == 32 ? 8 : 4;
constexpr int kTileColumns = kRegisters == 32 || kLanes == 8 ? 3 : 2;

// Depth and height of a block, so that a tile's panel of b and the block of a stay in L1 and L2.
// An accumulator that is stored and loaded again between two blocks keeps its bits.
constexpr int64_t kBlockDepth = 256;
constexpr int64_t kBlockRows = 256;

struct MatmulArguments {
  float* c;
  int64_t ldc;
  const float* a;
  int64_t a_row, a_col;
  const float* b;
  int64_t ldb;
  const float* init;
  int64_t ld_init;
  int64_t k;
};

// c (R, C vectors), of whose last vector only `last` lanes exist when kPartial.
template <int R, int C, bool kPartial>
void matmul_tile(const MatmulArguments& p, int64_t last) {
  Vector sum[R][C];
  MAKEMORE_UNROLL
  for (int i = 0; i < R; ++i) {
    MAKEMORE_UNROLL
    for (int j = 0; j < C; ++j) {
      const float* from = p.init + i * p.ld_init + j * kLanes;
      sum[i][j] = p.init == nullptr        ? Vector{}
                  : kPartial && j == C - 1 ? load_partial(from, last)
                                           : load(from);
    }
  }
  const float* a = p.a;
  const float* b = p.b;
  for (int64_t l = 0; l < p.k; ++l) {
    Vector row[C];
    MAKEMORE_UNROLL
    for (int j = 0; j < C; ++j) {
      row[j] = kPartial && j == C - 1 ? load_partial(b + j * kLanes, last) : load(b + j * kLanes);
    }
    MAKEMORE_UNROLL
    for (int i = 0; i < R; ++i) {
      const Vector factor = broadcast(a[i * p.a_row]);
      MAKEMORE_UNROLL
      for (int j = 0; j < C; ++j) sum[i][j] = fma(factor, row[j], sum[i][j]);
    }
    a += p.a_col;
    b += p.ldb;
  }
  MAKEMORE_UNROLL
  for (int i = 0; i < R; ++i) {
    MAKEMORE_UNROLL
    for (int j = 0; j < C; ++j) {
      float* to = p.c + i * p.ldc + j * kLanes;
      if (kPartial && j == C - 1) {
        store_partial(to, sum[i][j], last);
      } else {
        store(to, sum[i][j]);
      }
    }
  }
}

// Chooses the tile of `rows` x `columns` at run time.
template <int R, int C>
void matmul_tile_of(int64_t rows, int64_t columns, int64_t last, const MatmulArguments& p) {
  if constexpr (R > 1) {
    if (rows < R) return matmul_tile_of<R - 1, C>(rows, columns, last, p);
  }
  if constexpr (C > 1) {
    if (columns < C) return matmul_tile_of<R, C - 1>(rows, columns, last, p);
  }
  if (last < kLanes) {
    matmul_tile<R, C, true>(p, last);
  } else {
    matmul_tile<R, C, false>(p, last);
  }
}

// Start of part i when n things are cut into `parts` parts as equal as can be.
inline int64_t part_start(int64_t i, int64_t parts, int64_t n) { return i * n / parts; }
inline int64_t parts_of(int64_t n, int64_t most) { return (n + most - 1) / most; }

// Where a product has so many rows, columns and depth that blocks pay, this is one block of it.
inline void matmul_block(const MatmulArguments& block, int64_t m, int64_t n) {
  const int64_t vectors = parts_of(n, kLanes);
  const int64_t column_tiles = parts_of(vectors, kTileColumns);
  const int64_t row_tiles = parts_of(m, kTileRows);
  for (int64_t J = 0; J < column_tiles; ++J) {
    const int64_t j = part_start(J, column_tiles, vectors);
    const int64_t j_end = part_start(J + 1, column_tiles, vectors);
    const int64_t last = j_end == vectors ? n - (vectors - 1) * kLanes : kLanes;
    for (int64_t I = 0; I < row_tiles; ++I) {
      const int64_t i = part_start(I, row_tiles, m);
      const int64_t i_end = part_start(I + 1, row_tiles, m);
      MatmulArguments tile = block;
      tile.c += i * block.ldc + j * kLanes;
      tile.a += i * block.a_row;
      tile.b += j * kLanes;
      if (tile.init != nullptr) tile.init += i * block.ld_init + j * kLanes;
      matmul_tile_of<kTileRows, kTileColumns>(i_end - i, j_end - j, last, tile);
    }
  }
}

inline void matmul(float* c, int64_t ldc, const float* a, int64_t a_row, int64_t a_col,
                   const float* b, int64_t ldb, const float* init, int64_t ld_init, int64_t m,
                   int64_t n, int64_t k) {
  if (m <= 0 || n <= 0) return;
  const int64_t depths = k > 0 ? parts_of(k, kBlockDepth) : 1;  // a product of depth 0 is init
  for (int64_t i = 0; i < m; i += kBlockRows) {
    const int64_t rows = m - i < kBlockRows ? m - i : kBlockRows;
    for (int64_t L = 0; L < depths; ++L) {
      const int64_t l = part_start(L, depths, k);
      MatmulArguments block{
          c + i * ldc, ldc,     a + i * a_row + l * a_col,       a_row, a_col, b + l * ldb, ldb,
          init,        ld_init, part_start(L + 1, depths, k) - l};
      if (init != nullptr) block.init = init + i * ld_init;
      if (L > 0) {
        block.init = block.c;
        block.ld_init = ldc;
      }
      matmul_block(block, rows, n);
    }
  }
}

// c (R,C) of sums over whole vectors, then over what is left.
template <int R, int C>
void matmul_transposed_tile(float* c, int64_t ldc, const float* a, int64_t lda, const float* b,
                            int64_t ldb, int64_t k) {
  Vector sum[R][C] = {};
  int64_t l = 0;
  for (; l + kLanes <= k; l += kLanes) {
    Vector column[C];
    MAKEMORE_UNROLL
    for (int j = 0; j < C; ++j) column[j] = load(b + j * ldb + l);
    MAKEMORE_UNROLL
    for (int i = 0; i < R; ++i) {
      const Vector row = load(a + i * lda + l);
      MAKEMORE_UNROLL
      for (int j = 0; j < C; ++j) sum[i][j] = fma(row, column[j], sum[i][j]);
    }
  }
  if (l < k) {
    Vector column[C];
    MAKEMORE_UNROLL
    for (int j = 0; j < C; ++j) column[j] = load_partial(b + j * ldb + l, k - l);
    MAKEMORE_UNROLL
    for (int i = 0; i < R; ++i) {
      const Vector row = load_partial(a + i * lda + l, k - l);
      MAKEMORE_UNROLL
      for (int j = 0; j < C; ++j) sum[i][j] = fma(row, column[j], sum[i][j]);
    }
  }
  MAKEMORE_UNROLL
  for (int i = 0; i < R; ++i) {
    MAKEMORE_UNROLL
    for (int j = 0; j < C; ++j) c[i * ldc + j] = sum_of_lanes(sum[i][j]);
  }
}

constexpr int kDotRows = 4;
constexpr int kDotColumns = kRegisters == 32 ? 5 : 2;

template <int R, int C>
void matmul_transposed_tile_of(int64_t rows, int64_t columns, float* c, int64_t ldc, const float* a,
                               int64_t lda, const float* b, int64_t ldb, int64_t k) {
  if constexpr (R > 1) {
    if (rows < R) {
      return matmul_transposed_tile_of<R - 1, C>(rows, columns, c, ldc, a, lda, b, ldb, k);
    }
  }
  if constexpr (C > 1) {
    if (columns < C) {
      return matmul_transposed_tile_of<R, C - 1>(rows, columns, c, ldc, a, lda, b, ldb, k);
    }
  }
  matmul_transposed_tile<R, C>(c, ldc, a, lda, b, ldb, k);
}

inline void matmul_transposed(float* c, int64_t ldc, const float* a, int64_t lda, const float* b,
                              int64_t ldb, int64_t m, int64_t n, int64_t k) {
  if (m <= 0 || n <= 0) return;
  const int64_t row_tiles = parts_of(m, kDotRows);
  const int64_t column_tiles = parts_of(n, kDotColumns);
  for (int64_t J = 0; J < column_tiles; ++J) {
    const int64_t j = part_start(J, column_tiles, n);
    const int64_t columns = part_start(J + 1, column_tiles, n) - j;
    for (int64_t I = 0; I < row_tiles; ++I) {
      const int64_t i = part_start(I, row_tiles, m);
      const int64_t rows = part_start(I + 1, row_tiles, m) - i;
      matmul_transposed_tile_of<kDotRows, kDotColumns>(rows, columns, c + i * ldc + j, ldc,
                                                       a + i * lda, lda, b + j * ldb, ldb, k);
    }
  }
}

}  // namespace makemore::MAKEMORE_ISA
