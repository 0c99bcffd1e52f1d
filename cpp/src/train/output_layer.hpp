// The output layer cut along tokens, for a large vocabulary.  It is then "the expensive layer" of
// Bengio et al. (2003), where nearly all of a step's arithmetic is.
//
// Every group of tokens has one owner, a thread that keeps their rows of W2T (W2 transposed) and
// b2, computes their logits and gradients and updates them.  It does so tile by tile of tokens: a
// tile's weights stay in a core's own cache while all contexts of a chunk pass, panel by panel (64
// contexts), along which the vectors run.  For each context a group hands on its greatest logit,
// its sum of exponentials and its part of dh.  Numbers that cross between groups in this way are
// named `exchange`.  The sums are added in the order of the groups; the parts of dh in pairs, then
// in pairs of pairs, and so on.
//
// The exponentials of a chunk are kept between the two passes.  Computing the logits again would
// save memory, but cost a quarter to a third more time.
//
// Ranks (processes) share the groups as threads do: the parameter-parallel scheme of Bengio et al.
// (2003), section 3.2.  Each rank has all of W2, but until the end of a call, where it receives the
// other rows, only the rows of its own groups are up to date.  Before the ranks exchange dh, each
// adds up the pairs, and pairs of pairs, that are all its own; the order of additions does not
// depend on the number of ranks.
//
// With a sampled softmax each group computes those of its tokens that are candidates of the step.
// Their rows are copied side by side for the products, and updated in their places.  No other row
// is touched: the moments of other tokens stay as they are and weight decay does not reach them,
// since that would take a pass over all of W2, which sampling is meant to avoid.
#pragma once

#include <cstdint>
#include <vector>

#include "base/buffer.hpp"
#include "base/thread_pool.hpp"
#include "kernels/kernels.hpp"
#include "makemore/exchange.hpp"
#include "makemore/machine.hpp"
#include "makemore/model.hpp"
#include "net/distinct_contexts.hpp"
#include "train/hidden_block.hpp"
#include "train/negatives.hpp"
#include "train/update.hpp"

namespace makemore {

// Contexts [first, first + count) of a batch, which go through the net together.
struct Chunk {
  int64_t first, count;
  bool is_first, is_last;
};

class OutputLayer {
 public:
  // first_tokens (groups + 1) are the first token of each group, and V.  b2 (V) and its moments
  // belong to the trainer, which packs them.  With most_candidates > 0 the softmax is sampled.
  // Where `exchange` is null, all groups are this process's own.
  OutputLayer(const Sizes& sizes, const StepCut& cut, std::vector<int64_t> first_tokens,
              int64_t batch_size, Weights& b2, int64_t moments, int64_t most_candidates,
              Exchange* exchange);

  // Where ranks share the groups, each calls forward and backward for its own groups only.  Then it
  // receives from the other ranks: after forward the numbers that their groups hand on; after
  // backward, when sum_own_dh has done each of its parts (as many as groups), their sums of dh; at
  // the end of a step whether their groups' parameters are finite; at the end of a call their
  // parameters.
  void exchange_found(const Chunk& chunk);
  void sum_own_dh(const Kernels& kernel, int64_t part, const Chunk& chunk);
  void exchange_gradients();
  void exchange_finite();
  void exchange_parameters(int64_t moments);

  // Copy W2 (which = 0) or a moment of it (1, 2) out of the caller's arrays, and back into them.  A
  // rank packs only the rows that it reads.
  void pack(const Kernels& kernel, int64_t which, const Parameters& from);
  void unpack(const Kernels& kernel, int64_t which, const Parameters& to) const;

  // Sorts the targets of a chunk's contexts by tile.  Y (B), sorted by context, holds tokens or,
  // where `candidates` is not null, places among the candidates.
  void sort_targets(const DistinctContexts& contexts, const int32_t* Y, const Chunk& chunk,
                    const Candidates* candidates);

  // Copies the hidden units of a block after its forward pass.
  void take_hidden(const Kernels& kernel, const HiddenBlock& block, const Chunk& chunk);

  // Copies the embeddings C (V,E) of a chunk's contexts X (count,T), where these are features.
  void take_embeddings(const Kernels& kernel, const float* C, const int32_t* X, const Chunk& chunk);

  // Does pass 1 of a group: computes e^(logit - the greatest so far), the sums of these and the
  // targets' logits.
  void forward(const Kernels& kernel, int64_t group, const Chunk& chunk);

  // Computes the normalisers of part `i` of the contexts from the numbers of all groups, and the
  // losses of their examples, sorted by context; returns the sum of these losses.
  double cross_entropy(const Kernels& kernel, int64_t i, const DistinctContexts& contexts,
                       const Chunk& chunk, float* losses);

  // Does pass 2 of a group: computes its part of dh, and adds dW2 and db2 to those of earlier
  // chunks.  In the last chunk `rule` is not null, and each tile of W2 and b2 is updated while it
  // is in cache.
  void backward(const Kernels& kernel, int64_t group, const Chunk& chunk, const UpdateRule* rule);

  // Adds up the groups' parts of dh for the hidden units of a block.
  void give_dh(const Kernels& kernel, HiddenBlock& block, const Chunk& chunk);

  // Adds the gradient of the embeddings as features to demb (pairs,E), that of the fold's pairs;
  // `rows` (count,T) are the pairs of the chunk's contexts.
  void give_demb(const Kernels& kernel, float* demb, const int32_t* rows, const Chunk& chunk);

  // Whether all parameters of a group are finite after the last update, and what else its owner has
  // updated.
  bool& finite(int64_t group) { return groups_[static_cast<size_t>(group)].finite; }

 private:
  struct Tile {
    int64_t begin, tokens;
  };
  struct Panel {
    int64_t first, rows;  // contexts [first, first + rows) of the chunk
    int64_t columns;      // rows, padded: the ld of arrays with one column per context
  };
  struct Target {
    int32_t example;  // its place in Y, which is sorted by context
    int32_t row;      // its context, counted in the chunk
    int32_t token;    // counted in the tile
  };
  struct Group {
    Range tokens, tiles;
    bool finite = true;
    Buffer<float> factor;       // (kPanel)
    Buffer<float> dlogits;      // (tile,kPanel)
    Buffer<float> db2_of_tile;  // (tile)
    // (tile,ld) (tile), or those of all tokens of the group where several chunks add to them
    Buffer<float> dW2T, db2;
    struct {
      Buffer<float> max, sum;  // (ld_rows): the greatest logit; the sum of e^(logit - max)
      float* dh;               // (panels,F,columns)
    } exchange;
  };
  // The part `from` of dh is added to the part `to`; both are groups.
  struct Sum {
    int64_t to, from;
  };

  Group& group_of(int64_t group) { return groups_[static_cast<size_t>(group)]; }
  int64_t group_count() const { return static_cast<int64_t>(groups_.size()); }
  int64_t first_token(int64_t group) const { return first_tokens_[static_cast<size_t>(group)]; }
  int64_t first_tile(int64_t group) const;
  void cut_in_tiles(const std::vector<int64_t>& starts);
  void plan_sums();
  void gather_candidates(const Group& group);
  bool update_tile(const Kernels& kernel, const UpdateRule& rule, const Tile& tile,
                   const float* dW2T, const float* db2);
  void take_features(const Kernels& kernel, const float* features, int64_t ld, int64_t begin,
                     int64_t n, const Chunk& chunk);
  float* summed_dh(const Kernels& kernel, const Panel& panel, int64_t begin, int64_t n);

  // The rows (tokens,ld) of W2T for the products, and the values from which the logits are summed.
  const float* rows() const { return candidates_ ? rows_.get() : W2T_.value(); }
  const float* first_logits() const { return candidates_ ? first_logits_.get() : b2_.value(); }
  template <typename Body>
  void for_each_panel(const Chunk& chunk, const Body& body) const;
  template <typename Take>
  void take_targets(int64_t& next, int64_t tile, const Panel& panel, const Take& take) const;

  // The exponentials e^(logit - max) of a tile and panel (tokens,columns).
  float* exponentials(const Tile& tile, const Panel& panel) {
    return &e_[tile.begin * ld_rows_ + tile.tokens * panel.first];
  }
  // The max in these exponentials for each context of the chunk: its greatest logit up to this
  // tile.
  float* max_of_tile(int64_t tile) { return &tile_max_[tile * ld_rows_]; }

  const Sizes sizes_;
  const float scale_;      // 1 / B
  const int64_t F_;        // features: hidden units and, with direct connections, embeddings
  const int64_t ld_;       // the ld of W2T and the features: F, padded with zeros
  const int64_t ld_rows_;  // the ld of arrays with one column per context of a chunk, padded
  const bool is_one_chunk_;
  const int64_t tile_tokens_;
  Exchange* const exchange_;                 // null where this process is alone
  const std::vector<int64_t> first_tokens_;  // (groups + 1)
  std::vector<Group> groups_;
  std::vector<Sum> own_sums_, sums_;  // in their order: before the ranks exchange dh, and after it
  // The parts of dh of all groups; first those that ranks send, which begin at dh_starts
  // (groups + 1).
  Buffer<float> dh_;
  std::vector<int64_t> dh_starts_;
  std::vector<Tile> tiles_;
  Weights W2T_;                             // (V,ld)
  Weights& b2_;                             // (V)
  const Candidates* candidates_ = nullptr;  // those of the step where the softmax is sampled
  // (most_candidates,ld) (most_candidates): rows of W2T, and b2 plus the corrections
  Buffer<float> rows_, first_logits_;
  Buffer<float> scaled_h_, hT_;  // (chunk_rows,ld): h / B; (panels,F,columns)
  Buffer<float> e_;              // (V,ld_rows), by tile, and in each tile by panel
  Buffer<float> tile_max_;       // (tiles,ld_rows)
  // (ld_rows): the greatest of all logits; the number of examples over the sum of e^(logit - max)
  Buffer<float> max_, weight_;
  Buffer<int32_t> tile_of_token_;       // (V)
  Buffer<Target> targets_;              // (B), by tile, and in each tile by context
  std::vector<int64_t> target_starts_;  // (tiles + 1)
  Buffer<float> target_logits_;         // (B), sorted by context
  Buffer<float> found_;  // (groups,2,rows) and (targets): the message of exchange_found
};

}  // namespace makemore
