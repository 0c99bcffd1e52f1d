// Training steps, mean loss and log-probabilities on the five parameter arrays.
#include <pybind11/functional.h>

#include <algorithm>
#include <exception>

#include "arrays.hpp"
#include "bindings.hpp"
#include "check.hpp"
#include "makemore/error.hpp"
#include "makemore/forward.hpp"
#include "makemore/trainer.hpp"

namespace makemore::bindings {

namespace {

// The five arrays; how each is taken (read, or written in place) is the caller's choice.
struct ParameterArguments {
  FloatArray C, W1, b1, W2, b2;
  Sizes sizes;
};

template <typename Take>
ParameterArguments parameters_of(const Take& take, py::handle C, py::handle W1, py::handle b1,
                                 py::handle W2, py::handle b2) {
  ParameterArguments p;
  p.C = take("C", C, {kAny, kAny});
  p.W1 = take("W1", W1, {kAny, kAny});
  const int64_t V = p.C.shape(0), E = p.C.shape(1), K = p.W1.shape(0), H = p.W1.shape(1);
  if (E == 0 || K % E != 0) {
    throw ArgumentError("W1 has " + std::to_string(K) +
                        " rows, which is not a multiple of the embedding size " +
                        std::to_string(E));
  }
  p.b1 = take("b1", b1, {H});
  p.W2 = take("W2", W2, {H, V});
  p.b2 = take("b2", b2, {V});
  p.sizes = {K / E, E, H, V};
  check_sizes(p.sizes);
  return p;
}

ConstParameters pointers(const ParameterArguments& p) {
  return {p.C.data(), p.W1.data(), p.b1.data(), p.W2.data(), p.b2.data()};
}

// rows: None, "all", or integers (steps, B).
Batches batches_of(py::handle rows, int64_t batch_size, int64_t steps,
                   py::array_t<int64_t, py::array::c_style>& holder) {
  if (rows.is_none()) return {Batches::Kind::drawn, batch_size, nullptr};
  if (py::isinstance<py::str>(rows)) {
    const auto text = rows.cast<std::string>();
    if (text == "all") return {Batches::Kind::all, 0, nullptr};
    throw ArgumentError("rows = '" + text + "' is neither 'all' nor an array");
  }
  const py::array array = py::array::ensure(rows);
  if (!array) PyErr_Clear();
  if (!array || (array.dtype().kind() != 'i' && array.dtype().kind() != 'u')) {
    throw py::type_error("rows must hold integers");
  }
  check_shape("rows", array, {steps, kAny});
  if (array.shape(1) == 0) throw ArgumentError("rows has no columns, so its batches are empty");
  holder = py::array_t<int64_t, py::array::c_style | py::array::forcecast>::ensure(array);
  return {Batches::Kind::given, holder.shape(1), holder.data()};
}

OptimizerState state_of(py::handle state) {
  OptimizerState arrays;
  if (state.is_none()) return arrays;
  if (!py::isinstance<py::dict>(state)) throw py::type_error("state must be a dict of arrays");
  for (const auto& [name, array] : py::reinterpret_borrow<py::dict>(state)) {
    const auto text = py::str(name).cast<std::string>();
    const auto any = py::array::ensure(array);
    const Shape shape = any ? Shape(any.shape(), any.shape() + any.ndim()) : Shape{kAny};
    FloatArray in_place = float_in_place(("state['" + text + "']").c_str(), array, shape);
    arrays.push_back({text, in_place.mutable_data(), in_place.size()});
  }
  return arrays;
}

py::array_t<float> train_steps_(py::object C, py::object W1, py::object b1, py::object W2,
                                py::object b2, py::object X, py::object Y, py::object lr,
                                py::object batch_size, py::object seed, py::object first_step,
                                py::object rows, double weight_decay, const std::string& optimizer,
                                py::object state, py::object threads, py::object should_stop) {
  ParameterArguments p = parameters_of(float_in_place, C, W1, b1, W2, b2);
  const Tokens X_in = tokens_of("X", X, {kAny, p.sizes.block_size}, p.sizes.vocab_size);
  const int64_t N = X_in.array.shape(0);
  const Tokens Y_in = tokens_of("Y", Y, {N}, p.sizes.vocab_size);
  const auto lr_in = py::array_t<double, py::array::c_style | py::array::forcecast>::ensure(lr);
  if (!lr_in) {
    PyErr_Clear();
    throw py::type_error("lr must be an array of numbers");
  }
  check_shape("lr", lr_in, {kAny});
  const int64_t steps = lr_in.shape(0);
  const std::vector<double> rates(lr_in.data(), lr_in.data() + steps);
  const int64_t first = integer("first_step", first_step);
  check_at_least("first_step", first, 0);
  py::array_t<int64_t, py::array::c_style> rows_holder;
  const Batches batches = batches_of(rows, integer("batch_size", batch_size), steps, rows_holder);
  const OptimizerState state_in = state_of(state);
  const TrainOptions options{optimizer_named(optimizer), weight_decay, seed_of("seed", seed),
                             threads_of(threads)};
  const Parameters parameters{p.C.mutable_data(), p.W1.mutable_data(), p.b1.mutable_data(),
                              p.W2.mutable_data(), p.b2.mutable_data()};

  // An exception of a signal handler or of should_stop ends the steps like a stop, so that the
  // parameters hold the last completed one, and is raised after that.
  SignalPoll poll;
  std::exception_ptr interruption;
  const auto stop = [&]() -> bool {
    try {
      poll();
      if (should_stop.is_none()) return false;
      const py::gil_scoped_acquire gil;
      return py::bool_(should_stop());
    } catch (py::error_already_set&) {
      interruption = std::current_exception();
      return true;
    }
  };
  std::vector<float> losses(static_cast<size_t>(steps));
  int64_t done = 0;
  {
    const py::gil_scoped_release release;
    done = train_steps(losses.data(), parameters, state_in, p.sizes, {X_in.data(), Y_in.data(), N},
                       rates.data(), steps, static_cast<uint64_t>(first), batches, options, stop);
  }
  if (interruption) std::rethrow_exception(interruption);
  return py::array_t<float>(done, losses.data());
}

double mean_loss_(py::object C, py::object W1, py::object b1, py::object W2, py::object b2,
                  py::object X, py::object Y, py::object threads) {
  const ParameterArguments p = parameters_of(float_input, C, W1, b1, W2, b2);
  const Tokens X_in = tokens_of("X", X, {kAny, p.sizes.block_size}, p.sizes.vocab_size);
  const int64_t N = X_in.array.shape(0);
  const Tokens Y_in = tokens_of("Y", Y, {N}, p.sizes.vocab_size);
  const int n_threads = threads_of(threads);
  SignalPoll poll;
  const py::gil_scoped_release release;
  return mean_loss(p.sizes, pointers(p), X_in.data(), Y_in.data(), N, n_threads, [&] { poll(); });
}

FloatArray log_probs_(py::object C, py::object W1, py::object b1, py::object W2, py::object b2,
                      py::object X, py::object threads) {
  const ParameterArguments p = parameters_of(float_input, C, W1, b1, W2, b2);
  const Tokens X_in = tokens_of("X", X, {kAny, p.sizes.block_size}, p.sizes.vocab_size);
  const int64_t N = X_in.array.shape(0);
  const int n_threads = threads_of(threads);
  FloatArray result = new_floats({N, p.sizes.vocab_size});
  float* out = result.mutable_data();
  SignalPoll poll;
  const py::gil_scoped_release release;
  log_probs(out, p.sizes, pointers(p), X_in.data(), N, n_threads, [&] { poll(); });
  return result;
}

}  // namespace

void bind_model(py::module_& m) {
  const auto threads = py::arg("threads") = py::none();
  m.def("train_steps", &train_steps_, py::arg("C"), py::arg("W1"), py::arg("b1"), py::arg("W2"),
        py::arg("b2"), py::arg("X"), py::arg("Y"), py::arg("lr"), py::kw_only(),
        py::arg("batch_size") = 32, py::arg("seed") = 1, py::arg("first_step") = 0,
        py::arg("rows") = py::none(), py::arg("weight_decay") = 0.0, py::arg("optimizer") = "sgd",
        py::arg("state") = py::none(), threads, py::arg("should_stop") = py::none(),
        "Trains the five arrays in place; the losses of the steps done.");
  m.def("mean_loss", &mean_loss_, py::arg("C"), py::arg("W1"), py::arg("b1"), py::arg("W2"),
        py::arg("b2"), py::arg("X"), py::arg("Y"), threads, "The mean loss in nats per token.");
  m.def("log_probs", &log_probs_, py::arg("C"), py::arg("W1"), py::arg("b1"), py::arg("W2"),
        py::arg("b2"), py::arg("X"), threads, "The log-probabilities (N,V) of the next token.");
}

}  // namespace makemore::bindings
