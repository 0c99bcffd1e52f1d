// The forward pass for parameters that may change between calls, chunk after chunk of examples.
#include "makemore/forward.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "base/buffer.hpp"
#include "base/check.hpp"
#include "base/dispatch.hpp"
#include "base/floating_point.hpp"
#include "base/shares.hpp"
#include "base/thread_pool.hpp"
#include "makemore/error.hpp"
#include "net/context_index.hpp"
#include "net/fold.hpp"
#include "net/token_tiles.hpp"

namespace makemore {

namespace {

// One thread's scratch, and the forward pass in it.
class ForwardPass {
 public:
  // With `tiles`, which may be null, losses need no array of all logits.
  ForwardPass(const Sizes& sizes, const ConstParameters& parameters, int64_t chunk_rows,
              const TokenTiles* tiles)
      : sizes_(sizes),
        parameters_(parameters),
        tiles_(tiles),
        rows_(chunk_rows),
        ld_(padded(sizes.n_features())),
        fold_(sizes, chunk_rows),
        X_(chunk_rows * sizes.block_size),
        Y_(chunk_rows),
        embeddings_(fold_.max_rows() * sizes.n_embd),
        table_(fold_.max_rows() * ld_),
        h_(chunk_rows * ld_),
        losses_(chunk_rows) {
    if (tiles != nullptr) scratch_.emplace(*tiles, chunk_rows);
  }

  // The sum of the losses of X (B,T) and Y (B), which start at row first_row of the caller's
  // arrays.
  double loss_sum(const int32_t* X, const int32_t* Y, int64_t B, int64_t first_row) {
    const int64_t V = sizes_.vocab_size;
    std::copy_n(Y, B, Y_.get());
    check_token_vector("Y", Y_.get(), B, V, first_row);
    const Kernels& kernel = kernels();
    if (tiles_ != nullptr) {
      hidden(X, B, first_row);
      tiles_->losses(kernel, losses_.get(), h_.get(), ld_, nullptr, Y_.get(), B, *scratch_);
    } else {
      if (logits_.get() == nullptr) logits_ = Buffer<float>(rows_ * V);
      logits(logits_.get(), X, B, first_row);
      kernel.cross_entropy(losses_.get(), nullptr, logits_.get(), V, nullptr, Y_.get(), 0, B, V);
    }
    double sum = 0;
    for (int64_t i = 0; i < B; ++i) sum += losses_[i];
    return sum;
  }

  // out (B,V) = ln softmax of the logits of X (B,T)
  void log_probs(float* out, const int32_t* X, int64_t B, int64_t first_row) {
    const int64_t H = sizes_.n_hidden, V = sizes_.vocab_size;
    const Kernels& kernel = kernels();
    if (tiles_ != nullptr) {
      hidden(X, B, first_row);
      tiles_->log_probs(kernel, out, h_.get(), ld_, B, *scratch_);
      return;
    }
    logits(out, X, B, first_row);
    if (are_many_tokens(V)) {
      log_softmax_by_tiles(kernel, out, B, V, H);
    } else {
      kernel.log_softmax(out, V, out, V, B, V);
    }
  }

 private:
  void logits(float* logits, const int32_t* X, int64_t B, int64_t first_row) {
    const int64_t F = sizes_.n_features(), V = sizes_.vocab_size;
    hidden(X, B, first_row);
    kernels().matmul(logits, V, h_.get(), ld_, 1, parameters_.W2, V, parameters_.b2, 0, B, V, F);
  }

  // Computes the features h_ (B,F): the hidden units and, with direct connections, the embeddings.
  void hidden(const int32_t* X, int64_t B, int64_t first_row) {
    const auto [T, E, H, V, is_direct] = sizes_;
    // X is copied first, because another thread may change it between the check and the use.
    std::copy_n(X, B * T, X_.get());
    check_tokens("X", X_.get(), B, T, V, first_row);
    const Kernels& kernel = kernels();
    fold_.build(X_.get(), B);
    fold_.gather(embeddings_.get(), parameters_.C);
    fold_.table(kernel, table_.get(), ld_, embeddings_.get(), parameters_.W1, H, H);
    kernel.gather_tanh(h_.get(), table_.get(), fold_.rows(), parameters_.b1, ld_, B, T, H);
    if (is_direct) gather_embeddings(&h_[H], ld_, parameters_.C, X_.get(), B, T, E);
  }

  Sizes sizes_;
  ConstParameters parameters_;
  const TokenTiles* tiles_;
  std::optional<TokenTiles::Scratch> scratch_;
  int64_t rows_, ld_;
  Fold fold_;
  Buffer<int32_t> X_, Y_;
  Buffer<float> embeddings_, table_, h_, logits_, losses_;
};

// Examples are divided into at most this many blocks; one thread does a block in order.
constexpr int64_t kBlocks = 16;

// The rows of a chunk where no logits are kept: whole panels, so few that every block gets some.
int64_t rows_without_logits(int64_t N) {
  const int64_t panels = (N + kBlocks * kPanel - 1) / (kBlocks * kPanel);
  return std::clamp(panels * kPanel, kPanel, kMaxRows);
}

// With fewer examples it does not pay to copy W2 into tiles.
constexpr int64_t kMinTiledExamples = 64;

// Calls body(pass, block, begin, end) for every chunk [begin, end) of N examples; a chunk has at
// most max_rows.
template <typename Body>
void for_each_chunk(const Sizes& sizes, const ConstParameters& parameters, int64_t max_rows,
                    int64_t N, int threads, const Poll& poll, const Body& body) {
  std::optional<TokenTiles> copy;
  if (are_many_tokens(sizes.vocab_size) && N >= kMinTiledExamples) {
    copy.emplace(kernels(), sizes, parameters);
  }
  const TokenTiles* const tiles = copy ? &*copy : nullptr;
  const int64_t chunk_rows = std::min(max_rows, std::max(N, int64_t{1}));
  const int64_t chunks = (N + chunk_rows - 1) / chunk_rows;
  const int64_t blocks = std::min(chunks, kBlocks);
  run_team(static_cast<int>(std::min<int64_t>(threads, blocks)), [&](Team& team) {
    ForwardPass pass(sizes, parameters, chunk_rows, tiles);
    team.run(blocks, [&](int64_t block) {
      const Range part = share_of(chunks, block, blocks);
      for (int64_t chunk = part.begin; chunk < part.end; ++chunk) {
        team.check();
        if (poll && team.rank() == 0) poll();
        body(pass, block, chunk * chunk_rows, std::min(N, (chunk + 1) * chunk_rows));
      }
    });
  });
}

// Sums of losses for each block of examples, so that the order of additions does not depend on the
// threads.
using BlockSums = std::array<double, kBlocks>;

// Sums the losses where the net runs once for every example.
BlockSums sums_one_by_one(const Sizes& sizes, const ConstParameters& parameters, const int32_t* X,
                          const int32_t* Y, int64_t N, int threads, const Poll& poll,
                          Exchange* exchange) {
  BlockSums sums{};
  const Range own = own_share(exchange, kBlocks);
  const int64_t rows = are_many_tokens(sizes.vocab_size) ? rows_without_logits(N)
                                                         : rows_with_logits(sizes.vocab_size);
  for_each_chunk(sizes, parameters, rows, N, threads, poll,
                 [&](ForwardPass& pass, int64_t block, int64_t begin, int64_t end) {
                   if (block < own.begin || block >= own.end) return;
                   sums[static_cast<size_t>(block)] +=
                       pass.loss_sum(X + begin * sizes.block_size, Y + begin, end - begin, begin);
                 });
  if (exchange != nullptr) {
    exchange_shares(*exchange, sums.data(), kBlocks, [](int64_t block) { return block; });
  }
  return sums;
}

// Sums the losses where the net runs once for every distinct context.  These are so few that ranks
// do not share them.
BlockSums sums_by_context(const Sizes& sizes, const ConstParameters& parameters, const int32_t* X,
                          const int32_t* Y, int64_t N, int threads, const Poll& poll) {
  const int64_t T = sizes.block_size, V = sizes.vocab_size;
  const ContextIndex seen(sizes, X, N, threads);
  Buffer<float> log_p(seen.count() * V);
  for_each_chunk(sizes, parameters, rows_with_logits(sizes.vocab_size), seen.count(), threads, poll,
                 [&](ForwardPass& pass, int64_t, int64_t begin, int64_t end) {
                   std::vector<int32_t> contexts(static_cast<size_t>((end - begin) * T));
                   seen.copy(contexts.data(), begin, end - begin);
                   pass.log_probs(&log_p[begin * V], contexts.data(), end - begin, begin);
                 });
  BlockSums sums{};
  for_each_block(kBlocks, threads, [&](int64_t block) {
    const Range part = share_of(N, block, kBlocks);
    for (int64_t i = part.begin; i < part.end; ++i) {
      const int64_t context = seen.number_of(X + i * T);
      const int32_t y = Y[i];
      if (y < 0 || y >= V) check_token_vector("Y", &y, 1, V, i);
      if (context < 0) throw ArgumentError("X[" + std::to_string(i) + "] changed during the call");
      sums[static_cast<size_t>(block)] -= log_p[context * V + y];
    }
  });
  return sums;
}

}  // namespace

double mean_loss(const Sizes& sizes, const ConstParameters& parameters, const int32_t* X,
                 const int32_t* Y, int64_t N, int threads, const Poll& poll, Exchange* exchange) {
  const PlainFloatingPoint mode;
  check_sizes(sizes);
  check_at_least("the number of examples", N, 1);
  threads = checked_threads(threads);
  const BlockSums sums = ContextIndex::worthwhile(sizes, N)
                             ? sums_by_context(sizes, parameters, X, Y, N, threads, poll)
                             : sums_one_by_one(sizes, parameters, X, Y, N, threads, poll, exchange);
  double sum = 0;
  for (const double block_sum : sums) sum += block_sum;
  return mode.here(sum / static_cast<double>(N));
}

void log_probs(float* out, const Sizes& sizes, const ConstParameters& parameters, const int32_t* X,
               int64_t N, int threads, const Poll& poll) {
  const PlainFloatingPoint mode;
  check_sizes(sizes);
  check_at_least("the number of contexts", N, 0);
  for_each_chunk(sizes, parameters, rows_with_logits(sizes.vocab_size), N, checked_threads(threads),
                 poll, [&](ForwardPass& pass, int64_t, int64_t begin, int64_t end) {
                   pass.log_probs(out + begin * sizes.vocab_size, X + begin * sizes.block_size,
                                  end - begin, begin);
                 });
}

}  // namespace makemore
