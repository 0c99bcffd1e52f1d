// A block of hidden units, with all that belongs to them in memory of its own.  One task computes
// it, usually on the same thread in every step, the block's owner.
//
// This is the parameter-parallel scheme of Bengio et al. (2003), section 3.2, on cores: the owner
// keeps the units' slices of W1, b1 and W2, computes their activations and gradients, and updates
// them itself.  Only partial logits, dlogits and the gradient of the embeddings cross between
// threads.
#pragma once

#include <cstdint>

#include "base/buffer.hpp"
#include "kernels/kernels.hpp"
#include "makemore/model.hpp"
#include "net/fold.hpp"
#include "train/update.hpp"

namespace makemore {

// How blocks are used: their memory depends on it.
struct BlockUse {
  int64_t max_table_rows;
  int64_t chunk_rows;  // contexts that go through the net together
  bool is_one_chunk;   // whether a batch is a single chunk
  int64_t moments;     // the number of arrays that the optimiser keeps for each parameter
  bool drops;          // whether there is dropout
  bool owns_W2;        // whether blocks own W2; else the output layer is cut along tokens
};

// The numbers of dropout that do not depend on the unit.
struct Dropout {
  DropoutWords words;
  uint32_t threshold;  // the probability in units of 2^-32
  float scale;         // 1 / (1 - the probability), the factor of the units that stay
};

struct HiddenBlock {
  HiddenBlock(const Sizes& sizes, int64_t begin, int64_t units, const BlockUse& use);

  // Copy the block's slices of the parameters (which = 0) or of a moment (1, 2) out of the caller's
  // arrays, and back into them.
  void pack(const Kernels& kernel, int64_t which, const Parameters& from);
  void unpack(const Kernels& kernel, int64_t which, const Parameters& to) const;

  // Computes the table of C[token] @ W1[t] for the pairs of a batch.    C (V,E)
  void forward_table(const Kernels& kernel, const Fold& fold, const float* C);

  // Computes h = tanh(b1 + sum of table rows) for B contexts whose table rows are `rows` (B,T).
  // Unless dropout is null, units are dropped; the contexts are rows first_row, ... of the
  // minibatch.
  void forward(const Kernels& kernel, const int32_t* rows, int64_t B, const Dropout* dropout,
               int64_t first_row);

  // Computes the block's part of the logits, a sum over its units; b2 is null except in the first.
  void forward_logits(const Kernels& kernel, int64_t B, const float* b2);

  // Computes dh and the gradient of W2 from dlogits (B,V) for the B contexts of the last forward,
  // which are a chunk of the batch.  The gradient is added to that of earlier chunks unless this is
  // the first.  In the last chunk `rule` is not null, and W2 is updated: tile by tile of tokens,
  // while the tile is in cache.
  void backward_logits(const Kernels& kernel, const float* dlogits, int64_t B, bool is_first,
                       const UpdateRule* rule);

  // Computes the gradient of the table from dh, and adds it to that of earlier chunks.
  void backward(const Kernels& kernel, const Fold& fold, const int32_t* rows, int64_t B,
                bool is_first);

  // Computes the gradients of the embeddings (demb), W1 and b1 from that of the table, and updates
  // W1 and b1.
  void backward_table(const Kernels& kernel, const Fold& fold, const UpdateRule& rule);

  const Sizes sizes;
  const int64_t begin;  // the block is units [begin, begin + units) of H
  const int64_t units;
  const int64_t ld;           // the ld of arrays with one column per unit: units, padded with zeros
  const int64_t ld_V;         // the ld of W2 and the logits: V, padded with zeros
  const int64_t tile_tokens;  // in a tile of W2T
  const bool is_one_chunk;
  const bool drops;
  const bool owns_W2;

  // A slice of W2 that the block owns is kept twice: by token (W2T), for the two products that run
  // along the units, and by unit (W2), for the one that runs along the tokens.  Updating W2T and
  // transposing it is cheaper than a product on the wrong layout.
  Weights W1, b1, W2T;          // (K,ld) (ld) (ld_V,ld)
  Buffer<float> W2;             // (ld,ld_V)
  Buffer<float> dW1, db1;       // (K,ld) (ld)
  Buffer<float> dW2T;           // (V,ld), or that of a tile where a batch is a single chunk
  Buffer<float> table, dtable;  // (max_table_rows, ld)
  Buffer<float> h, dh;          // (chunk_rows, ld)
  Buffer<float> mask, dropped;  // (chunk_rows, ld), with dropout: dropped = h * mask
  Buffer<float> logits;         // (chunk_rows, ld_V); the first block's become the sum of all
  Buffer<float> emb, demb;      // (max_table_rows, E): embeddings of the pairs' tokens
  bool finite = true;           // whether all parameters are finite after the last update

  const float* hidden() const { return drops ? dropped.get() : h.get(); }
};

}  // namespace makemore
