// The output layer of a net that predicts (and does not learn) where the vocabulary is large.
//
// The layer is computed tile by tile: a tile is some tokens, with their columns of W2 transposed to
// rows; contexts pass it in panels, along which vectors run.  Training does the same in its first
// sweep (train/output_layer.hpp).  The transposed copy pays: a row of W2 as the model keeps it is V
// floats from the next, often a multiple of a power of two, so that rows evict each other from the
// caches, and logits take twice as long.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/buffer.hpp"
#include "kernels/kernels.hpp"
#include "makemore/model.hpp"

namespace makemore {

constexpr int64_t kPanel = 64;  // contexts of a panel: four of the widest vectors

// The largest number of contexts that go through a net together: more would not be faster.
constexpr int64_t kMaxRows = 256;

// The largest number of contexts that go through a net together where all their logits are kept,
// `columns` for each: a panel at least, and above that no more than 4 MiB of logits.
inline int64_t rows_with_logits(int64_t columns) {
  constexpr int64_t kMaxLogits = 1 << 20;
  return std::clamp(kMaxLogits / columns, kPanel, kMaxRows);
}

// Whether tokens are so many that the output layer goes through them tile by tile, in training too.
// The other way is to cut it into blocks of hidden units, each with all tokens.  That is as fast at
// 1,000 tokens and faster below; above, it transposes all of W2 in every step and adds up logits of
// all tokens, and few hidden units make too few blocks: at 16,384 tokens and 100 units it takes
// twice as long.
inline bool are_many_tokens(int64_t vocab_size) { return vocab_size >= 1000; }

// The largest number of tokens of a tile.  It depends on the hidden units alone, so that direct
// connections of weight 0 change no bit.
int64_t tile_tokens_of(int64_t n_hidden);

// Computes the logits of a tile for the contexts of a panel:
// x (tokens,columns) = b2 (tokens) + W2T (tokens,H) @ hT (H,columns)
void tile_logits(const Kernels& kernel, float* x, const float* W2T, int64_t ld, const float* b2,
                 const float* hT, int64_t tokens, int64_t columns, int64_t H);

// out (n,V) = ln softmax of the logits that it holds, with the same bits as TokenTiles::log_probs.
// It serves few contexts, for which a copy of W2 does not pay.
void log_softmax_by_tiles(const Kernels& kernel, float* out, int64_t n, int64_t V,
                          int64_t n_hidden);

class TokenTiles {
 public:
  // Copies W2 (F,V) and b2 (V).
  TokenTiles(const Kernels& kernel, const Sizes& sizes, const ConstParameters& parameters);

  // One thread's memory for at most `rows` contexts at a time.
  struct Scratch {
    Scratch(const TokenTiles& tiles, int64_t rows);
    Buffer<float> hT, x;     // (panels,F,columns) (tile,columns)
    Buffer<float> max, sum;  // (padded rows)
  };

  // losses[k] = -ln softmax(h[i,:] @ W2 + b2)[Y[k]] for starts[i] <= k < starts[i+1], or for k = i
  // where starts is null.    h (n,F)
  void losses(const Kernels& kernel, float* losses, const float* h, int64_t ld,
              const int32_t* starts, const int32_t* Y, int64_t n, Scratch& scratch) const;

  // out (n,V) = ln softmax(h (n,F) @ W2 + b2); the bits are those of the losses.
  void log_probs(const Kernels& kernel, float* out, const float* h, int64_t ld, int64_t n,
                 Scratch& scratch) const;

 private:
  template <typename Body>
  void for_each_tile(const Kernels& kernel, const float* h, int64_t ld, int64_t n, Scratch& scratch,
                     const Body& body) const;

  const int64_t F_, V_, ld_, tile_tokens_;
  Buffer<float> W2T_, b2_;  // (V,ld) (V)
};

}  // namespace makemore
