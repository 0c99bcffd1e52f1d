// One block's part of a step: the lecture's forward, backward, update.
#include "hidden_block.hpp"

#include <algorithm>

namespace makemore {

HiddenBlock::HiddenBlock(const Sizes& s, int64_t begin, int64_t units, int64_t max_table_rows,
                         int64_t chunk_rows)
    : sizes(s),
      begin(begin),
      units(units),
      ld(padded(units)),
      ld_V(padded(s.vocab_size)),
      W1(s.block_size * s.n_embd * ld),
      b1(ld),
      W2T(ld_V * ld),
      W2(ld * ld_V),
      dW1(s.block_size * s.n_embd * ld),
      db1(ld),
      dW2T(s.vocab_size * ld),
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
                           int64_t chunk, int64_t B) {
  const int64_t V = sizes.vocab_size;
  const bool first = chunk == 0;
  kernel.matmul(dh.get(), ld, dlogits, ld_V, 1, W2T.get(), ld, nullptr, 0, B, ld, V);
  kernel.matmul(dW2T.get(), ld, dlogits, 1, ld_V, h.get(), ld, first ? nullptr : dW2T.get(), ld, V,
                ld, B);
  float* const dz = dh.get();
  kernel.tanh_backward(dz, dh.get(), h.get(), B * ld);
  kernel.sum_members(dtable.get(), dz, fold.starts(chunk), fold.members(chunk), ld,
                     fold.row_count(), ld, !first);
}

void HiddenBlock::backward_table(const Kernels& kernel, const Fold& fold) {
  const int64_t E = sizes.n_embd;
  // Every example has one row of position 0.
  kernel.sum_rows(db1.get(), dtable.get(), ld, fold.first_row(1), ld);
  for (int64_t t = 0; t < sizes.block_size; ++t) {
    const int64_t first = fold.first_row(t);
    const int64_t rows = fold.first_row(t + 1) - first;
    const float* dtable_t = dtable.get() + first * ld;
    kernel.matmul(dW1.get() + t * E * ld, ld, emb.get() + first * E, 1, E, dtable_t, ld, nullptr, 0,
                  E, ld, rows);
    kernel.matmul_transposed(demb.get() + first * E, E, dtable_t, ld, W1.get() + t * E * ld, ld,
                             rows, E, ld);
  }
}

bool HiddenBlock::update(const Kernels& kernel, float lr, float weight_decay) {
  const auto [T, E, H, V] = sizes;
  bool finite = kernel.sgd_update(W1.get(), dW1.get(), lr, weight_decay, T * E * ld);
  finite &= kernel.sgd_update(b1.get(), db1.get(), lr, 0, ld) != 0;
  finite &= kernel.sgd_update(W2T.get(), dW2T.get(), lr, weight_decay, V * ld) != 0;
  kernel.transpose(W2.get(), ld_V, W2T.get(), ld, ld_V, ld);
  return finite;
}

}  // namespace makemore
