// The matrix products: tiles of accumulators that stay in registers, over blocks that stay in
// cache.
#pragma once

#include "vector.hpp"

namespace makemore::MAKEMORE_ISA {

// Rows and columns (in vectors) of a tile: as many accumulators as leave registers for operands.
constexpr int kTileRows = kRegisters == 32 ? 8 : 6;
constexpr int kTileColumns = kRegisters == 32 ? 3 : 2;

// Depth and height of a block: the columns of b that a tile uses stay in the L1 cache, the block of
// a in L2.  An accumulator that is stored and loaded again between two blocks keeps its bits.
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

// Computes c (R, C vectors); when kPartial, only `last` lanes of a row's last vector exist.
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

// The tile function for a size that is known at run time; MatmulTiles holds those of all sizes.
using MatmulTile = void (*)(const MatmulArguments&, int64_t last);

template <bool kPartial, int R = kTileRows, int C = kTileColumns>
constexpr MatmulTile matmul_tile_of(int64_t rows, int64_t columns) {
  if constexpr (R > 1) {
    if (rows < R) return matmul_tile_of<kPartial, R - 1, C>(rows, columns);
  }
  if constexpr (C > 1) {
    if (columns < C) return matmul_tile_of<kPartial, R, C - 1>(rows, columns);
  }
  return matmul_tile<R, C, kPartial>;
}

struct MatmulTiles {
  MatmulTile tile[2][kTileRows][kTileColumns];  // [kPartial][rows - 1][columns - 1]
  constexpr MatmulTiles() : tile{} {
    for (int r = 0; r < kTileRows; ++r) {
      for (int c = 0; c < kTileColumns; ++c) {
        tile[0][r][c] = matmul_tile_of<false>(r + 1, c + 1);
        tile[1][r][c] = matmul_tile_of<true>(r + 1, c + 1);
      }
    }
  }
};
constexpr MatmulTiles kMatmulTiles;

inline int64_t parts_of(int64_t n, int64_t most) { return (n + most - 1) / most; }

// n things divided into as few parts as possible, each of at most `most` and as equal as can be.
struct Parts {
  Parts(int64_t n, int64_t most) : count(parts_of(n, most)), size(n / count), larger(n % count) {}
  int64_t size_of(int64_t part) const { return size + (part < larger); }
  int64_t count, size, larger;
};

// Computes one block of a product, tile by tile.
inline void matmul_block(const MatmulArguments& block, int64_t m, int64_t n) {
  const int64_t vectors = parts_of(n, kLanes);
  const Parts column_tiles(vectors, kTileColumns), row_tiles(m, kTileRows);
  int64_t j = 0;
  for (int64_t J = 0; J < column_tiles.count; ++J) {
    const int64_t columns = column_tiles.size_of(J);
    const int64_t last = J == column_tiles.count - 1 ? n - (vectors - 1) * kLanes : kLanes;
    MatmulArguments tile = block;
    tile.c += j * kLanes;
    tile.b += j * kLanes;
    if (tile.init != nullptr) tile.init += j * kLanes;
    for (int64_t I = 0; I < row_tiles.count; ++I) {
      const int64_t rows = row_tiles.size_of(I);
      kMatmulTiles.tile[last < kLanes][rows - 1][columns - 1](tile, last);
      tile.c += rows * tile.ldc;
      tile.a += rows * tile.a_row;
      if (tile.init != nullptr) tile.init += rows * tile.ld_init;
    }
    j += columns;
  }
}

inline void matmul(float* c, int64_t ldc, const float* a, int64_t a_row, int64_t a_col,
                   const float* b, int64_t ldb, const float* init, int64_t ld_init, int64_t m,
                   int64_t n, int64_t k) {
  if (m <= 0 || n <= 0) return;
  const Parts depths(k > 0 ? k : 1, kBlockDepth);  // a product of depth 0 is init
  for (int64_t i = 0; i < m; i += kBlockRows) {
    const int64_t rows = m - i < kBlockRows ? m - i : kBlockRows;
    MatmulArguments block{c + i * ldc, ldc, a + i * a_row, a_row, a_col, b, ldb, init, ld_init, 0};
    if (init != nullptr) block.init += i * ld_init;
    for (int64_t L = 0; L < depths.count; ++L) {
      block.k = k > 0 ? depths.size_of(L) : 0;
      matmul_block(block, rows, n);
      block.a += block.k * a_col;
      block.b += block.k * ldb;
      block.init = block.c;
      block.ld_init = ldc;
    }
  }
}

// A tile of dot products has as many elements as a vector has lanes, so that the sums over the
// lanes of all accumulators come out as one vector.
constexpr int kDotColumns = kLanes == 4 ? 2 : 4;
constexpr int kDotRows = kLanes / kDotColumns;

inline void matmul_transposed(float* c, int64_t ldc, const float* a, int64_t lda, const float* b,
                              int64_t ldb, int64_t m, int64_t n, int64_t k) {
  for (int64_t i = 0; i < m; i += kDotRows) {
    for (int64_t j = 0; j < n; j += kDotColumns) {
      // At the edges a tile computes its last row or column more than once.
      const float* rows[kDotRows];
      const float* columns[kDotColumns];
      MAKEMORE_UNROLL
      for (int r = 0; r < kDotRows; ++r) rows[r] = a + (i + r < m ? i + r : m - 1) * lda;
      MAKEMORE_UNROLL
      for (int s = 0; s < kDotColumns; ++s) columns[s] = b + (j + s < n ? j + s : n - 1) * ldb;
      Vector sum[kLanes] = {};
      const auto add_products = [&](auto load_at) {
        Vector column[kDotColumns];
        MAKEMORE_UNROLL
        for (int s = 0; s < kDotColumns; ++s) column[s] = load_at(columns[s]);
        MAKEMORE_UNROLL
        for (int r = 0; r < kDotRows; ++r) {
          const Vector row = load_at(rows[r]);
          MAKEMORE_UNROLL
          for (int s = 0; s < kDotColumns; ++s) {
            sum[r * kDotColumns + s] = fma(row, column[s], sum[r * kDotColumns + s]);
          }
        }
      };
      int64_t l = 0;
      for (; l + kLanes <= k; l += kLanes) {
        add_products([l](const float* p) { return load(p + l); });
      }
      if (l < k) add_products([l, k](const float* p) { return load_partial(p + l, k - l); });

      float sums[kLanes];
      store(sums, sums_of_lanes(sum));
      if (i + kDotRows <= m && j + kDotColumns <= n) {
        MAKEMORE_UNROLL
        for (int r = 0; r < kDotRows; ++r) {
          __builtin_memcpy(c + (i + r) * ldc + j, sums + r * kDotColumns,
                           sizeof(float[kDotColumns]));
        }
        continue;
      }
      for (int r = 0; r < kDotRows && i + r < m; ++r) {
        for (int s = 0; s < kDotColumns && j + s < n; ++s) {
          c[(i + r) * ldc + j + s] = sums[r * kDotColumns + s];
        }
      }
    }
  }
}

// out (n,m) = in (m,n)^T, in squares as wide as a vector.
inline void transpose(float* out, int64_t ld_out, const float* in, int64_t ld_in, int64_t m,
                      int64_t n) {
  for (int64_t i = 0; i < m; i += kLanes) {
    const int64_t rows = m - i < kLanes ? m - i : kLanes;
    for (int64_t j = 0; j < n; j += kLanes) {
      const int64_t columns = n - j < kLanes ? n - j : kLanes;
      const float* from = in + i * ld_in + j;
      float* to = out + j * ld_out + i;
      Vector square[kLanes];
      if (rows == kLanes && columns == kLanes) {
        MAKEMORE_UNROLL
        for (int r = 0; r < kLanes; ++r) square[r] = load(from + r * ld_in);
        transpose_lanes(square);
        MAKEMORE_UNROLL
        for (int r = 0; r < kLanes; ++r) store(to + r * ld_out, square[r]);
      } else {
        for (int64_t r = 0; r < rows; ++r) {
          for (int64_t s = 0; s < columns; ++s) to[s * ld_out + r] = from[r * ld_in + s];
        }
      }
    }
  }
}

}  // namespace makemore::MAKEMORE_ISA
