// Two passes over tiles of tokens, and the exchange between groups.
#include "train/output_layer.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/shares.hpp"
#include "net/token_tiles.hpp"

namespace makemore {

namespace {

constexpr float kLowest = std::numeric_limits<float>::lowest();

// n, rounded up to whole pages of floats, so that the next array begins on a page of its own.
int64_t whole_pages(int64_t n) {
  constexpr auto kFloats = static_cast<int64_t>(kPage / sizeof(float));
  return (n + kFloats - 1) / kFloats * kFloats;
}

}  // namespace

OutputLayer::OutputLayer(const Sizes& sizes, const StepCut& cut, std::vector<int64_t> first_tokens,
                         int64_t batch_size, Weights& b2, int64_t moments, int64_t most_candidates,
                         Exchange* exchange)
    : sizes_(sizes),
      scale_(1.0f / static_cast<float>(batch_size)),
      F_(sizes.n_features()),
      ld_(padded(F_)),
      ld_rows_(padded(cut.chunk_rows)),
      is_one_chunk_(batch_size <= cut.chunk_rows),
      tile_tokens_(cut.tile_tokens),
      exchange_(exchange),
      first_tokens_(std::move(first_tokens)),
      groups_(cut.token_groups.size()),
      W2T_(sizes.vocab_size * ld_, moments),
      b2_(b2),
      rows_(most_candidates * ld_),
      first_logits_(most_candidates),
      scaled_h_(cut.chunk_rows * ld_),
      hT_(F_ * ld_rows_),
      max_(ld_rows_),
      weight_(ld_rows_),
      targets_(batch_size),
      target_logits_(batch_size) {
  const int64_t tokens = most_candidates > 0 ? most_candidates : sizes.vocab_size;
  e_ = Buffer<float>(tokens * ld_rows_);
  tile_of_token_ = Buffer<int32_t>(tokens);
  const int64_t groups = group_count();
  for (int64_t g = 0; g < groups; ++g) {
    Group& group = group_of(g);
    const int64_t of_group = std::min(tokens, first_token(g + 1) - first_token(g));
    const int64_t of_tile = std::min(of_group, tile_tokens_);
    const int64_t rows = is_one_chunk_ ? of_tile : of_group;
    group.factor = Buffer<float>(kPanel);
    group.dlogits = Buffer<float>(of_tile * kPanel);
    group.db2_of_tile = Buffer<float>(of_tile);
    group.dW2T = Buffer<float>(rows * ld_);
    group.db2 = Buffer<float>(rows);
    group.exchange.max = Buffer<float>(ld_rows_);
    group.exchange.sum = Buffer<float>(ld_rows_);
  }
  plan_sums();
  if (exchange_ != nullptr) found_ = Buffer<float>(2 * groups * ld_rows_ + batch_size);
  tile_max_ = Buffer<float>((tokens / tile_tokens_ + groups) * ld_rows_);
  if (most_candidates == 0) cut_in_tiles(first_tokens_);
}

// Plans the sum of the groups' parts of dh, and where they lie: a rank sends those that are not
// part of a sum of its own.
void OutputLayer::plan_sums() {
  const int64_t groups = group_count();
  std::vector<int64_t> rank_of;
  for (int64_t rank = 0; exchange_ != nullptr && rank < exchange_->size; ++rank) {
    const auto [begin, end] = share_of(groups, rank, exchange_->size);
    rank_of.resize(static_cast<size_t>(end), rank);
  }
  std::vector<bool> is_sent(groups_.size(), true);
  for (int64_t step = 1; step < groups; step *= 2) {
    for (int64_t g = 0; g + step < groups; g += 2 * step) {
      const auto first = static_cast<size_t>(g), second = static_cast<size_t>(g + step);
      const size_t last = std::min(second + static_cast<size_t>(step), groups_.size()) - 1;
      if (exchange_ == nullptr || rank_of[first] != rank_of[last]) {
        sums_.push_back({g, g + step});
      } else {
        is_sent[second] = false;
        if (rank_of[first] == exchange_->rank) own_sums_.push_back({g, g + step});
      }
    }
  }
  const int64_t stride = whole_pages(F_ * ld_rows_);
  dh_ = Buffer<float>(groups * stride);
  dh_starts_ = {0};
  for (const bool sent : is_sent) dh_starts_.push_back(dh_starts_.back() + (sent ? stride : 0));
  int64_t not_sent = dh_starts_.back();
  for (size_t g = 0; g < groups_.size(); ++g) {
    groups_[g].exchange.dh = &dh_[is_sent[g] ? dh_starts_[g] : not_sent];
    if (!is_sent[g]) not_sent += stride;
  }
}

// Cuts the groups, which begin at `starts` (groups + 1), into tiles.
void OutputLayer::cut_in_tiles(const std::vector<int64_t>& starts) {
  tiles_.clear();
  for (size_t g = 0; g < groups_.size(); ++g) {
    Group& group = groups_[g];
    group.tokens = {starts[g], starts[g + 1]};
    const auto [begin, end] = group.tokens;
    const auto first_tile = static_cast<int64_t>(tiles_.size());
    const int64_t tiles = (end - begin + tile_tokens_ - 1) / tile_tokens_;
    for (int64_t i = 0; i < tiles; ++i) {
      const Range share = share_of(end - begin, i, tiles);
      std::fill(&tile_of_token_[begin + share.begin], &tile_of_token_[begin + share.end],
                static_cast<int32_t>(first_tile + i));
      tiles_.push_back({begin + share.begin, share.end - share.begin});
    }
    group.tiles = {first_tile, first_tile + tiles};
  }
  target_starts_.resize(tiles_.size() + 1);
}

void OutputLayer::pack(const Kernels& kernel, int64_t which, const Parameters& from) {
  const int64_t V = sizes_.vocab_size;
  const Range own = own_share(exchange_, group_count());
  const int64_t begin = first_token(own.begin), end = first_token(own.end);
  kernel.transpose(W2T_.array(which) + begin * ld_, ld_, from.W2 + begin, V, F_, end - begin);
}

void OutputLayer::unpack(const Kernels& kernel, int64_t which, const Parameters& to) const {
  const int64_t V = sizes_.vocab_size;
  kernel.transpose(to.W2, V, W2T_.array(which), ld_, V, F_);
}

template <typename Body>
void OutputLayer::for_each_panel(const Chunk& chunk, const Body& body) const {
  for (int64_t first = 0; first < chunk.count; first += kPanel) {
    const int64_t rows = std::min(kPanel, chunk.count - first);
    body(Panel{first, rows, padded(rows)});
  }
}

void OutputLayer::sort_targets(const DistinctContexts& contexts, const int32_t* Y,
                               const Chunk& chunk, const Candidates* candidates) {
  const int32_t* const starts = contexts.starts() + chunk.first;
  candidates_ = candidates;
  if (candidates != nullptr && chunk.is_first) cut_in_tiles(candidates->starts);
  std::fill(target_starts_.begin(), target_starts_.end(), 0);
  for (int64_t k = starts[0]; k < starts[chunk.count]; ++k) {
    ++target_starts_[static_cast<size_t>(tile_of_token_[Y[k]])];
  }
  int64_t end = 0;
  for (int64_t& start : target_starts_) start = end += start;  // the end of each tile's targets
  for (int64_t row = chunk.count - 1; row >= 0; --row) {
    for (int32_t k = starts[row + 1] - 1; k >= starts[row]; --k) {
      const int32_t tile = tile_of_token_[Y[k]];
      const auto token = Y[k] - static_cast<int32_t>(tiles_[static_cast<size_t>(tile)].begin);
      targets_[--target_starts_[static_cast<size_t>(tile)]] = {k, static_cast<int32_t>(row), token};
    }
  }
}

// Calls take(target, place) for the targets of a tile in a panel; place is the target's in an array
// (tokens,columns).  `next` is the first target of the tile that earlier panels have not taken.
template <typename Take>
void OutputLayer::take_targets(int64_t& next, int64_t tile, const Panel& panel,
                               const Take& take) const {
  const int64_t end = target_starts_[static_cast<size_t>(tile) + 1];
  for (; next < end && targets_[next].row < panel.first + panel.rows; ++next) {
    const Target& target = targets_[next];
    take(target, target.token * panel.columns + target.row - panel.first);
  }
}

void OutputLayer::take_hidden(const Kernels& kernel, const HiddenBlock& block, const Chunk& chunk) {
  take_features(kernel, block.hidden(), block.ld, block.begin, block.units, chunk);
}

void OutputLayer::take_embeddings(const Kernels& kernel, const float* C, const int32_t* X,
                                  const Chunk& chunk) {
  const auto [T, E, H, V, is_direct] = sizes_;
  gather_embeddings(&scaled_h_[H], ld_, C, X, chunk.count, T, E);
  take_features(kernel, &scaled_h_[H], ld_, H, T * E, chunk);
}

// Copies n features (count,n), the first of which is number `begin`, transposed into hT_ and scaled
// into scaled_h_, where they may stand already.
void OutputLayer::take_features(const Kernels& kernel, const float* features, int64_t ld,
                                int64_t begin, int64_t n, const Chunk& chunk) {
  for_each_panel(chunk, [&](const Panel& panel) {
    const float* const from = features + panel.first * ld;
    float* const hT = &hT_[panel.first * F_ + begin * panel.columns];
    kernel.transpose(hT, panel.columns, from, ld, panel.rows, n);
    for (int64_t row = 0; row < panel.rows; ++row) {
      float* const scaled = &scaled_h_[(panel.first + row) * ld_ + begin];
      for (int64_t j = 0; j < n; ++j) scaled[j] = from[row * ld + j] * scale_;
    }
  });
}

void OutputLayer::gather_candidates(const Group& group) {
  for (int64_t i = group.tokens.begin; i < group.tokens.end; ++i) {
    const int64_t token = candidates_->tokens[i];
    std::copy_n(W2T_.value() + token * ld_, ld_, &rows_[i * ld_]);
    first_logits_[i] = b2_.value()[token] + candidates_->corrections[i];
  }
}

// Updates the parameters of a tile; returns whether all are finite.
bool OutputLayer::update_tile(const Kernels& kernel, const UpdateRule& rule, const Tile& tile,
                              const float* dW2T, const float* db2) {
  const auto update_rows = [&](int64_t token, int64_t n, const float* dw, const float* db) {
    bool finite = update(kernel, rule, rule.weight_decay, W2T_, token * ld_, dw, n * ld_);
    finite &= update(kernel, rule, rule.bias_decay, b2_, token, db, n);
    return finite;
  };
  if (candidates_ == nullptr) return update_rows(tile.begin, tile.tokens, dW2T, db2);
  bool finite = true;
  for (int64_t v = 0; v < tile.tokens; ++v) {
    const int64_t token = candidates_->tokens[tile.begin + v];
    finite &= update_rows(token, 1, dW2T + v * ld_, db2 + v);
  }
  return finite;
}

void OutputLayer::forward(const Kernels& kernel, int64_t g, const Chunk& chunk) {
  Group& group = group_of(g);
  if (candidates_ != nullptr && chunk.is_first) gather_candidates(group);
  float* const max = group.exchange.max.get();
  float* const sum = group.exchange.sum.get();
  std::fill_n(max, ld_rows_, kLowest);
  std::fill_n(sum, ld_rows_, 0.0f);
  for (int64_t t = group.tiles.begin; t < group.tiles.end; ++t) {
    const Tile& tile = tiles_[static_cast<size_t>(t)];
    const float* const w = rows() + tile.begin * ld_;
    const float* const b2 = first_logits() + tile.begin;
    int64_t next_target = target_starts_[static_cast<size_t>(t)];
    for_each_panel(chunk, [&](const Panel& panel) {
      const int64_t columns = panel.columns;
      float* const x = exponentials(tile, panel);  // at first it holds the logits
      tile_logits(kernel, x, w, ld_, b2, &hT_[panel.first * F_], tile.tokens, columns, F_);
      take_targets(next_target, t, panel, [&](const Target& target, int64_t place) {
        target_logits_[target.example] = x[place];
      });
      kernel.softmax_tile(x, columns, max + panel.first, sum + panel.first, tile.tokens, columns);
    });
    std::copy_n(max, ld_rows_, max_of_tile(t));
  }
}

double OutputLayer::cross_entropy(const Kernels& kernel, int64_t i,
                                  const DistinctContexts& contexts, const Chunk& chunk,
                                  float* losses) {
  const Range lines = share_of(padded(chunk.count) / kUnit, i, group_count());
  double loss_sum = 0;
  for (int64_t first = lines.begin * kUnit; first < lines.end * kUnit; first += kUnit) {
    float* const max = &max_[first];
    std::fill_n(max, kUnit, kLowest);
    for (const Group& group : groups_) {
      const float* const of_group = &group.exchange.max[first];
      for (int64_t j = 0; j < kUnit; ++j) max[j] = std::max(max[j], of_group[j]);
    }
    float sum[kUnit] = {}, ln_sum[kUnit];
    for (const Group& group : groups_) {
      float factor[kUnit];
      for (int64_t j = 0; j < kUnit; ++j) factor[j] = group.exchange.max[first + j] - max[j];
      kernel.exp(factor, factor, kUnit);
      for (int64_t j = 0; j < kUnit; ++j) sum[j] += group.exchange.sum[first + j] * factor[j];
    }
    kernel.log(ln_sum, sum, kUnit);
    const int32_t* const starts = contexts.starts() + chunk.first + first;
    for (int64_t j = 0; j < kUnit; ++j) {
      const bool is_context = first + j < chunk.count;  // padding lanes get the weight 0
      weight_[first + j] = is_context ? static_cast<float>(starts[j + 1] - starts[j]) / sum[j] : 0;
      for (int64_t k = is_context ? starts[j] : 0; is_context && k < starts[j + 1]; ++k) {
        losses[k] = (max[j] - target_logits_[k]) + ln_sum[j];
        loss_sum += losses[k];
      }
    }
  }
  return loss_sum;
}

void OutputLayer::backward(const Kernels& kernel, int64_t g, const Chunk& chunk,
                           const UpdateRule* rule) {
  Group& group = group_of(g);
  if (chunk.is_first) group.finite = true;
  float* const factor = group.factor.get();
  float* const dlogits = group.dlogits.get();
  float* const db2_of_tile = group.db2_of_tile.get();
  // No tile of the group may hold a candidate.
  if (group.tiles.begin == group.tiles.end) {
    std::fill_n(group.exchange.dh, F_ * padded(chunk.count), 0.0f);
  }
  // The tiles are taken backwards, since those that pass 1 did last are still in cache.
  for (int64_t t = group.tiles.end - 1; t >= group.tiles.begin; --t) {
    const Tile& tile = tiles_[static_cast<size_t>(t)];
    const float* const w = rows() + tile.begin * ld_;
    const int64_t place = is_one_chunk_ ? 0 : tile.begin - group.tokens.begin;
    float* const dw = &group.dW2T[place * ld_];
    float* const db2 = &group.db2[place];
    std::fill_n(db2_of_tile, tile.tokens, 0.0f);
    int64_t next_target = target_starts_[static_cast<size_t>(t)];
    for_each_panel(chunk, [&](const Panel& panel) {
      const int64_t columns = panel.columns;
      for (int64_t j = 0; j < columns; ++j) {
        factor[j] = max_of_tile(t)[panel.first + j] - max_[panel.first + j];
      }
      kernel.exp(factor, factor, columns);
      kernel.multiply(factor, factor, &weight_[panel.first], columns);
      // dlogits are scaled by B: a target then subtracts 1, which is exact; subtracting 1 / B many
      // times would round the same way each time.
      kernel.scale_columns(dlogits, db2_of_tile, exponentials(tile, panel), factor, columns,
                           tile.tokens, columns);
      take_targets(next_target, t, panel, [&](const Target& target, int64_t place) {
        dlogits[place] -= 1;
        db2_of_tile[target.token] -= 1;
      });
      float* const dh = group.exchange.dh + panel.first * F_;
      const bool is_first_tile = t == group.tiles.end - 1;
      kernel.matmul(dh, columns, w, 1, ld_, dlogits, columns, is_first_tile ? nullptr : dh, columns,
                    F_, columns, tile.tokens);
      const bool is_first_panel = chunk.is_first && panel.first == 0;
      kernel.matmul(dw, ld_, dlogits, columns, 1, &scaled_h_[panel.first * ld_], ld_,
                    is_first_panel ? nullptr : dw, ld_, tile.tokens, ld_, panel.rows);
    });
    for (int64_t v = 0; v < tile.tokens; ++v) {
      db2[v] = (chunk.is_first ? 0.0f : db2[v]) + db2_of_tile[v] * scale_;
    }
    if (rule != nullptr) group.finite &= update_tile(kernel, *rule, tile, dw, db2);
  }
}

void OutputLayer::sum_own_dh(const Kernels& kernel, int64_t part, const Chunk& chunk) {
  const Range lines = share_of(F_ * padded(chunk.count) / kUnit, part, group_count());
  for (const auto [to, from] : own_sums_) {
    kernel.add(group_of(to).exchange.dh + lines.begin * kUnit,
               group_of(from).exchange.dh + lines.begin * kUnit, (lines.end - lines.begin) * kUnit);
  }
}

// Returns the sum (n,columns) of the parts of the gradient of n features from `begin` on.
float* OutputLayer::summed_dh(const Kernels& kernel, const Panel& panel, int64_t begin, int64_t n) {
  const int64_t place = panel.first * F_ + begin * panel.columns;
  float* const sum = groups_[0].exchange.dh + place;
  for (const auto [to, from] : sums_) {
    kernel.add(group_of(to).exchange.dh + place, group_of(from).exchange.dh + place,
               n * panel.columns);
  }
  for (int64_t j = 0; j < n * panel.columns; ++j) sum[j] *= scale_;
  return sum;
}

void OutputLayer::give_dh(const Kernels& kernel, HiddenBlock& block, const Chunk& chunk) {
  for_each_panel(chunk, [&](const Panel& panel) {
    const float* const dh = summed_dh(kernel, panel, block.begin, block.units);
    kernel.transpose(&block.dh[panel.first * block.ld], block.ld, dh, panel.columns, block.units,
                     panel.rows);
  });
}

void OutputLayer::give_demb(const Kernels& kernel, float* demb, const int32_t* rows,
                            const Chunk& chunk) {
  const auto [T, E, H, V, is_direct] = sizes_;
  for_each_panel(chunk, [&](const Panel& panel) {
    const float* const dx = summed_dh(kernel, panel, H, T * E);
    for (int64_t row = 0; row < panel.rows; ++row) {
      const int32_t* const pairs = rows + (panel.first + row) * T;
      for (int64_t k = 0; k < T * E; ++k)
        demb[pairs[k / E] * E + k % E] += dx[k * panel.columns + row];
    }
  });
}

// The number of a group's first tile, or the number of all tiles for the group behind the last.
int64_t OutputLayer::first_tile(int64_t group) const {
  return group < group_count() ? groups_[static_cast<size_t>(group)].tiles.begin
                               : std::ssize(tiles_);
}

// The message holds for each group its greatest logits, its sums, and the logits of its targets.
void OutputLayer::exchange_found(const Chunk& chunk) {
  const int64_t groups = group_count(), rows = padded(chunk.count);
  const auto first_target = [&](int64_t g) {
    return int64_t{target_starts_[static_cast<size_t>(first_tile(g))]};
  };
  const auto start = [&](int64_t g) { return 2 * rows * g + first_target(g); };
  const auto for_each_number = [&](int64_t begin, int64_t end, const auto& visit) {
    for (int64_t g = begin; g < end; ++g) {
      float* place = &found_[start(g)];
      for (Buffer<float>* const array : {&group_of(g).exchange.max, &group_of(g).exchange.sum}) {
        for (int64_t j = 0; j < rows; ++j) visit((*array)[j], *place++);
      }
      for (int64_t i = first_target(g); i < first_target(g + 1); ++i) {
        visit(target_logits_[targets_[i].example], *place++);
      }
    }
  };
  const auto give = [](const float& number, float& in_message) { in_message = number; };
  const auto take = [](float& number, const float& in_message) { number = in_message; };
  const Range own = own_share(exchange_, groups);
  for_each_number(own.begin, own.end, give);
  exchange_shares(*exchange_, found_.get(), groups, start);
  for_each_number(0, own.begin, take);
  for_each_number(own.end, groups, take);
}

void OutputLayer::exchange_gradients() {
  exchange_shares(*exchange_, dh_.get(), group_count(),
                  [&](int64_t g) { return dh_starts_[static_cast<size_t>(g)]; });
}

void OutputLayer::exchange_finite() {
  std::vector<uint8_t> finite;
  for (const Group& group : groups_) finite.push_back(group.finite);
  exchange_shares(*exchange_, finite.data(), group_count(), [](int64_t g) { return g; });
  for (size_t g = 0; g < groups_.size(); ++g) groups_[g].finite = finite[g] != 0;
}

void OutputLayer::exchange_parameters(int64_t moments) {
  const int64_t groups = group_count();
  for (int64_t i = 0; i <= moments; ++i) {
    exchange_shares(*exchange_, W2T_.array(i), groups,
                    [&](int64_t g) { return first_token(g) * ld_; });
    exchange_shares(*exchange_, b2_.array(i), groups, [&](int64_t g) { return first_token(g); });
  }
}

}  // namespace makemore
