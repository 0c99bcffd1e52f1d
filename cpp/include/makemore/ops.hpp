// The lecture's operations, forward and backward, on plain arrays.
//
// Arrays are contiguous and row-major, float32.  Outputs come first, inputs next, sizes last; an
// output must not overlap an input unless its comment allows it.  `threads` = 0 uses every
// available CPU; the number of threads never changes a bit of the result.
#pragma once

#include <cstdint>

namespace makemore {

// emb[i,t,:] = C[X[i,t],:]             X (N,T)  C (V,E)  ->  emb (N,T,E)
// Throws RangeError for a token outside [0, V).
void embedding_forward(float* emb, const float* C, const int32_t* X, int64_t N, int64_t T,
                       int64_t E, int64_t V, int threads = 0);

// dC[c,:] = sum of demb[i,t,:] over all X[i,t] = c
void embedding_backward(float* dC, const float* demb, const int32_t* X, int64_t N, int64_t T,
                        int64_t E, int64_t V, int threads = 0);

// y = x @ W + b                        x (B,K)  W (K,N)  b (N)  ->  y (B,N)
void linear_forward(float* y, const float* x, const float* W, const float* b, int64_t B, int64_t K,
                    int64_t N, int threads = 0);

// dx = dy @ W^T,  dW = x^T @ dy,  db = sum of dy over its rows
void linear_backward(float* dx, float* dW, float* db, const float* dy, const float* x,
                     const float* W, int64_t B, int64_t K, int64_t N, int threads = 0);

// h = tanh(x @ W + b)                  x (B,K)  W (K,H)  b (H)  ->  h (B,H)
void linear_tanh_forward(float* h, const float* x, const float* W, const float* b, int64_t B,
                         int64_t K, int64_t H, int threads = 0);

// The same as linear_backward for dy = dh * (1 - h^2).
void linear_tanh_backward(float* dx, float* dW, float* db, const float* dh, const float* h,
                          const float* x, const float* W, int64_t B, int64_t K, int64_t H,
                          int threads = 0);

// Returns the mean over the rows of -ln softmax(logits[i,:])[Y[i]], in nats, and its gradient.
// logits (B,V)  Y (B)  ->  dlogits (B,V), which may be logits itself or null.
// Throws RangeError for a target outside [0, V) and ArgumentError for B or V = 0.
double cross_entropy(float* dlogits, const float* logits, const int32_t* Y, int64_t B, int64_t V,
                     int threads = 0);

// out[i,:] = ln softmax(logits[i,:])   logits (B,V)  ->  out (B,V), which may be logits itself
void log_softmax(float* out, const float* logits, int64_t B, int64_t V, int threads = 0);

// w -= lr * (dw + weight_decay * w)    w (n)  dw (n)
// Throws ArgumentError for a rate or a decay that is negative or not finite.
void sgd_update(float* w, const float* dw, double lr, double weight_decay, int64_t n);

// tokens[i] = the first token whose cumulative float64 probability exceeds u[i] times the sum of
// all, which is 1 but for rounding; where rounding leaves none, the last token of positive
// probability.     log_probs (N,V)  u (N) in [0,1)  ->  tokens (N)
// Throws ArgumentError when a row is not the logarithm of a distribution, and for a u outside
// [0, 1).
void sample_tokens(int32_t* tokens, const float* log_probs, const double* u, int64_t N, int64_t V);

}  // namespace makemore
