// The lecture's operations on NumPy arrays.
#include "makemore/ops.hpp"

#include "arrays.hpp"
#include "base/check.hpp"
#include "bindings.hpp"
#include "gil.hpp"
#include "makemore/model.hpp"

namespace makemore::bindings {

namespace {

FloatArray embedding_forward_(py::object C, py::object X, py::object threads) {
  const FloatArray C_in = floats_of("C", C, {kAny, kAny});
  const int64_t V = C_in.shape(0), E = C_in.shape(1);
  const Tokens X_in = tokens_of("X", X, {kAny, kAny}, V);
  const int64_t N = X_in.array.shape(0), T = X_in.array.shape(1);
  const std::vector<int32_t> tokens = X_in.copy();
  const int n_threads = threads_of(threads);
  FloatArray emb = new_floats({N, T, E});
  float* out = emb.mutable_data();
  const GilRelease release;
  embedding_forward(out, C_in.data(), tokens.data(), N, T, E, V, n_threads);
  return emb;
}

FloatArray embedding_backward_(py::object demb, py::object X, py::object vocab_size,
                               py::object threads) {
  const FloatArray demb_in = floats_of("demb", demb, {kAny, kAny, kAny});
  const int64_t N = demb_in.shape(0), T = demb_in.shape(1), E = demb_in.shape(2);
  const int64_t V = integer("vocab_size", vocab_size);
  check_sizes({1, 1, 1, V});
  const std::vector<int32_t> tokens = tokens_of("X", X, {N, T}, V).copy();
  const int n_threads = threads_of(threads);
  FloatArray dC = new_floats({V, E});
  float* out = dC.mutable_data();
  const GilRelease release;
  embedding_backward(out, demb_in.data(), tokens.data(), N, T, E, V, n_threads);
  return dC;
}

// linear_forward and linear_tanh_forward differ in the function they call.
using Forward = void (*)(float*, const float*, const float*, const float*, int64_t, int64_t,
                         int64_t, int);

template <Forward forward>
FloatArray linear_forward_(py::object x, py::object W, py::object b, py::object threads) {
  const FloatArray x_in = floats_of("x", x, {kAny, kAny});
  const int64_t B = x_in.shape(0), K = x_in.shape(1);
  const FloatArray W_in = floats_of("W", W, {K, kAny});
  const int64_t N = W_in.shape(1);
  const FloatArray b_in = floats_of("b", b, {N});
  const int n_threads = threads_of(threads);
  FloatArray y = new_floats({B, N});
  float* out = y.mutable_data();
  const GilRelease release;
  forward(out, x_in.data(), W_in.data(), b_in.data(), B, K, N, n_threads);
  return y;
}

py::tuple linear_backward_(py::object dy, py::object x, py::object W, py::object threads) {
  const FloatArray dy_in = floats_of("dy", dy, {kAny, kAny});
  const int64_t B = dy_in.shape(0), N = dy_in.shape(1);
  const FloatArray x_in = floats_of("x", x, {B, kAny});
  const int64_t K = x_in.shape(1);
  const FloatArray W_in = floats_of("W", W, {K, N});
  const int n_threads = threads_of(threads);
  FloatArray dx = new_floats({B, K}), dW = new_floats({K, N}), db = new_floats({N});
  float *dx_out = dx.mutable_data(), *dW_out = dW.mutable_data(), *db_out = db.mutable_data();
  {
    const GilRelease release;
    linear_backward(dx_out, dW_out, db_out, dy_in.data(), x_in.data(), W_in.data(), B, K, N,
                    n_threads);
  }
  return py::make_tuple(dx, dW, db);
}

py::tuple linear_tanh_backward_(py::object dh, py::object h, py::object x, py::object W,
                                py::object threads) {
  const FloatArray dh_in = floats_of("dh", dh, {kAny, kAny});
  const int64_t B = dh_in.shape(0), H = dh_in.shape(1);
  const FloatArray h_in = floats_of("h", h, {B, H});
  const FloatArray x_in = floats_of("x", x, {B, kAny});
  const int64_t K = x_in.shape(1);
  const FloatArray W_in = floats_of("W", W, {K, H});
  const int n_threads = threads_of(threads);
  FloatArray dx = new_floats({B, K}), dW = new_floats({K, H}), db = new_floats({H});
  float *dx_out = dx.mutable_data(), *dW_out = dW.mutable_data(), *db_out = db.mutable_data();
  {
    const GilRelease release;
    linear_tanh_backward(dx_out, dW_out, db_out, dh_in.data(), h_in.data(), x_in.data(),
                         W_in.data(), B, K, H, n_threads);
  }
  return py::make_tuple(dx, dW, db);
}

py::tuple cross_entropy_(py::object logits, py::object Y, py::object threads) {
  const FloatArray logits_in = floats_of("logits", logits, {kAny, kAny});
  const int64_t B = logits_in.shape(0), V = logits_in.shape(1);
  const std::vector<int32_t> targets = tokens_of("Y", Y, {B}, V).copy();
  const int n_threads = threads_of(threads);
  FloatArray dlogits = new_floats({B, V});
  float* out = dlogits.mutable_data();
  double loss = 0;
  {
    const GilRelease release;
    loss = cross_entropy(out, logits_in.data(), targets.data(), B, V, n_threads);
  }
  return py::make_tuple(loss, dlogits);
}

FloatArray log_softmax_(py::object logits, py::object threads) {
  const FloatArray logits_in = floats_of("logits", logits, {kAny, kAny});
  const int64_t B = logits_in.shape(0), V = logits_in.shape(1);
  const int n_threads = threads_of(threads);
  FloatArray result = new_floats({B, V});
  float* out = result.mutable_data();
  const GilRelease release;
  log_softmax(out, logits_in.data(), B, V, n_threads);
  return result;
}

void sgd_update_(py::object w, py::object dw, py::object lr, py::object weight_decay) {
  FloatArray w_in_place = float_in_place("w", w);
  const int64_t size = w_in_place.size();  // now: whoever is asked for lr may give w another type
  const FloatArray dw_in = floats_of("dw", dw, shape_of(w_in_place));
  check_apart("w", w_in_place, "dw", dw_in);
  const double rate = number("lr", lr), decay = number("weight_decay", weight_decay);
  WrittenMemory written;
  written.claim("w", w_in_place);
  float* out = w_in_place.mutable_data();
  const GilRelease release;
  sgd_update(out, dw_in.data(), rate, decay, size);
}

py::array_t<int32_t> sample_tokens_(py::object log_probs, py::object u) {
  const FloatArray log_probs_in = floats_of("log_probs", log_probs, {kAny, kAny});
  const int64_t N = log_probs_in.shape(0), V = log_probs_in.shape(1);
  const DoubleArray u_in = numbers_of("u", u, {N});
  py::array_t<int32_t> tokens(N);
  int32_t* out = tokens.mutable_data();
  const GilRelease release;
  sample_tokens(out, log_probs_in.data(), u_in.data(), N, V);
  return tokens;
}

}  // namespace

void bind_ops(py::module_& m) {
  const auto threads = py::arg("threads") = py::none();
  m.def("embedding_forward", &embedding_forward_, py::arg("C"), py::arg("X"), threads,
        R"(Return the embeddings of tokens, emb = C[X].

Parameters
----------
C : float32 array, shape (V,E)
X : integer array, shape (N,T)
threads : int, optional
    By default the CPUs that this process may use; never changes a bit of the result.

Returns
-------
float32 array, shape (N,T,E)

Raises
------
RangeError
    A token is outside [0, V).)");
  m.def("embedding_backward", &embedding_backward_, py::arg("demb"), py::arg("X"),
        py::arg("vocab_size"), threads,
        R"(Return dC, the sum of the rows of demb that belong to each token.

Parameters
----------
demb : float32 array, shape (N,T,E)
X : integer array, shape (N,T)
vocab_size : int
    V, in [1, 2**20].
threads : int, optional
    By default the CPUs that this process may use; never changes a bit of the result.

Returns
-------
float32 array, shape (V,E)

Raises
------
RangeError
    A token is outside [0, V).
ArgumentError
    A shape does not fit, or `vocab_size` is outside its range.)");
  m.def("linear_forward", &linear_forward_<linear_forward>, py::arg("x"), py::arg("W"),
        py::arg("b"), threads, R"(Return y = x @ W + b.

Parameters
----------
x : float32 array, shape (B,K)
W : float32 array, shape (K,N)
b : float32 array, shape (N,)
threads : int, optional
    By default the CPUs that this process may use; never changes a bit of the result.

Returns
-------
float32 array, shape (B,N)

Raises
------
ArgumentError
    A shape does not fit.)");
  m.def("linear_backward", &linear_backward_, py::arg("dy"), py::arg("x"), py::arg("W"), threads,
        R"(Return the gradients of y = x @ W + b.

Parameters
----------
dy : float32 array, shape (B,N)
x : float32 array, shape (B,K)
W : float32 array, shape (K,N)
threads : int, optional
    By default the CPUs that this process may use; never changes a bit of the result.

Returns
-------
dx, dW, db : float32 arrays, shapes (B,K), (K,N), (N,)
    ``dy @ W.T``, ``x.T @ dy`` and ``dy.sum(axis=0)``.

Raises
------
ArgumentError
    A shape does not fit.)");
  m.def("linear_tanh_forward", &linear_forward_<linear_tanh_forward>, py::arg("x"), py::arg("W"),
        py::arg("b"), threads, R"(Return h = tanh(x @ W + b).

Parameters
----------
x : float32 array, shape (B,K)
W : float32 array, shape (K,H)
b : float32 array, shape (H,)
threads : int, optional
    By default the CPUs that this process may use; never changes a bit of the result.

Returns
-------
float32 array, shape (B,H)

Raises
------
ArgumentError
    A shape does not fit.)");
  m.def("linear_tanh_backward", &linear_tanh_backward_, py::arg("dh"), py::arg("h"), py::arg("x"),
        py::arg("W"), threads, R"(Return the gradients of h = tanh(x @ W + b).

Parameters
----------
dh, h : float32 arrays, shape (B,H)
x : float32 array, shape (B,K)
W : float32 array, shape (K,H)
threads : int, optional
    By default the CPUs that this process may use; never changes a bit of the result.

Returns
-------
dx, dW, db : float32 arrays, shapes (B,K), (K,H), (H,)
    The results of `linear_backward` for ``dy = dh * (1 - h**2)``.

Raises
------
ArgumentError
    A shape does not fit.)");
  m.def("cross_entropy", &cross_entropy_, py::arg("logits"), py::arg("Y"), threads,
        R"(Return the mean loss of targets Y, and its gradient.

Parameters
----------
logits : float32 array, shape (B,V)
Y : integer array, shape (B,)
threads : int, optional
    By default the CPUs that this process may use; never changes a bit of the result.

Returns
-------
loss : float
    The mean of -ln softmax(logits[i])[Y[i]], in nats.
dlogits : float32 array, shape (B,V)

Raises
------
RangeError
    A target is outside [0, V).
ArgumentError
    A shape does not fit, or B or V is 0.)");
  m.def("log_softmax", &log_softmax_, py::arg("logits"), threads,
        R"(Return the logarithm of the softmax of each row.

Parameters
----------
logits : float32 array, shape (B,V)
threads : int, optional
    By default the CPUs that this process may use; never changes a bit of the result.

Returns
-------
float32 array, shape (B,V)
    Natural logarithms.

Raises
------
ArgumentError
    A shape does not fit, or V is 0.)");
  m.def("sgd_update", &sgd_update_, py::arg("w"), py::arg("dw"), py::arg("lr"),
        py::arg("weight_decay") = 0.0,
        R"(Update in place, w -= lr * (dw + weight_decay * w).

Parameters
----------
w : float32 array of any shape
    C-contiguous and writable.
dw : float32 array of the same shape
    Shares no memory with w.
lr, weight_decay : float
    Finite and not negative.

Raises
------
ArgumentError
    An array or number is not as described.)");
  m.def("sample_tokens", &sample_tokens_, py::arg("log_probs"), py::arg("u"),
        R"(Return the first token of each row whose cumulative float64 probability exceeds u.

Where rounding leaves none, the last token of positive probability.

Parameters
----------
log_probs : float32 array, shape (N,V)
    Natural logarithms of probabilities.
u : array of real numbers, shape (N,)
    In [0, 1).

Returns
-------
int32 array, shape (N,)

Raises
------
ArgumentError
    A shape does not fit, u is outside [0, 1), or a row is not a distribution.)");
}

}  // namespace makemore::bindings
