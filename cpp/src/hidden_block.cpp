// One block's part of a step: the lecture's forward, backward, update.
#include "hidden_block.hpp"

#include <algorithm>

namespace makemore {

namespace {

// A tile of W2T, its gradient and its transposed copy stay in a core's own cache.
int64_t tokens_in_tile(int64_t ld, int64_t V) {
  constexpr int64_t kMaxFloats = 1 << 15;
  return std::clamp(kMaxFloats / ld / kUnit * kUnit, kUnit, padded(V));
}

}  // namespace

HiddenBlock::HiddenBlock(const Sizes& s, int64_t begin, int64_t units, int64_t max_table_rows,
                         int64_t chunk_rows, bool is_one_chunk)
    : sizes(s),
      begin(begin),
      units(units),
      ld(padded(units)),
      ld_V(padded(s.vocab_size)),
      tile_tokens(tokens_in_tile(ld, s.vocab_size)),
      keeps_whole_gradient(!is_one_chunk),
      W1(s.block_size * s.n_embd * ld),
      b1(ld),
      W2T(ld_V * ld),
      W2(ld * ld_V),
      dW1(s.block_size * s.n_embd * ld),
      db1(ld),
      dW2T((keeps_whole_gradient ? s.vocab_size : tile_tokens) * ld),
      table(max_table_rows * ld),
      dtable(max_table_rows * ld),
      h(chunk_rows * ld),
      dh(chunk_rows * ld),
      logits(chunk_rows * ld_V),
      emb(max_table_rows * s.n_embd),
      demb(max_table_rows * s.n_embd) {}

void HiddenBlock::pack(const ConstParameters& from) {
  const auto [T, E, H, V] = sizes;
  for (int64_t k = 0; k < T * E; ++k) std::copy_n(from.W1 + k * H + begin, units, &W1[k * ld]);
  std::copy_n(from.b1 + begin, units, b1.get());
  for (int64_t j = 0; j < units; ++j) {
    for (int64_t v = 0; v < V; ++v) {
      W2[j * ld_V + v] = W2T[v * ld + j] = from.W2[(begin + j) * V + v];
    }
  }
}

void HiddenBlock::unpack(const Parameters& to) const {
  const auto [T, E, H, V] = sizes;
  for (int64_t k = 0; k < T * E; ++k) std::copy_n(&W1[k * ld], units, to.W1 + k * H + begin);
  std::copy_n(b1.get(), units, to.b1 + begin);
  for (int64_t j = 0; j < units; ++j) {
    std::copy_n(&W2[j * ld_V], V, to.W2 + (begin + j) * V);
  }
}

void HiddenBlock::forward_table(const Kernels& kernel, const Fold& fold, const float* C) {
  fold.gather(emb.get(), C);
  fold.table(kernel, table.get(), ld, emb.get(), W1.get(), ld, ld);
}

void HiddenBlock::forward(const Kernels& kernel, const int32_t* rows, int64_t B, const float* b2) {
  kernel.gather_tanh(h.get(), table.get(), rows, b1.get(), ld, B, sizes.block_size, ld);
  kernel.matmul(logits.get(), ld_V, h.get(), ld, 1, W2.get(), ld_V, b2, 0, B, ld_V, units);
}

void HiddenBlock::backward(const Kernels& kernel, const float* dlogits, const Fold& fold,
                           const int32_t* rows, int64_t B, bool is_first, const Update* update) {
  if (is_first) finite = true;
  for (int64_t v = 0; v < sizes.vocab_size; v += tile_tokens) {
    const int64_t tokens = std::min(tile_tokens, sizes.vocab_size - v);
    float* const w = &W2T[v * ld];
    float* const dw = &dW2T[keeps_whole_gradient ? v * ld : 0];
    kernel.matmul(dh.get(), ld, dlogits + v, ld_V, 1, w, ld, v == 0 ? nullptr : dh.get(), ld, B, ld,
                  tokens);
    kernel.matmul(dw, ld, dlogits + v, 1, ld_V, h.get(), ld, is_first ? nullptr : dw, ld, tokens,
                  ld, B);
    if (update == nullptr) continue;
    finite &= kernel.sgd_update(w, dw, update->lr, update->weight_decay, tokens * ld) != 0;
    kernel.transpose(&W2[v], ld_V, w, ld, padded(tokens), ld);
  }
  if (is_first) std::fill_n(dtable.get(), fold.row_count() * ld, 0.0f);
  kernel.scatter_tanh_backward(dtable.get(), dh.get(), h.get(), rows, ld, B, sizes.block_size, ld);
}

void HiddenBlock::backward_table(const Kernels& kernel, const Fold& fold, const Update& update) {
  const int64_t E = sizes.n_embd;
  // Every context has one row of position 0.
  kernel.sum_rows(db1.get(), dtable.get(), ld, fold.first_row(1), ld);
  finite &= kernel.sgd_update(b1.get(), db1.get(), update.lr, 0, ld) != 0;
  for (int64_t t = 0; t < sizes.block_size; ++t) {
    const int64_t first = fold.first_row(t);
    const int64_t rows = fold.first_row(t + 1) - first;
    const float* const dtable_t = &dtable[first * ld];
    float* const w = &W1[t * E * ld];
    float* const dw = &dW1[t * E * ld];
    kernel.matmul(dw, ld, &emb[first * E], 1, E, dtable_t, ld, nullptr, 0, E, ld, rows);
    kernel.matmul_transposed(&demb[first * E], E, dtable_t, ld, w, ld, rows, E, ld);
    finite &= kernel.sgd_update(w, dw, update.lr, update.weight_decay, E * ld) != 0;
  }
}

}  // namespace makemore
