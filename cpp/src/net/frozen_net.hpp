// The net of a trained model: embeddings folded into tables once and for all and, for few contexts,
// all distributions tabulated.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "base/buffer.hpp"
#include "base/made_once.hpp"
#include "makemore/model.hpp"
#include "makemore/poll.hpp"
#include "net/fold.hpp"
#include "net/token_tiles.hpp"

namespace makemore {

constexpr int64_t kMaxTabulated = 1 << 22;  // probabilities: 16 MiB

class FrozenNet {
 public:
  // Copies the parameters, which must be those of a checked model.
  FrozenNet(const Sizes& sizes, const ConstParameters& parameters);

  const Sizes& sizes() const { return sizes_; }

  // V^T where all distributions may be tabulated, else 0.
  int64_t contexts() const { return contexts_; }

  // out (N,V) = ln p( . | X[i]) of contexts X (N,T) inside the vocabulary; the bits are those of
  // log_probs in makemore/forward.hpp.
  void log_probs(float* out, const int32_t* X, int64_t N, int threads, const Poll& poll) const;

  // The same by the net alone, on this thread, for as many contexts as there is scratch for.
  int64_t max_rows() const { return max_rows_; }  // more at once would not be faster
  int64_t max_target_rows() const { return max_target_rows_; }
  struct Scratch {
    Scratch(const FrozenNet& net, int64_t rows);
    Buffer<int32_t> rows;
    Buffer<float> h, logits;
    std::optional<TokenTiles::Scratch> tiles;
    std::optional<Fold> fold;  // and what belongs to it: without folded tables
    Buffer<float> embeddings, table;
  };
  void log_probs(float* out, const int32_t* X, int64_t N, Scratch& scratch) const;

  // out[k] = ln p(Y[k] | X[i]), starts[i] <= k < starts[i+1], with the same bits, for
  // max_target_rows contexts at most.  Where tokens are many, there is no array of all their
  // log-probabilities.
  void target_log_probs(float* out, const int32_t* X, const int32_t* starts, const int32_t* Y,
                        int64_t N, Scratch& scratch) const;

  // ln p of all contexts (V^T,V), in the order of their tokens as digits of a number, or null where
  // that does not pay yet.  `uses` more contexts are about to be asked for: the table is made when
  // as many have been asked for as it has rows.
  const float* table(int64_t uses, int threads, const Poll& poll) const;

  // The number of a context X (T): its row in the table.
  int64_t number_of(const int32_t* X) const;

 private:
  bool is_folded() const { return folded_.get() != nullptr; }
  void hidden(const int32_t* X, int64_t N, Scratch& scratch) const;
  template <typename Body>
  void for_each_chunk(int64_t N, int threads, const Poll& poll, const Body& body) const;
  Buffer<float> tabulated(int threads, const Poll& poll) const;

  Sizes sizes_;
  int64_t contexts_;
  int64_t max_rows_, max_target_rows_;
  int64_t ld_, ld_V_;  // of h and the logits: F and V, padded
  ParameterArrays parameters_;
  Buffer<float> folded_;   // (T*V,ld): C[v] @ W1[t] in row t*V + v; none where that were too much
  Buffer<float> W2_, b2_;  // (F,ld_V) (ld_V); not where tokens are many
  std::optional<TokenTiles> tiles_;  // there
  mutable MadeOnce<Buffer<float>> table_;
  mutable std::atomic<int64_t> uses_{0};
};

}  // namespace makemore
