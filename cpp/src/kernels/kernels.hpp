// The table of kernels: plain functions over pointers and sizes, one set per instruction set.
//
// No kernel allocates, throws, prints or checks.  Matrices are row-major; `ld` (leading dimension)
// is the distance between the starts of two rows, in floats.  A kernel computes an output element
// by the same sequence of operations whatever the sizes around it, so that a caller may divide the
// outputs anywhere and get the same bits.  A caller that divides the sum behind one output changes
// the order of additions; train/cut.cpp fixes that order by the shape.
#pragma once

#include <stdint.h>

namespace makemore {

// The numbers of one step of Adam or AdamW; t counts the steps from 1.
struct AdamStep {
  float lr;                 // the learning rate divided by 1 - beta1^t
  float beta1, beta1_rest;  // beta1_rest is 1 - beta1
  float beta2, beta2_rest;  // beta2_rest is 1 - beta2
  float v_scale;            // 1 / sqrt(1 - beta2^t)
  float epsilon;
  float weight_decay;  // times w, added to the gradient (Adam)
  // Times w, added to the direction (AdamW).  It is the weight decay times 1 - beta1^t, because lr
  // is divided by that.  (Multiplying w by 1 - lr * weight_decay instead would change nothing where
  // the product is below 3e-8: the factor would round to 1.)
  float decoupled_decay;
};

// The place of the words of dropout in the random stream: see dropout_word in makemore/random.hpp.
struct DropoutWords {
  uint32_t seed[2];
  uint32_t purpose;
  uint32_t step[2];
  uint32_t blocks_per_row;
};

struct Kernels {
  const char* name;

  // c (m,n) = init (m,n) + a (m,k) @ b (k,n), summed in the order of k.
  // a(i,l) is a[i*a_row + l*a_col], so that a transposed matrix needs no copy.  init may be c
  // itself (accumulate), a single row (ld_init 0) or null (zeros).
  void (*matmul)(float* c, int64_t ldc, const float* a, int64_t a_row, int64_t a_col,
                 const float* b, int64_t ldb, const float* init, int64_t ld_init, int64_t m,
                 int64_t n, int64_t k);

  // c (m,n) = a (m,k) @ b (n,k)^T, summed in each lane of a vector, then over the lanes.
  void (*matmul_transposed)(float* c, int64_t ldc, const float* a, int64_t lda, const float* b,
                            int64_t ldb, int64_t m, int64_t n, int64_t k);

  // out (n,m) = in (m,n)^T
  void (*transpose)(float* out, int64_t ld_out, const float* in, int64_t ld_in, int64_t m,
                    int64_t n);

  // out (n) += in (n)
  void (*add)(float* out, const float* in, int64_t n);

  // out (n) = sum over i < m of rows[i,:]       rows (m,n)
  void (*sum_rows)(float* out, const float* rows, int64_t ld, int64_t m, int64_t n);

  // h = tanh(z), elementwise; h may be z.
  void (*tanh)(float* h, const float* z, int64_t n);

  // dz = dh * (1 - h^2), elementwise; dz may be dh.
  void (*tanh_backward)(float* dz, const float* dh, const float* h, int64_t n);

  // h[b,:] = tanh(b1 + sum over t of table[rows[b,t],:])      h (B,n)  rows (B,T)
  // h and table have the same ld.
  void (*gather_tanh)(float* h, const float* table, const int32_t* rows, const float* b1,
                      int64_t ld, int64_t B, int64_t T, int64_t n);

  // The gradient of gather_tanh: dtable[rows[b,t],:] += dh[b,:] * (1 - h[b,:]^2) for every t.
  // dh and h are (B,n); all arrays have the same ld; the rows of one b are distinct.
  void (*scatter_tanh_backward)(float* dtable, const float* dh, const float* h, const int32_t* rows,
                                int64_t ld, int64_t B, int64_t T, int64_t n);

  // Row i has the targets Y[k], starts[i] <= k < starts[i+1]; where starts is null, the only k is
  // i.  losses[k] = -ln softmax(logits[i,:])[Y[k]];
  // dlogits[i,:] = scale * sum over the k of row i of (softmax - one_hot(Y[k])).
  // logits and dlogits are (m,n); dlogits may be logits itself or null.
  void (*cross_entropy)(float* losses, float* dlogits, const float* logits, int64_t ld,
                        const int32_t* starts, const int32_t* Y, float scale, int64_t m, int64_t n);

  // out[i,:] = ln softmax(logits[i,:]); out may be logits.
  void (*log_softmax)(float* out, int64_t ld_out, const float* logits, int64_t ld, int64_t m,
                      int64_t n);

  // One tile of a softmax that is computed tile by tile: x (m,n) holds logits of m tokens (rows)
  // for n contexts (columns), along which vectors run; n is a multiple of 16.  max (n) becomes the
  // greatest of itself and each column of x; x becomes e^(x - max); sum (n), that of the earlier
  // tiles, is rescaled to the new max and gets the columns' sums added.
  void (*softmax_tile)(float* x, int64_t ld, float* max, float* sum, int64_t m, int64_t n);

  // out[i,:] = x[i,:] * factor (n);  sums[i] += sum of out[i,:].
  // out and x are (m,n) and have the same ld; n is a multiple of 16.
  void (*scale_columns)(float* out, float* sums, const float* x, const float* factor, int64_t ld,
                        int64_t m, int64_t n);

  // w -= lr * (dw + weight_decay * w).  It returns 0 when a new w is not finite, else 1.
  int (*sgd_update)(float* w, const float* dw, float lr, float weight_decay, int64_t n);

  // v = momentum * v + (dw + weight_decay * w);  w -= lr * v.  It returns as sgd_update does.
  int (*momentum_update)(float* w, float* v, const float* dw, float lr, float momentum,
                         float weight_decay, int64_t n);

  // Adam and AdamW: g = dw + weight_decay * w;  m = beta1 * m + beta1_rest * g;
  // v = beta2 * v + beta2_rest * g^2;
  // w -= lr * (m / (sqrt(v) * v_scale + epsilon) + decoupled_decay * w).
  // It returns 0 when a new w or v is not finite, else 1.
  int (*adam_update)(float* w, float* m, float* v, const float* dw, const AdamStep* step,
                     int64_t n);

  // out = a * b, elementwise; out may be a or b.
  void (*multiply)(float* out, const float* a, const float* b, int64_t n);

  // mask[b,j] = 0 where the dropout word of row first_row + b and unit begin + j is below
  // `threshold`, else scale.     mask (B,n);  begin and n are multiples of 16.
  void (*dropout_mask)(float* mask, int64_t ld, const DropoutWords* words, uint32_t threshold,
                       float scale, int64_t first_row, int64_t begin, int64_t B, int64_t n);

  // Multiplies and adds vectors that stay in registers, as fast as the machine can, and returns the
  // number of floating-point operations.  Benchmarks compare with this peak.
  double (*peak)(float* sink, int64_t rounds);

  // y = e^x for x <= 88;  y = ln x for normal x > 0.
  void (*exp)(float* y, const float* x, int64_t n);
  void (*log)(float* y, const float* x, int64_t n);
};

}  // namespace makemore
