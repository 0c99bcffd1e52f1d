// Hidden units that one task computes, usually always on the same thread, with all that belongs to
// them in memory of their own.
//
// This is the parameter-parallel scheme of Bengio et al. (2003), section 3.2, on cores: the owner
// of a block of hidden units keeps their slices of W1, b1 and W2, computes their activations and
// gradients, and updates them itself.  Only partial logits, dlogits and the gradient of the
// embeddings cross between threads.
#pragma once

#include <cstdint>

#include "base/buffer.hpp"
#include "kernels/kernels.hpp"
#include "makemore/model.hpp"
#include "net/fold.hpp"
#include "train/update.hpp"

namespace makemore {

// How a block is used: what it needs memory for.
struct BlockUse {
  int64_t max_table_rows;
  int64_t chunk_rows;  // contexts that go through the net together
  bool is_one_chunk;   // no batch has more
  int64_t moments;     // arrays that the optimiser keeps for each parameter
  bool drops;          // hidden units
  bool owns_W2;        // of these units; else the output layer is cut along tokens
};

// The numbers that dropout needs beside the place of a unit.
struct Dropout {
  DropoutWords words;
  uint32_t threshold;  // the probability in units of 2^-32
  float scale;         // of the units that stay: 1 / (1 - the probability)
};

struct HiddenBlock {
  HiddenBlock(const Sizes& sizes, int64_t begin, int64_t units, const BlockUse& use);

  // Exact copies of the block's slices out of the caller's arrays, and back into them: of the
  // parameters (0) or of a moment (1, 2).
  void pack(const Kernels& kernel, int64_t which, const Parameters& from);
  void unpack(const Kernels& kernel, int64_t which, const Parameters& to) const;

  // The table of C[token] @ W1[t] for the pairs of a batch;   C (V,E)
  void forward_table(const Kernels& kernel, const Fold& fold, const float* C);

  // h = tanh(b1 + sum of table rows) for B contexts whose table rows are `rows` (B,T).  Some units
  // are dropped unless dropout is null; the contexts are then rows first_row, ... of the minibatch.
  void forward(const Kernels& kernel, const int32_t* rows, int64_t B, const Dropout* dropout,
               int64_t first_row);

  // The block's share of the logits; b2 is null in all blocks but the first.
  void forward_logits(const Kernels& kernel, int64_t B, const float* b2);

  // dh and the gradient of W2 of the B contexts of the last forward, which are a chunk of the
  // batch, from dlogits (B,V).  The gradients of all that is learned are added to those of earlier
  // chunks unless this is the first.  The last chunk comes with the rule of the update, which W2
  // gets here: tile by tile of tokens, while that is in cache.
  void backward_logits(const Kernels& kernel, const float* dlogits, int64_t B, bool is_first,
                       const UpdateRule* rule);

  // The gradient of the table, from dh.
  void backward(const Kernels& kernel, const Fold& fold, const int32_t* rows, int64_t B,
                bool is_first);

  // From the gradient of the table: those of the embeddings, in demb, and of W1 and b1, which are
  // updated.
  void backward_table(const Kernels& kernel, const Fold& fold, const UpdateRule& rule);

  const Sizes sizes;
  const int64_t begin;  // the block is units [begin, begin + units) of H
  const int64_t units;
  const int64_t ld;           // of all arrays with one column per unit: units, padded with zeros
  const int64_t ld_V;         // of W2 and the logits: V, padded with zeros
  const int64_t tile_tokens;  // in a tile of W2T
  const bool is_one_chunk;
  const bool drops;
  const bool owns_W2;

  // A slice of W2 that the block owns is kept twice: by token (W2T), for the products that
  // run along the units, and by unit (W2), for the one that runs along the tokens.  Updating W2T
  // and transposing is cheaper than either product on the wrong layout.
  Weights W1, b1, W2T;          // (K,ld) (ld) (ld_V,ld)
  Buffer<float> W2;             // (ld,ld_V)
  Buffer<float> dW1, db1;       // (K,ld) (ld)
  Buffer<float> dW2T;           // (V,ld), or only a tile's where no other chunk adds to it
  Buffer<float> table, dtable;  // (max_table_rows, ld)
  Buffer<float> h, dh;          // (chunk_rows, ld)
  Buffer<float> mask, dropped;  // the same: dropped = h * mask; only where units are dropped
  Buffer<float> logits;         // (chunk_rows, ld_V): in the first block, their sum
  Buffer<float> emb, demb;      // (max_table_rows, E): embeddings of the pairs' tokens
  bool finite = true;           // whether all parameters are, after the last update

  const float* hidden() const { return drops ? dropped.get() : h.get(); }
};

}  // namespace makemore
