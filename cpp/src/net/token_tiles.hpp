// Tiles of tokens, where the vocabulary is large, and the output layer of a net that is only asked.
//
// As in the first pass of training, contexts go through tiles of tokens in panels, along which
// vectors run.  A row of W2 as the model keeps it is V floats from the next, often a multiple of a
// power of two, so that rows evict each other from the caches: logits from there take twice as
// long.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/buffer.hpp"
#include "kernels/kernels.hpp"
#include "makemore/model.hpp"

namespace makemore {

constexpr int64_t kPanel = 64;  // contexts: four of the widest vectors, which is wide enough

// Contexts that go through a net together, at most: more would not be faster.
constexpr int64_t kMaxRows = 256;

// The same where all their logits are kept, `columns` for each: a few megabytes of logits, and a
// panel at least.
inline int64_t rows_with_logits(int64_t columns) {
  constexpr int64_t kMaxLogits = 1 << 20;
  return std::clamp(kMaxLogits / columns, kPanel, kMaxRows);
}

// Whether tokens are so many that the output layer goes through them tile by tile, in training too.
// Blocks of hidden units, each with all tokens, are as fast at 1,000 tokens and faster below, but
// too few where there are not many units; above they transpose all of W2 in every step and add up
// logits of all tokens: at 16,384 tokens and 100 units they take twice as long.
inline bool are_many_tokens(int64_t vocab_size) { return vocab_size >= 1000; }

// The tokens of a tile, at most: by the hidden units alone, so that direct connections of weight 0
// change no bit.
int64_t tile_tokens_of(int64_t n_hidden);

// The logits of a tile and panel, with the bits that every order of loops gives:
// x (tokens,columns) = b2 (tokens) + W2T (tokens,H) @ hT (H,columns)
void tile_logits(const Kernels& kernel, float* x, const float* W2T, int64_t ld, const float* b2,
                 const float* hT, int64_t tokens, int64_t columns, int64_t H);

// out (n,V) = ln softmax of what it holds, with the bits of TokenTiles, for nets of n_hidden units.
// For few contexts, which are not worth tiles of W2.
void log_softmax_by_tiles(const Kernels& kernel, float* out, int64_t n, int64_t V,
                          int64_t n_hidden);

class TokenTiles {
 public:
  // Copies W2 (F,V) and b2 (V).
  TokenTiles(const Kernels& kernel, const Sizes& sizes, const ConstParameters& parameters);

  // One thread's memory for so many contexts at a time.
  struct Scratch {
    Scratch(const TokenTiles& tiles, int64_t rows);
    Buffer<float> hT, x;     // (panels,F,columns) (tile,columns)
    Buffer<float> max, sum;  // (padded rows)
  };

  // losses[k] = -ln softmax(h[i,:] @ W2 + b2)[Y[k]], starts[i] <= k < starts[i+1]; without starts,
  // k = i.    h (n,F)  losses, Y (targets)
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
