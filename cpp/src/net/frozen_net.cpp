// Folds the embeddings, computes the forward pass, and makes the table of all contexts.
#include "net/frozen_net.hpp"

#include <algorithm>
#include <vector>

#include "base/dispatch.hpp"
#include "base/thread_pool.hpp"

namespace makemore {

namespace {

// Floats of the folded table, at most: 64 MiB.  Where it would be larger, the embeddings are folded
// anew for each batch.
constexpr int64_t kMaxFolded = 1 << 24;

// V^T, or 0 where the probabilities of all contexts are more than kMaxTabulated.
int64_t contexts_to_tabulate(const Sizes& sizes) {
  int64_t probabilities = sizes.vocab_size;
  for (int64_t t = 0; t < sizes.block_size; ++t) {
    probabilities *= sizes.vocab_size;
    if (probabilities > kMaxTabulated) return 0;
  }
  return probabilities / sizes.vocab_size;
}

}  // namespace

FrozenNet::FrozenNet(const Sizes& sizes, const ConstParameters& from)
    : sizes_(sizes),
      contexts_(contexts_to_tabulate(sizes)),
      max_rows_(rows_with_logits(padded(sizes.vocab_size))),
      max_target_rows_(are_many_tokens(sizes.vocab_size) ? kMaxRows : max_rows_),
      ld_(padded(sizes.n_features())),
      ld_V_(padded(sizes.vocab_size)),
      parameters_(sizes) {
  const auto [T, E, H, V, is_direct] = sizes;
  const auto counts = parameter_counts(sizes);
  const Parameters to = parameters_.view();
  for (size_t i = 0; i < kParameters.size(); ++i) {
    std::copy_n(*from.all()[i], *counts.all()[i], *to.all()[i]);
  }
  if (are_many_tokens(V)) tiles_.emplace(kernels(), sizes, from);
  if (!tiles_) {
    const int64_t F = sizes.n_features();
    W2_ = Buffer<float>(F * ld_V_);
    b2_ = Buffer<float>(ld_V_);
    for (int64_t j = 0; j < F; ++j) std::copy_n(to.W2 + j * V, V, &W2_[j * ld_V_]);
    std::copy_n(to.b2, V, b2_.get());
  }
  if (T * V > kMaxFolded / ld_) return;
  folded_ = Buffer<float>(T * V * ld_);
  for (int64_t t = 0; t < T; ++t) {
    kernels().matmul(&folded_[t * V * ld_], ld_, to.C, E, 1, to.W1 + t * E * H, H, nullptr, 0, V, H,
                     E);
  }
}

FrozenNet::Scratch::Scratch(const FrozenNet& net, int64_t n)
    : rows(n * net.sizes_.block_size), h(n * net.ld_), logits(net.tiles_ ? 0 : n * net.ld_V_) {
  if (net.tiles_) tiles.emplace(*net.tiles_, n);
  if (net.is_folded()) return;
  fold.emplace(net.sizes_, n);
  embeddings = Buffer<float>(fold->max_rows() * net.sizes_.n_embd);
  table = Buffer<float>(fold->max_rows() * net.ld_);
}

// Computes the features into scratch.h: tanh(b1 + sum of the folded embeddings) and, with direct
// connections, the embeddings behind it.
void FrozenNet::hidden(const int32_t* X, int64_t N, Scratch& scratch) const {
  const auto [T, E, H, V, is_direct] = sizes_;
  const ConstParameters parameters = parameters_.view();
  const float* table = folded_.get();
  const int32_t* rows = scratch.rows.get();
  if (is_folded()) {
    for (int64_t i = 0; i < N * T; ++i) {
      scratch.rows[i] = static_cast<int32_t>(i % T * V) + X[i];
    }
  } else {
    scratch.fold->build(X, N);
    scratch.fold->gather(scratch.embeddings.get(), parameters.C);
    scratch.fold->table(kernels(), scratch.table.get(), ld_, scratch.embeddings.get(),
                        parameters.W1, H, H);
    table = scratch.table.get();
    rows = scratch.fold->rows();
  }
  kernels().gather_tanh(scratch.h.get(), table, rows, parameters.b1, ld_, N, T, H);
  if (is_direct) gather_embeddings(&scratch.h[H], ld_, parameters.C, X, N, T, E);
}

void FrozenNet::log_probs(float* out, const int32_t* X, int64_t N, Scratch& scratch) const {
  // With fewer contexts a panel would be mostly empty.
  constexpr int64_t kMinTiledRows = 4;
  const int64_t H = sizes_.n_hidden, F = sizes_.n_features(), V = sizes_.vocab_size;
  const Kernels& kernel = kernels();
  const ConstParameters parameters = parameters_.view();
  hidden(X, N, scratch);
  const float* const h = scratch.h.get();
  if (!tiles_) {
    float* const logits = scratch.logits.get();
    kernel.matmul(logits, ld_V_, h, ld_, 1, W2_.get(), ld_V_, b2_.get(), 0, N, ld_V_, F);
    kernel.log_softmax(out, V, logits, ld_V_, N, V);
    return;
  }
  if (N >= kMinTiledRows) {
    tiles_->log_probs(kernel, out, h, ld_, N, *scratch.tiles);
  } else {
    kernel.matmul(out, V, h, ld_, 1, parameters.W2, V, parameters.b2, 0, N, V, F);
    log_softmax_by_tiles(kernel, out, N, V, H);
  }
}

void FrozenNet::target_log_probs(float* out, const int32_t* X, const int32_t* starts,
                                 const int32_t* Y, int64_t N, Scratch& scratch) const {
  const int64_t F = sizes_.n_features();
  const Kernels& kernel = kernels();
  hidden(X, N, scratch);
  if (tiles_) {
    tiles_->losses(kernel, out, scratch.h.get(), ld_, starts, Y, N, *scratch.tiles);
    for (int64_t k = starts[0]; k < starts[N]; ++k) out[k] = -out[k];
    return;
  }
  float* const logits = scratch.logits.get();
  kernel.matmul(logits, ld_V_, scratch.h.get(), ld_, 1, W2_.get(), ld_V_, b2_.get(), 0, N, ld_V_,
                F);
  kernel.log_softmax(logits, ld_V_, logits, ld_V_, N, sizes_.vocab_size);
  for (int64_t i = 0; i < N; ++i) {
    for (int64_t k = starts[i]; k < starts[i + 1]; ++k) out[k] = logits[i * ld_V_ + Y[k]];
  }
}

// Calls body(scratch, begin, n) for chunks [begin, begin + n) of N contexts.
template <typename Body>
void FrozenNet::for_each_chunk(int64_t N, int threads, const Poll& poll, const Body& body) const {
  const int64_t chunks = (N + max_rows_ - 1) / max_rows_;
  const int64_t blocks = std::min(chunks, Team::kMaxTasks);
  run_team(static_cast<int>(std::min<int64_t>(threads, blocks)), [&](Team& team) {
    Scratch scratch(*this, std::min(max_rows_, N));
    team.run(blocks, [&](int64_t block) {
      const Range part = share_of(chunks, block, blocks);
      for (int64_t begin = part.begin * max_rows_; begin < std::min(part.end * max_rows_, N);
           begin += max_rows_) {
        team.check();
        if (poll && team.rank() == 0) poll();
        body(scratch, begin, std::min(max_rows_, N - begin));
      }
    });
  });
}

void FrozenNet::log_probs(float* out, const int32_t* X, int64_t N, int threads,
                          const Poll& poll) const {
  const int64_t T = sizes_.block_size, V = sizes_.vocab_size;
  if (const float* all = table(N, threads, poll)) {
    for (int64_t i = 0; i < N; ++i) std::copy_n(all + number_of(X + i * T) * V, V, out + i * V);
    return;
  }
  for_each_chunk(N, threads, poll, [&](Scratch& scratch, int64_t begin, int64_t n) {
    log_probs(out + begin * V, X + begin * T, n, scratch);
  });
}

const float* FrozenNet::table(int64_t uses, int threads, const Poll& poll) const {
  if (const Buffer<float>* made = table_.get()) return made->get();
  if (contexts_ == 0 || uses_.fetch_add(uses, std::memory_order_relaxed) + uses < contexts_) {
    return nullptr;
  }
  const Buffer<float>* made = table_.get_or_make([&] { return tabulated(threads, poll); });
  return made == nullptr ? nullptr : made->get();
}

int64_t FrozenNet::number_of(const int32_t* X) const {
  int64_t number = 0;
  for (int64_t t = 0; t < sizes_.block_size; ++t) number = number * sizes_.vocab_size + X[t];
  return number;
}

Buffer<float> FrozenNet::tabulated(int threads, const Poll& poll) const {
  const int64_t T = sizes_.block_size, V = sizes_.vocab_size;
  Buffer<float> table(contexts_ * V);
  for_each_chunk(contexts_, threads, poll, [&](Scratch& scratch, int64_t begin, int64_t n) {
    std::vector<int32_t> X(static_cast<size_t>(n * T));
    for (int64_t i = 0; i < n; ++i) {
      int64_t digits = begin + i;
      for (int64_t t = T - 1; t >= 0; --t, digits /= V) {
        X[static_cast<size_t>(i * T + t)] = static_cast<int32_t>(digits % V);
      }
    }
    log_probs(&table[begin * V], X.data(), n, scratch);
  });
  return table;
}

}  // namespace makemore
