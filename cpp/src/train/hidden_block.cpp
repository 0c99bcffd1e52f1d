// A block's part of a step: the lecture's forward, backward and update.
#include "train/hidden_block.hpp"

#include <algorithm>

namespace makemore {

namespace {

// The tokens of a tile, so few that the tile of W2T, its gradient and its transposed copy stay in a
// core's own cache.
int64_t tokens_in_tile(int64_t ld, int64_t V) {
  constexpr int64_t kMaxFloats = 1 << 15;
  return std::clamp(kMaxFloats / ld / kUnit * kUnit, kUnit, padded(V));
}

}  // namespace

HiddenBlock::HiddenBlock(const Sizes& s, int64_t begin, int64_t units, const BlockUse& use)
    : sizes(s),
      begin(begin),
      units(units),
      ld(padded(std::max(units, int64_t{1}))),
      ld_V(padded(s.vocab_size)),
      tile_tokens(tokens_in_tile(ld, s.vocab_size)),
      is_one_chunk(use.is_one_chunk),
      drops(use.drops),
      owns_W2(use.owns_W2),
      W1(s.block_size * s.n_embd * ld, use.moments),
      b1(ld, use.moments),
      W2T(owns_W2 ? ld_V * ld : 0, use.moments),
      W2(owns_W2 ? ld * ld_V : 0),
      dW1(s.block_size * s.n_embd * ld),
      db1(ld),
      dW2T(!owns_W2       ? 0
           : is_one_chunk ? tile_tokens * ld
                          : s.vocab_size * ld),
      table(use.max_table_rows * ld),
      dtable(use.max_table_rows * ld),
      h(use.chunk_rows * ld),
      dh(use.chunk_rows * ld),
      mask(drops ? use.chunk_rows * ld : 0),
      dropped(drops ? use.chunk_rows * ld : 0),
      logits(owns_W2 ? use.chunk_rows * ld_V : 0),
      emb(use.max_table_rows * s.n_embd),
      demb(use.max_table_rows * s.n_embd) {}

void HiddenBlock::pack(const Kernels& kernel, int64_t which, const Parameters& from) {
  const auto [T, E, H, V, is_direct] = sizes;
  for (int64_t k = 0; k < T * E; ++k) {
    std::copy_n(from.W1 + k * H + begin, units, W1.array(which) + k * ld);
  }
  std::copy_n(from.b1 + begin, units, b1.array(which));
  if (!owns_W2) return;
  kernel.transpose(W2T.array(which), ld, from.W2 + begin * V, V, units, V);
  if (which > 0) return;
  for (int64_t j = 0; j < units; ++j) std::copy_n(from.W2 + (begin + j) * V, V, &W2[j * ld_V]);
}

void HiddenBlock::unpack(const Kernels& kernel, int64_t which, const Parameters& to) const {
  const auto [T, E, H, V, is_direct] = sizes;
  for (int64_t k = 0; k < T * E; ++k) {
    std::copy_n(W1.array(which) + k * ld, units, to.W1 + k * H + begin);
  }
  std::copy_n(b1.array(which), units, to.b1 + begin);
  if (owns_W2) kernel.transpose(to.W2 + begin * V, V, W2T.array(which), ld, V, units);
}

void HiddenBlock::forward_table(const Kernels& kernel, const Fold& fold, const float* C) {
  finite = true;
  fold.gather(emb.get(), C);
  fold.table(kernel, table.get(), ld, emb.get(), W1.value(), ld, ld);
}

void HiddenBlock::forward(const Kernels& kernel, const int32_t* rows, int64_t B,
                          const Dropout* dropout, int64_t first_row) {
  kernel.gather_tanh(h.get(), table.get(), rows, b1.value(), ld, B, sizes.block_size, ld);
  if (dropout != nullptr) {
    kernel.dropout_mask(mask.get(), ld, &dropout->words, dropout->threshold, dropout->scale,
                        first_row, begin, B, ld);
    kernel.multiply(dropped.get(), h.get(), mask.get(), B * ld);
  }
}

void HiddenBlock::forward_logits(const Kernels& kernel, int64_t B, const float* b2) {
  kernel.matmul(logits.get(), ld_V, hidden(), ld, 1, W2.get(), ld_V, b2, 0, B, ld_V, units);
}

void HiddenBlock::backward_logits(const Kernels& kernel, const float* dlogits, int64_t B,
                                  bool is_first, const UpdateRule* rule) {
  for (int64_t v = 0; v < sizes.vocab_size; v += tile_tokens) {
    const int64_t tokens = std::min(tile_tokens, sizes.vocab_size - v);
    const float* const w = W2T.value() + v * ld;
    float* const dw = &dW2T[is_one_chunk ? 0 : v * ld];
    kernel.matmul(dh.get(), ld, dlogits + v, ld_V, 1, w, ld, v == 0 ? nullptr : dh.get(), ld, B, ld,
                  tokens);
    kernel.matmul(dw, ld, dlogits + v, 1, ld_V, hidden(), ld, is_first ? nullptr : dw, ld, tokens,
                  ld, B);
    if (rule == nullptr) continue;
    finite &= update(kernel, *rule, rule->weight_decay, W2T, v * ld, dw, tokens * ld);
    kernel.transpose(&W2[v], ld_V, w, ld, padded(tokens), ld);
  }
}

void HiddenBlock::backward(const Kernels& kernel, const Fold& fold, const int32_t* rows, int64_t B,
                           bool is_first) {
  if (drops) kernel.multiply(dh.get(), dh.get(), mask.get(), B * ld);
  if (is_first) std::fill_n(dtable.get(), fold.row_count() * ld, 0.0f);
  kernel.scatter_tanh_backward(dtable.get(), dh.get(), h.get(), rows, ld, B, sizes.block_size, ld);
}

void HiddenBlock::backward_table(const Kernels& kernel, const Fold& fold, const UpdateRule& rule) {
  const int64_t E = sizes.n_embd;
  // Every context has exactly one row of position 0, so that these rows sum to db1.
  kernel.sum_rows(db1.get(), dtable.get(), ld, fold.first_row(1), ld);
  finite &= update(kernel, rule, rule.bias_decay, b1, 0, db1.get(), ld);
  for (int64_t t = 0; t < sizes.block_size; ++t) {
    const int64_t first = fold.first_row(t);
    const int64_t rows = fold.first_row(t + 1) - first;
    const int64_t slice = t * E * ld;
    const float* const dtable_t = &dtable[first * ld];
    kernel.matmul(&dW1[slice], ld, &emb[first * E], 1, E, dtable_t, ld, nullptr, 0, E, ld, rows);
    kernel.matmul_transposed(&demb[first * E], E, dtable_t, ld, W1.value() + slice, ld, rows, E,
                             ld);
    finite &= update(kernel, rule, rule.weight_decay, W1, slice, &dW1[slice], E * ld);
  }
}

}  // namespace makemore
