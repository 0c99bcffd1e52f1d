// The net of a trained model.  The embeddings are folded into the first layer once and for all, and
// where possible contexts are few, the distributions of all of them are put into a table.
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

constexpr int64_t kMaxTabulated = 1 << 22;  // probabilities of that table: 16 MiB

class FrozenNet {
 public:
  // Copies the parameters, which must be those of a checked model.
  FrozenNet(const Sizes& sizes, const ConstParameters& parameters);

  const Sizes& sizes() const { return sizes_; }

  // V^T where the distributions of all contexts may be put into a table, else 0.
  int64_t contexts() const { return contexts_; }

  // out (N,V) = ln p( . | X[i]) of contexts X (N,T) inside the vocabulary; the bits are those of
  // log_probs in makemore/forward.hpp.
  void log_probs(float* out, const int32_t* X, int64_t N, int threads, const Poll& poll) const;

  // Memory of one thread for at most `rows` contexts at a time.
  struct Scratch {
    Scratch(const FrozenNet& net, int64_t rows);
    Buffer<int32_t> rows;
    Buffer<float> h, logits;
    std::optional<TokenTiles::Scratch> tiles;
    std::optional<Fold> fold;  // this and the next two: where folded_ is empty
    Buffer<float> embeddings, table;
  };
  int64_t max_rows() const { return max_rows_; }  // of log_probs; more would not be faster
  int64_t max_target_rows() const { return max_target_rows_; }  // of target_log_probs

  // The same log_probs by the net without the table, on this thread.
  void log_probs(float* out, const int32_t* X, int64_t N, Scratch& scratch) const;

  // out[k] = ln p(Y[k] | X[i]), starts[i] <= k < starts[i+1], with the bits of log_probs.  Where
  // tokens are many, it makes no array of all log-probabilities.
  void target_log_probs(float* out, const int32_t* X, const int32_t* starts, const int32_t* Y,
                        int64_t N, Scratch& scratch) const;

  // The table of all contexts' ln p (V^T,V), in the order of number_of, or null where it does not
  // pay yet.  The caller is about to ask for `uses` more contexts: the table is made when as many
  // have been asked for as it has rows.
  const float* table(int64_t uses, int threads, const Poll& poll) const;

  // The row of a context X (T) in the table: its tokens are the digits of this number.
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
  Buffer<float>
      folded_;  // (T*V,ld): C[v] @ W1[t] in row t*V + v; empty where it would be too large
  Buffer<float> W2_, b2_;            // (F,ld_V) (ld_V); where tokens are not many
  std::optional<TokenTiles> tiles_;  // where tokens are many
  mutable MadeOnce<Buffer<float>> table_;
  mutable std::atomic<int64_t> uses_{0};
};

}  // namespace makemore
