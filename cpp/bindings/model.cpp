// Training steps, mean loss and log-probabilities on the five parameter arrays.
#include <pybind11/stl.h>

#include <algorithm>
#include <exception>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "arrays.hpp"
#include "base/check.hpp"
#include "base/utf8.hpp"
#include "bindings.hpp"
#include "gil.hpp"
#include "makemore/error.hpp"
#include "makemore/forward.hpp"
#include "makemore/trainer.hpp"
#include "parameters.hpp"
#include "signal_poll.hpp"

namespace makemore::bindings {

namespace {

using CountArray = py::array_t<int64_t, py::array::c_style>;

constexpr int64_t kDefaultBatchSize = 32;

// rows: None, "all", or integers (steps, B), which `holder` then holds.  They say what B is, and a
// batch_size beside them must not say another.
Batches batches_of(py::handle rows, py::handle batch_size, int64_t steps, int64_t n_examples,
                   RowArray& holder) {
  const bool is_given = !batch_size.is_none();
  const int64_t wanted = is_given ? integer("batch_size", batch_size) : kDefaultBatchSize;
  const auto check_wanted = [&](int64_t B, const std::string& what) {
    if (!is_given || wanted == B) return;
    throw ArgumentError("batch_size is " + std::to_string(wanted) + ", but " + what +
                        std::to_string(B) + " examples: leave batch_size out");
  };
  if (rows.is_none()) return {Batches::Kind::drawn, wanted, nullptr};
  if (PyUnicode_Check(rows.ptr())) {
    const std::string_view which = text("rows", rows);
    if (which != "all") {
      throw ArgumentError("rows = '" + show_text(which) + "' is neither 'all' nor an array");
    }
    check_wanted(n_examples, "rows is 'all', and there are ");
    return {Batches::Kind::all, 0, nullptr};
  }
  holder = rows_of(rows, steps, n_examples);
  check_wanted(holder.shape(1), "each step of rows has ");
  return {Batches::Kind::given, holder.shape(1), holder.data()};
}

// The optimiser's state, and the arrays that hold it: the caller's dict may change in a long call.
struct StateArguments {
  OptimizerState state;
  std::vector<FloatArray> arrays;
  std::optional<CountArray> count;  // of the steps that it has seen
};

// state['step'], an int64 that is changed in place.
CountArray count_of(py::handle value) {
  const bool is_count = CountArray::check_(value) && py::array::ensure(value).size() == 1;
  if (!is_count) {
    throw py::type_error("state['step'] must be an int64 array of one element, not " +
                         type_name(value));
  }
  CountArray count = py::reinterpret_borrow<CountArray>(value);
  if (!count.writeable()) {
    throw ArgumentError("state['step'] is written in place but is read-only");
  }
  check_in_range("state['step']", *count.data(), 0, std::numeric_limits<int64_t>::max());
  return count;
}

// The number of the first step: the state's count, where it counts, which nobody may contradict.
int64_t first_step_of(py::handle first_step, const StateArguments& state) {
  const int64_t count = state.count ? *state.count->data() : 0;
  if (first_step.is_none()) return count;
  const int64_t first = integer("first_step", first_step);
  if (state.count && first != count) {
    throw ArgumentError("first_step is " + std::to_string(first) + ", but state has seen " +
                        std::to_string(count) + " steps: leave first_step out to go on from there");
  }
  return first;
}

void check_same_shape(const std::string& name, const FloatArray& array,
                      const FloatArray& parameter) {
  if (array.ndim() == parameter.ndim() &&
      std::equal(array.shape(), array.shape() + array.ndim(), parameter.shape())) {
    return;
  }
  throw ArgumentError(name + " has not the shape of its parameter");
}

StateArguments state_of(py::handle state, const ParameterArguments& parameters) {
  StateArguments arguments;
  if (state.is_none()) return arguments;
  if (!py::isinstance<py::dict>(state)) {
    throw py::type_error("state must be a dict of arrays, not " + type_name(state));
  }
  for (const auto& [key, value] : py::reinterpret_borrow<py::dict>(state)) {
    const std::string name(text("a key of state", key));
    if (name == "step") {
      arguments.count = count_of(value);
      continue;
    }
    const std::string shown = "state['" + name + "']";
    FloatArray array = float_in_place(shown.c_str(), value);
    for (size_t i = 0; i < kParameters.size(); ++i) {
      const FloatArray& parameter = *parameters.arrays.all()[i];
      const char* const other = kParameters[i].name;
      if (name.ends_with(std::string(".").append(other))) check_same_shape(shown, array, parameter);
      check_apart(other, parameter, shown.c_str(), array);
    }
    for (size_t i = 0; i < arguments.arrays.size(); ++i) {
      const std::string earlier = "state['" + arguments.state[i].name + "']";
      check_apart(earlier.c_str(), arguments.arrays[i], shown.c_str(), array);
    }
    arguments.state.push_back({name, array.mutable_data(), array.size()});
    arguments.arrays.push_back(std::move(array));
  }
  return arguments;
}

FloatArray train_steps_(py::object C, py::object W1, py::object b1, py::object W2, py::object b2,
                        py::object X, py::object Y, py::object lr, py::object batch_size,
                        py::object seed, py::object first_step, py::object rows,
                        py::object optimizer, py::object state, py::object weight_decay,
                        py::object decay_biases, py::object momentum, py::object beta1,
                        py::object beta2, py::object epsilon, py::object dropout,
                        py::object negatives, py::object threads, py::object should_stop) {
  ParameterArguments p = parameters_in_place({C, W1, b1, W2, b2});
  const Tokens X_in = tokens_of("X", X, {kAny, p.sizes.block_size}, p.sizes.vocab_size);
  const int64_t N = X_in.array.shape(0);
  const Tokens Y_in = tokens_of("Y", Y, {N}, p.sizes.vocab_size);
  const DoubleArray lr_in = numbers_of("lr", lr, {kAny});
  const int64_t steps = lr_in.shape(0);
  const std::vector<double> rates(lr_in.data(), lr_in.data() + steps);
  RowArray row_holder;
  const Batches batches = batches_of(rows, batch_size, steps, N, row_holder);
  StateArguments state_in = state_of(state, p);
  const int64_t first = first_step_of(first_step, state_in);
  check_in_range("first_step", first, 0, std::numeric_limits<int64_t>::max() - steps);
  TrainOptions options;
  options.update.optimizer = optimizer_named(std::string(text("optimizer", optimizer)));
  options.update.weight_decay = number("weight_decay", weight_decay);
  options.update.decay_biases = flag("decay_biases", decay_biases);
  options.update.momentum = number("momentum", momentum);
  options.update.beta1 = number("beta1", beta1);
  options.update.beta2 = number("beta2", beta2);
  options.update.epsilon = number("epsilon", epsilon);
  options.dropout = number("dropout", dropout);
  if (!negatives.is_none()) {
    options.negatives = integer("negatives", negatives);
    check_at_least("negatives", options.negatives, 1);
  }
  options.seed = seed_of("seed", seed);
  options.threads = threads_of(threads);
  if (!should_stop.is_none() && !PyCallable_Check(should_stop.ptr())) {
    throw py::type_error("should_stop must be a function, not " + type_name(should_stop));
  }
  const Parameters parameters = p.mutable_view();

  // An exception of a signal handler or of should_stop ends the steps like a stop, so that the
  // parameters hold the last completed one, and is raised after that.
  SignalPoll poll;
  std::exception_ptr interruption;
  const auto stop = [&]() -> bool {
    try {
      poll();
      if (should_stop.is_none()) return false;
      const GilAcquire gil;
      return py::bool_(call(should_stop, nullptr, 0));
    } catch (py::error_already_set&) {
      interruption = std::current_exception();
      return true;
    }
  };
  // Made before the first step: without memory for it nothing has changed.
  FloatArray losses = new_floats({steps});
  float* const losses_out = losses.mutable_data();
  int64_t done = 0;
  {
    const GilRelease release;
    done = train_steps(losses_out, parameters, state_in.state, p.sizes,
                       {X_in.data(), Y_in.data(), N}, rates.data(), steps,
                       static_cast<uint64_t>(first), batches, options, stop, [&] { poll(); });
  }
  if (state_in.count) *state_in.count->mutable_data() = first + done;
  if (interruption) std::rethrow_exception(interruption);
  if (done < steps) losses.resize({done});
  return losses;
}

double mean_loss_(py::object C, py::object W1, py::object b1, py::object W2, py::object b2,
                  py::object X, py::object Y, py::object threads) {
  const ParameterArguments p = parameters_of(float_input, {C, W1, b1, W2, b2});
  const Tokens X_in = tokens_of("X", X, {kAny, p.sizes.block_size}, p.sizes.vocab_size);
  const int64_t N = X_in.array.shape(0);
  const Tokens Y_in = tokens_of("Y", Y, {N}, p.sizes.vocab_size);
  const int n_threads = threads_of(threads);
  SignalPoll poll;
  const GilRelease release;
  return mean_loss(p.sizes, p.view(), X_in.data(), Y_in.data(), N, n_threads, [&] { poll(); });
}

FloatArray log_probs_(py::object C, py::object W1, py::object b1, py::object W2, py::object b2,
                      py::object X, py::object threads) {
  const ParameterArguments p = parameters_of(float_input, {C, W1, b1, W2, b2});
  const Tokens X_in = tokens_of("X", X, {kAny, p.sizes.block_size}, p.sizes.vocab_size);
  const int64_t N = X_in.array.shape(0);
  const int n_threads = threads_of(threads);
  FloatArray result = new_floats({N, p.sizes.vocab_size});
  float* out = result.mutable_data();
  SignalPoll poll;
  const GilRelease release;
  log_probs(out, p.sizes, p.view(), X_in.data(), N, n_threads, [&] { poll(); });
  return result;
}

}  // namespace

void bind_model(py::module_& m) {
  const auto threads = py::arg("threads") = py::none();
  py::list parameters;
  for (const auto& [name, shape] : kParameters) parameters.append(py::make_tuple(name, shape));
  m.attr("PARAMETERS") = py::tuple(parameters);
  m.def("train_steps", &train_steps_, py::arg("C"), py::arg("W1"), py::arg("b1"), py::arg("W2"),
        py::arg("b2"), py::arg("X"), py::arg("Y"), py::arg("lr"), py::kw_only(),
        py::arg("batch_size") = py::none(), py::arg("seed") = 1, py::arg("first_step") = py::none(),
        py::arg("rows") = py::none(), py::arg("optimizer") = "sgd", py::arg("state") = py::none(),
        py::arg("weight_decay") = 0.0, py::arg("decay_biases") = false, py::arg("momentum") = 0.9,
        py::arg("beta1") = 0.9, py::arg("beta2") = 0.999, py::arg("epsilon") = 1e-8,
        py::arg("dropout") = 0.0, py::arg("negatives") = py::none(), threads,
        py::arg("should_stop") = py::none(),
        R"(Train the five arrays in place, one step per entry of `lr`.

The result depends on the arguments alone: n steps in one call equal any division into calls that
continue with `first_step`, bit for bit, whatever the number of threads.

Parameters
----------
C, W1, b1, W2, b2 : float32 arrays, shapes (V,E), (K,H), (H,), (H,V), (V,)
    C-contiguous and writable; no two share memory.  K = T*E.
X : integer array, shape (N,T)
Y : integer array, shape (N,)
lr : array of real numbers, shape (steps,)
    The learning rate of each step.
batch_size : int, optional
    B, the number of examples in a step, drawn with replacement from (seed, step); 32 by default.
seed : int
    In [0, 2**64).
first_step : int, optional
    The number of the first step; by default the count of `state`, or 0.
rows : integer array, shape (steps,B), or "all", optional
    The examples of each step instead of drawn ones; "all" takes all N in every step.
optimizer : {"sgd", "momentum", "adam", "adamw"}
    As PyTorch's SGD without and with momentum, Adam and AdamW.
state : dict of float32 arrays, optional
    What the optimiser remembers, updated in place: nothing for SGD, "velocity.C" and so on for
    momentum, "m.C" ... and "v.C" ... for Adam and AdamW; zeros before step 0.  "step", an int64
    array of one element, counts the steps where it is there.
weight_decay : float
    lambda: adds lambda * w to the gradients of C, W1 and W2; AdamW subtracts lr * lambda * w from
    w instead.
decay_biases : bool
    Weight decay for b1 and b2 too.
momentum, beta1, beta2, epsilon : float
    Of the optimisers: in [0, 1), but for epsilon > 0.
dropout : float
    In [0, 1): the probability of a hidden unit to be 0 for an example; losses are with dropout.
negatives : int, optional
    In [1, V): the softmax of a step, and so its loss, is that of the minibatch's targets and so
    many other tokens, drawn without replacement; by default it is that of all tokens.
threads : int, optional
    By default the CPUs that this process may use.
should_stop : callable, optional
    Asked between steps; true ends the call after the last completed step.

Returns
-------
float32 array
    The mean loss of each completed step's minibatch before its update, in nats per token:
    (steps,), or fewer when stopped.

Raises
------
DivergedError
    A loss or parameter is not finite.
RangeError
    A token or row that is used is outside its range.
ArgumentError
    A shape or value does not fit.  After any of these errors the parameters are as they were.)");
  m.def(
      "moments_of",
      [](py::object optimizer) {
        return moments_of(optimizer_named(std::string(text("optimizer", optimizer))));
      },
      py::arg("optimizer"),
      R"(Return what an optimiser remembers of each parameter: names like "velocity".)");
  m.def("mean_loss", &mean_loss_, py::arg("C"), py::arg("W1"), py::arg("b1"), py::arg("W2"),
        py::arg("b2"), py::arg("X"), py::arg("Y"), threads,
        R"(Return the mean loss of targets Y after contexts X, in nats per token.

Parameters
----------
C, W1, b1, W2, b2 : float32 arrays, shapes (V,E), (K,H), (H,), (H,V), (V,)
X : integer array, shape (N,T)
Y : integer array, shape (N,)
threads : int, optional
    By default the CPUs that this process may use; never changes a bit of the result.

Raises
------
RangeError
    A token is outside the vocabulary.
ArgumentError
    A shape does not fit, or N = 0.)");
  m.def("log_probs", &log_probs_, py::arg("C"), py::arg("W1"), py::arg("b1"), py::arg("W2"),
        py::arg("b2"), py::arg("X"), threads,
        R"(Return the log-probabilities of the token after each context.

Parameters
----------
C, W1, b1, W2, b2 : float32 arrays, shapes (V,E), (K,H), (H,), (H,V), (V,)
X : integer array, shape (N,T)
threads : int, optional
    By default the CPUs that this process may use; never changes a bit of the result.

Returns
-------
float32 array, shape (N,V)
    Natural logarithms.

Raises
------
RangeError
    A token is outside the vocabulary.
ArgumentError
    A shape does not fit.)");
}

}  // namespace makemore::bindings
