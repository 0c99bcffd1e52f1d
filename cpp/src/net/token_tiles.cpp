// One pass over tiles of tokens, with a softmax that is updated from tile to tile.
#include "net/token_tiles.hpp"

#include <algorithm>
#include <limits>

namespace makemore {

namespace {

void begin_softmax(float* max, float* sum, int64_t n) {
  std::fill_n(max, n, std::numeric_limits<float>::lowest());
  std::fill_n(sum, n, 0.0f);
}

// out (n,V), which holds the logits, becomes logits - max (n) - ln sum (n); sum becomes ln sum.
void end_softmax(const Kernels& kernel, float* out, const float* max, float* sum, int64_t n,
                 int64_t V) {
  kernel.log(sum, sum, n);
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t v = 0; v < V; ++v) out[i * V + v] = (out[i * V + v] - max[i]) - sum[i];
  }
}

}  // namespace

int64_t tile_tokens_of(int64_t n_hidden) {
  // Up to 1,024 units, a tile of weights and its gradient take at most 400 kB of a core's own
  // cache; products of fewer than 48 tokens spend their time on beginning and ending.
  constexpr int64_t kFloats = 3 << 14, kMinTokens = 48, kMaxTokens = 192;
  return std::clamp(kFloats / padded(std::max(n_hidden, int64_t{1})), kMinTokens, kMaxTokens);
}

void tile_logits(const Kernels& kernel, float* x, const float* W2T, int64_t ld, const float* b2,
                 const float* hT, int64_t tokens, int64_t columns, int64_t H) {
  for (int64_t v = 0; v < tokens; ++v) std::fill_n(x + v * columns, columns, b2[v]);
  kernel.matmul(x, columns, W2T, ld, 1, hT, columns, x, columns, tokens, columns, H);
}

TokenTiles::TokenTiles(const Kernels& kernel, const Sizes& sizes, const ConstParameters& parameters)
    : F_(sizes.n_features()),
      V_(sizes.vocab_size),
      ld_(padded(F_)),
      tile_tokens_(std::min(tile_tokens_of(sizes.n_hidden), V_)),
      W2T_(V_ * ld_),
      b2_(V_) {
  kernel.transpose(W2T_.get(), ld_, parameters.W2, V_, F_, V_);
  std::copy_n(parameters.b2, V_, b2_.get());
}

TokenTiles::Scratch::Scratch(const TokenTiles& tiles, int64_t rows)
    : hT(tiles.F_ * padded(rows)),
      x(tiles.tile_tokens_ * kPanel),
      max(padded(rows)),
      sum(padded(rows)) {}

// Calls body(x, begin, tokens, first, rows, columns) for each tile of `tokens` tokens from `begin`
// on and each panel of `rows` contexts from `first` on, with their logits x (tokens,columns).
template <typename Body>
void TokenTiles::for_each_tile(const Kernels& kernel, const float* h, int64_t ld, int64_t n,
                               Scratch& scratch, const Body& body) const {
  for (int64_t first = 0; first < n; first += kPanel) {
    const int64_t rows = std::min(kPanel, n - first);
    kernel.transpose(&scratch.hT[first * F_], padded(rows), h + first * ld, ld, rows, F_);
  }
  for (int64_t begin = 0; begin < V_; begin += tile_tokens_) {
    const int64_t tokens = std::min(tile_tokens_, V_ - begin);
    for (int64_t first = 0; first < n; first += kPanel) {
      const int64_t rows = std::min(kPanel, n - first), columns = padded(rows);
      tile_logits(kernel, scratch.x.get(), &W2T_[begin * ld_], ld_, &b2_[begin],
                  &scratch.hT[first * F_], tokens, columns, F_);
      body(scratch.x.get(), begin, tokens, first, rows, columns);
    }
  }
}

void TokenTiles::losses(const Kernels& kernel, float* losses, const float* h, int64_t ld,
                        const int32_t* starts, const int32_t* Y, int64_t n,
                        Scratch& scratch) const {
  const auto start = [starts](int64_t i) { return starts == nullptr ? i : starts[i]; };
  float* const max = scratch.max.get();
  float* const sum = scratch.sum.get();
  begin_softmax(max, sum, padded(n));
  for_each_tile(
      kernel, h, ld, n, scratch,
      [&](float* x, int64_t begin, int64_t tokens, int64_t first, int64_t rows, int64_t columns) {
        for (int64_t i = first; i < first + rows; ++i) {
          for (int64_t k = start(i); k < start(i + 1); ++k) {
            const int64_t token = Y[k] - begin;
            if (token < 0 || token >= tokens) continue;
            losses[k] = x[token * columns + i - first];  // the target's logit, until the end
          }
        }
        kernel.softmax_tile(x, columns, max + first, sum + first, tokens, columns);
      });
  kernel.log(sum, sum, n);
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t k = start(i); k < start(i + 1); ++k) losses[k] = (max[i] - losses[k]) + sum[i];
  }
}

void TokenTiles::log_probs(const Kernels& kernel, float* out, const float* h, int64_t ld, int64_t n,
                           Scratch& scratch) const {
  float* const max = scratch.max.get();
  float* const sum = scratch.sum.get();
  begin_softmax(max, sum, padded(n));
  for_each_tile(
      kernel, h, ld, n, scratch,
      [&](float* x, int64_t begin, int64_t tokens, int64_t first, int64_t rows, int64_t columns) {
        kernel.transpose(out + first * V_ + begin, V_, x, columns, tokens, rows);
        kernel.softmax_tile(x, columns, max + first, sum + first, tokens, columns);
      });
  end_softmax(kernel, out, max, sum, n, V_);
}

void log_softmax_by_tiles(const Kernels& kernel, float* out, int64_t n, int64_t V,
                          int64_t n_hidden) {
  const int64_t tile_tokens = std::min(tile_tokens_of(n_hidden), V);
  Buffer<float> x(tile_tokens * kUnit);
  for (int64_t first = 0; first < n; first += kUnit) {
    const int64_t rows = std::min(kUnit, n - first);
    float max[kUnit], sum[kUnit];
    begin_softmax(max, sum, kUnit);
    for (int64_t begin = 0; begin < V; begin += tile_tokens) {
      const int64_t tokens = std::min(tile_tokens, V - begin);
      kernel.transpose(x.get(), kUnit, out + first * V + begin, V, rows, tokens);
      kernel.softmax_tile(x.get(), kUnit, max, sum, tokens, kUnit);
    }
    end_softmax(kernel, out + first * V, max, sum, rows, V);
  }
}

}  // namespace makemore
