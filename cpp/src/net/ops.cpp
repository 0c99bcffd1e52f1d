// The operations: check, cut into blocks, call a kernel.
#include "makemore/ops.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "base/check.hpp"
#include "base/dispatch.hpp"
#include "base/floating_point.hpp"
#include "base/thread_pool.hpp"
#include "makemore/error.hpp"
#include "net/token_choice.hpp"

namespace makemore {

namespace {

// With fewer multiply-adds than this a block costs more to hand to a worker than it saves; an
// element of an elementwise operation costs about eight of them.  (Measured on a machine with two
// cores.)
constexpr int64_t kMinWorkPerBlock = 200'000;
constexpr int64_t kElementWork = 8;
constexpr int64_t kMaxBlocks = 16;

// Calls body(begin, end) for consecutive parts of [0, n), in parallel when the work pays.
template <typename Body>
void for_each_part(int64_t n, int64_t work, int threads, const Body& body) {
  if (n <= 0) return;
  const int64_t blocks = std::clamp(work / kMinWorkPerBlock, int64_t{1}, std::min(kMaxBlocks, n));
  for_each_block(blocks, checked_threads(threads), [&](int64_t block) {
    const Range part = share_of(n, block, blocks);
    body(part.begin, part.end);
  });
}

// c (m,n) = init + a (m,k) @ b (k,n), cut along the longer side of c.
void parallel_matmul(float* c, const float* a, int64_t a_row, int64_t a_col, const float* b,
                     const float* init, int64_t m, int64_t n, int64_t k, int threads) {
  const Kernels& kernel = kernels();
  const int64_t work = m * n * k;
  if (m >= n) {
    for_each_part(m, work, threads, [&](int64_t i, int64_t end) {
      kernel.matmul(c + i * n, n, a + i * a_row, a_row, a_col, b, n, init, 0, end - i, n, k);
    });
  } else {
    for_each_part(n, work, threads, [&](int64_t j, int64_t end) {
      kernel.matmul(c + j, n, a, a_row, a_col, b + j, n, init == nullptr ? nullptr : init + j, 0, m,
                    end - j, k);
    });
  }
}

void check_shape(int64_t B, int64_t K, int64_t N) {
  check_at_least("the number of rows", B, 0);
  check_at_least("the number of inputs", K, 0);
  check_at_least("the number of outputs", N, 0);
}

}  // namespace

void embedding_forward(float* emb, const float* C, const int32_t* X, int64_t N, int64_t T,
                       int64_t E, int64_t V, int threads) {
  check_shape(N, T, E);
  check_tokens("X", X, N, T, V);
  const size_t row_bytes = static_cast<size_t>(E) * sizeof(float);
  if (row_bytes == 0) return;
  for_each_part(N * T, N * T * E, threads, [&](int64_t i, int64_t end) {
    for (; i < end; ++i) std::memcpy(emb + i * E, C + X[i] * E, row_bytes);
  });
}

void embedding_backward(float* dC, const float* demb, const int32_t* X, int64_t N, int64_t T,
                        int64_t E, int64_t V, int threads) {
  const PlainFloatingPoint mode;
  check_shape(N, T, E);
  check_tokens("X", X, N, T, V);
  std::fill_n(dC, V * E, 0.0f);
  // Each part owns some columns of dC, so that every sum runs in the order of the rows.
  for_each_part(E, N * T * E, threads, [&](int64_t e, int64_t end) {
    for (int64_t i = 0; i < N * T; ++i) kernels().add(dC + X[i] * E + e, demb + i * E + e, end - e);
  });
}

void linear_forward(float* y, const float* x, const float* W, const float* b, int64_t B, int64_t K,
                    int64_t N, int threads) {
  const PlainFloatingPoint mode;
  check_shape(B, K, N);
  parallel_matmul(y, x, K, 1, W, b, B, N, K, threads);
}

void linear_backward(float* dx, float* dW, float* db, const float* dy, const float* x,
                     const float* W, int64_t B, int64_t K, int64_t N, int threads) {
  const PlainFloatingPoint mode;
  check_shape(B, K, N);
  for_each_part(B, B * K * N, threads, [&](int64_t i, int64_t end) {
    kernels().matmul_transposed(dx + i * K, K, dy + i * N, N, W, N, end - i, K, N);
  });
  parallel_matmul(dW, x, 1, K, dy, nullptr, K, N, B, threads);
  kernels().sum_rows(db, dy, N, B, N);
}

void linear_tanh_forward(float* h, const float* x, const float* W, const float* b, int64_t B,
                         int64_t K, int64_t H, int threads) {
  linear_forward(h, x, W, b, B, K, H, threads);
  for_each_part(B * H, B * H * kElementWork, threads,
                [&](int64_t i, int64_t end) { kernels().tanh(h + i, h + i, end - i); });
}

void linear_tanh_backward(float* dx, float* dW, float* db, const float* dh, const float* h,
                          const float* x, const float* W, int64_t B, int64_t K, int64_t H,
                          int threads) {
  const PlainFloatingPoint mode;
  check_shape(B, K, H);
  std::vector<float> dz(static_cast<size_t>(B * H));
  kernels().tanh_backward(dz.data(), dh, h, B * H);
  linear_backward(dx, dW, db, dz.data(), x, W, B, K, H, threads);
}

double cross_entropy(float* dlogits, const float* logits, const int32_t* Y, int64_t B, int64_t V,
                     int threads) {
  const PlainFloatingPoint mode;
  check_at_least("the number of rows of logits", B, 1);
  check_at_least("the number of columns of logits", V, 1);
  check_token_vector("Y", Y, B, V);
  std::vector<float> losses(static_cast<size_t>(B));
  const float scale = 1.0f / static_cast<float>(mode.here(B));
  for_each_part(B, B * V * kElementWork, threads, [&](int64_t i, int64_t end) {
    kernels().cross_entropy(losses.data() + i, dlogits == nullptr ? nullptr : dlogits + i * V,
                            logits + i * V, V, nullptr, Y + i, scale, end - i, V);
  });
  double sum = 0;
  for (const float loss : losses) sum += loss;
  return mode.here(sum / static_cast<double>(B));
}

void log_softmax(float* out, const float* logits, int64_t B, int64_t V, int threads) {
  const PlainFloatingPoint mode;
  check_at_least("the number of rows of logits", B, 0);
  check_at_least("the number of columns of logits", V, 1);
  for_each_part(B, B * V * kElementWork, threads, [&](int64_t i, int64_t end) {
    kernels().log_softmax(out + i * V, V, logits + i * V, V, end - i, V);
  });
}

void sgd_update(float* w, const float* dw, double lr, double weight_decay, int64_t n) {
  const PlainFloatingPoint mode;
  kernels().sgd_update(w, dw, checked_rate("lr", lr), checked_rate("weight_decay", weight_decay),
                       n);
}

void sample_tokens(int32_t* tokens, const float* log_probs, const double* u, int64_t N, int64_t V) {
  const PlainFloatingPoint mode;
  TokenChoice choice(V);
  std::vector<double> cumulative(static_cast<size_t>(V));
  for (int64_t i = 0; i < N; ++i) {
    if (!(u[i] >= 0 && u[i] < 1)) {
      throw ArgumentError("u[" + std::to_string(i) + "] = " + std::to_string(u[i]) +
                          " is not in [0, 1)");
    }
    if (!choice.cumulate(cumulative.data(), log_probs + i * V, true)) {
      throw ArgumentError("log_probs[" + std::to_string(i) +
                          "] is not the logarithm of a probability distribution");
    }
    tokens[i] = choose_token(cumulative.data(), V, u[i]);
  }
}

}  // namespace makemore
