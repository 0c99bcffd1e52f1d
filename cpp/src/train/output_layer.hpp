// The output layer cut along tokens, for a vocabulary that is large: it is then "the expensive
// layer" of Bengio et al. (2003), where nearly all of a step's arithmetic is.
//
// A group of tokens has one owner, who keeps their rows of W2, transposed, and of b2, computes
// their logits and gradients and updates them, tile by tile of tokens: a tile's weights stay in a
// core's own cache while all contexts of a chunk pass, panel by panel, along which the vectors run.
// A group hands on, of each context, the greatest logit, the sum of the exponentials, and its part
// of dh.  Whatever crosses between groups so is named `exchange` and added in the order of the
// groups.
//
// The exponentials of a chunk are kept between the two passes.  To compute the logits again, as is
// done where memory is short, would cost a quarter to a third more time.
//
// Ranks share the groups, as threads do: the parameter-parallel scheme of Bengio et al. (2003),
// section 3.2.  Each has all of W2, but its groups' rows alone are right until the end of a call,
// where each gets the others'.  The groups' parts are exchanged one by one, and not as sums of
// ranks', since the order of the additions must not depend on the number of ranks.
//
// With a sampled softmax the tokens are the candidates of the step: their rows are copied
// side by side for the products, and updated where they are.  No other row is touched: a moment of
// the optimiser is what it was when its token was last a candidate, and weight decay is for
// candidates only, since all else would be a pass over W2 that sampling is there to spare.
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
  // b2 (V) and its moments belong to the trainer, who packs them.  With most_candidates > 0 the
  // softmax is sampled.  Without an exchange all groups are this process's own.
  OutputLayer(const Sizes& sizes, const StepCut& cut, int64_t batch_size, Weights& b2,
              int64_t moments, int64_t most_candidates, Exchange* exchange);

  // Where ranks share the groups, who calls forward and backward for its own alone: after forward
  // each gets what the other ranks' groups have found; after backward their parts of dh, whether
  // their parameters are finite, and of candidates the gradients; and at last the parameters.
  void exchange_found(const Chunk& chunk);
  void exchange_gradients(const Chunk& chunk);
  void exchange_parameters(int64_t moments);

  // Exact copies of W2 or a moment of it out of the caller's arrays, and back into them.
  void pack(const Kernels& kernel, int64_t which, const Parameters& from);
  void unpack(const Kernels& kernel, int64_t which, const Parameters& to) const;

  // Finds the targets Y (B), by context, of each tile among those of a chunk.  With candidates,
  // these are the tokens of the step, and Y is places among them.
  void sort_targets(const DistinctContexts& contexts, const int32_t* Y, const Chunk& chunk,
                    const Candidates* candidates);

  // Takes over the hidden units of a block after its forward pass.
  void take_hidden(const Kernels& kernel, const HiddenBlock& block, const Chunk& chunk);

  // Takes over the embeddings C (V,E) of a chunk's contexts X (count,T), where these are features.
  void take_embeddings(const Kernels& kernel, const float* C, const int32_t* X, const Chunk& chunk);

  // Pass 1 of a group: e^(logit - the greatest so far), the sums of these, the targets' logits.
  void forward(const Kernels& kernel, int64_t group, const Chunk& chunk);

  // The normalisers of part `i` of the contexts, from what the groups found, and the losses of
  // their examples, by context; returns the sum of these.
  double cross_entropy(const Kernels& kernel, int64_t i, const DistinctContexts& contexts,
                       const Chunk& chunk, float* losses);

  // Pass 2 of a group: its part of dh, and dW2 and db2, added to those of earlier chunks unless
  // this is the first.  The last chunk comes with the rule of the update, which each tile of W2 and
  // b2 gets while it is in cache; but candidates that ranks share get it from update_candidates.
  void backward(const Kernels& kernel, int64_t group, const Chunk& chunk, const UpdateRule* rule);
  void update_candidates(const Kernels& kernel, int64_t group, const UpdateRule& rule);

  // dh of the hidden units of a block: the sum of the groups' parts.
  void give_dh(const Kernels& kernel, HiddenBlock& block, const Chunk& chunk);

  // Adds the gradient of the embeddings as features to that of the pairs, demb (pairs,E): `rows`
  // (count,T) are those of the chunk's contexts.
  void give_demb(const Kernels& kernel, float* demb, const int32_t* rows, const Chunk& chunk);

  // Whether all parameters of a group are finite, after the last update.
  bool& finite(int64_t group) { return groups_[static_cast<size_t>(group)].finite; }

 private:
  struct Tile {
    int64_t begin, tokens;
  };
  struct Panel {  // of contexts, the first of which is `first` of the chunk
    int64_t first, rows;
    int64_t columns;  // rows, padded: the ld of what has one column per context
  };
  struct Target {
    int32_t example, row;  // of Y by context; context of the chunk
    int32_t token;         // of the tile
  };
  struct Group {
    Range tokens, tiles;
    bool finite = true;
    Buffer<float> factor;       // (kPanel)
    Buffer<float> dlogits;      // (tile,kPanel)
    Buffer<float> db2_of_tile;  // (tile)
    Buffer<float> dW2T, db2;    // (tile,ld) (tile), or of all tokens where chunks add to them
    struct {
      Buffer<float> max, sum;  // (ld_rows): of the logits; of e^(logit - max)
      float* dh;               // (panels,F,columns), and behind it whether the group is finite
    } exchange;
  };
  struct Gradients {
    float *dW2T, *db2;  // (tile,ld) (tile)
  };

  Group& group_of(int64_t group) { return groups_[static_cast<size_t>(group)]; }
  int64_t group_count() const { return static_cast<int64_t>(groups_.size()); }
  int64_t first_tile(int64_t group) const;
  void cut_in_groups(int64_t tokens);
  void gather_candidates(const Group& group);
  bool update_candidates(const Kernels& kernel, const UpdateRule& rule, const Tile& tile,
                         const Gradients& gradients);
  Gradients gradients_of(Group& group, const Tile& tile);
  void take_features(const Kernels& kernel, const float* features, int64_t ld, int64_t begin,
                     int64_t n, const Chunk& chunk);
  float* summed_dh(const Kernels& kernel, const Panel& panel, int64_t begin, int64_t n);

  // Rows (tokens,ld) of W2T for the products, and what their logits begin with.
  const float* rows() const { return candidates_ ? rows_.get() : W2T_.value(); }
  const float* first_logits() const { return candidates_ ? first_logits_.get() : b2_.value(); }
  template <typename Body>
  void for_each_panel(const Chunk& chunk, const Body& body) const;
  template <typename Take>
  void take_targets(int64_t& next, int64_t tile, const Panel& panel, const Take& take) const;

  // The exponentials of a tile and panel (tokens,columns), and what each column is relative to.
  float* exponentials(const Tile& tile, const Panel& panel) {
    return &e_[tile.begin * ld_rows_ + tile.tokens * panel.first];
  }
  float* max_of_tile(int64_t tile) { return &tile_max_[tile * ld_rows_]; }

  const Sizes sizes_;
  const float scale_;      // 1 / B
  const int64_t F_;        // features: hidden units and, with direct connections, embeddings
  const int64_t ld_;       // of W2T and the features: F, padded with zeros
  const int64_t ld_rows_;  // of arrays with one column per context: those of a chunk, padded
  const bool is_one_chunk_;
  const int64_t tile_tokens_;
  Exchange* const exchange_;  // null where this process is alone
  // Candidates are other tokens in each step, whose rows every rank must know: each updates all.
  const bool exchanges_candidates_;
  std::vector<Group> groups_;
  const int64_t dh_stride_;
  Buffer<float> dh_;  // (groups,dh_stride), of their exchange
  std::vector<Tile> tiles_;
  Weights W2T_;                             // (V,ld)
  Weights& b2_;                             // (V)
  const Candidates* candidates_ = nullptr;  // of the step, where the softmax is sampled
  Buffer<float> rows_, first_logits_;       // (most,ld) (most): W2T, and b2 plus the corrections
  Buffer<float> scaled_h_, hT_;             // (chunk_rows,ld): h / B; (panels,F,columns)
  Buffer<float> e_;                         // (V,ld_rows), by tiles and in these by panels
  Buffer<float> tile_max_;                  // (tiles,ld_rows)
  Buffer<float> max_, weight_;     // (ld_rows): of all logits; examples over sum of e^(logit - max)
  Buffer<int32_t> tile_of_token_;  // (V)
  Buffer<Target> targets_;         // (B), by tiles and in these by contexts
  std::vector<int64_t> target_starts_;  // (tiles + 1)
  Buffer<float> target_logits_;         // (B), by context
  // What only ranks need.
  Buffer<float> found_;       // (groups,2,rows) and (targets): the message of exchange_found
  Buffer<float> dW2T_, db2_;  // (most,ld) (most): of candidates
};

}  // namespace makemore
