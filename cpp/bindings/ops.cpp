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

// The bindings of linear_forward and linear_tanh_forward differ only in the function they call.
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
  const int64_t size = w_in_place.size();  // read now: converting lr may run code that changes w
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
        "See makemore_cpp.ops.embedding_forward; it takes no single row.");
  m.def("embedding_backward", &embedding_backward_, py::arg("demb"), py::arg("X"),
        py::arg("vocab_size"), threads, "See makemore_cpp.ops.embedding_backward.");
  m.def("linear_forward", &linear_forward_<linear_forward>, py::arg("x"), py::arg("W"),
        py::arg("b"), threads, "See makemore_cpp.ops.linear_forward; it takes no single row.");
  m.def("linear_backward", &linear_backward_, py::arg("dy"), py::arg("x"), py::arg("W"), threads,
        "See makemore_cpp.ops.linear_backward.");
  m.def("linear_tanh_forward", &linear_forward_<linear_tanh_forward>, py::arg("x"), py::arg("W"),
        py::arg("b"), threads, "See makemore_cpp.ops.linear_tanh_forward; it takes no single row.");
  m.def("linear_tanh_backward", &linear_tanh_backward_, py::arg("dh"), py::arg("h"), py::arg("x"),
        py::arg("W"), threads, "See makemore_cpp.ops.linear_tanh_backward.");
  m.def("cross_entropy", &cross_entropy_, py::arg("logits"), py::arg("Y"), threads,
        "See makemore_cpp.ops.cross_entropy.");
  m.def("log_softmax", &log_softmax_, py::arg("logits"), threads,
        "See makemore_cpp.ops.log_softmax; it takes no single row.");
  m.def("sgd_update", &sgd_update_, py::arg("w"), py::arg("dw"), py::arg("lr"),
        py::arg("weight_decay") = 0.0, "See makemore_cpp.ops.sgd_update.");
  m.def("sample_tokens", &sample_tokens_, py::arg("log_probs"), py::arg("u"),
        "See makemore_cpp.ops.sample_tokens.");
}

}  // namespace makemore::bindings
