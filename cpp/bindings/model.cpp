// Training steps, mean loss and log-probabilities on the five parameter arrays.
#include <pybind11/stl.h>

#include <algorithm>
#include <exception>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "arrays.hpp"
#include "base/check.hpp"
#include "base/utf8.hpp"
#include "bindings.hpp"
#include "exchange.hpp"
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

// `rows` is None, "all", or integers (steps, B), which `holder` then keeps alive.  It determines B,
// and a batch_size that is given too must be equal.
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

// The optimiser's state, with its arrays: the caller's dict may change during a long call.
struct StateArguments {
  OptimizerState state;
  std::vector<FloatArray> arrays;
  std::optional<CountArray> count;  // the number of steps that the state has seen
};

std::string name_in_state(std::string_view name) { return "state['" + show_text(name) + "']"; }

// Returns state['step'], an int64 that is changed in place.
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

// The number of the first step: by default the state's count; it must not differ from that count.
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
  const py::dict given = dict_of_arrays("state", state);
  for (const auto& [key, value] : given) {
    const std::string name(text("a key of state", key));
    if (name == "step") {
      arguments.count = count_of(value);
      continue;
    }
    const std::string shown = name_in_state(name);
    FloatArray array = float_in_place(shown.c_str(), value);
    for (size_t i = 0; i < kParameters.size(); ++i) {
      const FloatArray& parameter = *parameters.arrays.all()[i];
      const char* const other = kParameters[i].name;
      if (name.ends_with(std::string(".").append(other))) check_same_shape(shown, array, parameter);
      check_apart(other, parameter, shown.c_str(), array);
    }
    for (size_t i = 0; i < arguments.arrays.size(); ++i) {
      const std::string earlier = name_in_state(arguments.state[i].name);
      check_apart(earlier.c_str(), arguments.arrays[i], shown.c_str(), array);
    }
    arguments.state.push_back({name, array.mutable_data(), array.size()});
    arguments.arrays.push_back(std::move(array));
  }
  return arguments;
}

// These read the value of an option by the type of its field.
void read(const char* name, py::handle value, double& field) { field = number(name, value); }
void read(const char* name, py::handle value, bool& field) { field = flag(name, value); }
void read(const char* name, py::handle value, Optimizer& field) {
  field = optimizer_named(std::string(text(name, value)));
}
void read(const char* name, py::handle value, std::optional<int64_t>& field) {
  if (!value.is_none()) field = integer(name, value);
}

// The options of keyword arguments.
TrainOptions options_of(const py::kwargs& given) {
  TrainOptions options;
  for (const auto& [key, value] : given) {
    const std::string_view name = text("a keyword", key);
    bool is_known = false;
    for_each_option(options, [&, &value = value](const char* known, auto& field) {
      if (name != known) return;
      is_known = true;
      read(known, value, field);
    });
    if (!is_known) throw py::type_error("train_steps has no option '" + show_text(name) + "'");
  }
  return options;
}

FloatArray train_steps_(py::object C, py::object W1, py::object b1, py::object W2, py::object b2,
                        py::object X, py::object Y, py::object lr, py::object batch_size,
                        py::object seed, py::object first_step, py::object rows, py::object state,
                        py::object threads, py::object should_stop, py::object exchange,
                        const py::kwargs& update) {
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
  TrainOptions options = options_of(update);
  options.seed = seed_of("seed", seed);
  options.threads = threads_of(threads);
  if (!should_stop.is_none() && !PyCallable_Check(should_stop.ptr())) {
    throw py::type_error("should_stop must be a function, not " + type_name(should_stop));
  }
  const std::unique_ptr<PyExchange> ranks = exchange_of(exchange);
  if (ranks && !should_stop.is_none()) {
    throw ArgumentError("should_stop cannot be given with exchange: all ranks do the same steps");
  }
  options.exchange = ranks.get();
  const Parameters parameters = p.mutable_view();
  WrittenMemory written;
  for (size_t i = 0; i < kParameters.size(); ++i) {
    written.claim(kParameters[i].name, *p.arrays.all()[i]);
  }
  for (size_t i = 0; i < state_in.arrays.size(); ++i) {
    written.claim(name_in_state(state_in.state[i].name), state_in.arrays[i]);
  }
  if (state_in.count) written.claim("state['step']", *state_in.count);
  int64_t* const count = state_in.count ? state_in.count->mutable_data() : nullptr;
  const int64_t first = first_step_of(first_step, state_in);  // no other call changes it now
  check_in_range("first_step", first, 0, std::numeric_limits<int64_t>::max() - steps);

  // An exception of a signal handler or of should_stop ends the steps like a stop, so that the
  // parameters hold the last completed step, and is raised afterwards.  But one of several ranks
  // must not stop alone as if all had stopped.
  SignalPoll poll;
  std::exception_ptr interruption;
  const auto stop = [&]() -> bool {
    if (ranks) {
      poll();
      return false;
    }
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
  // The array is made before the first step: where memory is missing, nothing has changed.
  FloatArray losses = new_floats({steps});
  float* const losses_out = losses.mutable_data();
  int64_t done = 0;
  {
    const GilRelease release;
    done = train_steps(losses_out, parameters, state_in.state, p.sizes,
                       {X_in.data(), Y_in.data(), N}, rates.data(), steps,
                       static_cast<uint64_t>(first), batches, options, stop, [&] { poll(); });
  }
  if (count != nullptr) *count = first + done;
  if (interruption) std::rethrow_exception(interruption);
  if (done < steps) losses.resize({done});
  return losses;
}

double mean_loss_(py::object C, py::object W1, py::object b1, py::object W2, py::object b2,
                  py::object X, py::object Y, py::object threads, py::object exchange) {
  const ParameterArguments p = parameters_of(float_input, {C, W1, b1, W2, b2});
  const Tokens X_in = tokens_of("X", X, {kAny, p.sizes.block_size}, p.sizes.vocab_size);
  const int64_t N = X_in.array.shape(0);
  const Tokens Y_in = tokens_of("Y", Y, {N}, p.sizes.vocab_size);
  const int n_threads = threads_of(threads);
  const std::unique_ptr<PyExchange> ranks = exchange_of(exchange);
  SignalPoll poll;
  const GilRelease release;
  return mean_loss(
      p.sizes, p.view(), X_in.data(), Y_in.data(), N, n_threads, [&] { poll(); }, ranks.get());
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
        py::arg("rows") = py::none(), py::arg("state") = py::none(), threads,
        py::arg("should_stop") = py::none(), py::arg("exchange") = py::none(),
        R"(See makemore_cpp.MLP.train_steps, with these differences.

`lr` is an array (steps,).  `update` holds the options of `for_each_option` in
makemore/trainer.hpp, where "beta1" and "beta2" are two options.

Parameters
----------
C, W1, b1, W2, b2 : float32 arrays, shapes (V,E), (K,H), (H,), (F,V), (V,)
    The parameters, C-contiguous and writable; no two share memory.  K = T*E.
exchange : object, optional
    The ranks that make this call together; it has `rank`, `size` and a function
    all_gather(message, bytes).  bytes[i] bytes of the uint8 array `message` are those of rank i;
    each rank has filled its own, and the function fills those of the others.)");
  m.def(
      "moments_of",
      [](py::object optimizer) {
        return moments_of(optimizer_named(std::string(text("optimizer", optimizer))));
      },
      py::arg("optimizer"),
      "Return the names of what an optimiser keeps for each parameter, such as 'velocity'.");
  m.def("mean_loss", &mean_loss_, py::arg("C"), py::arg("W1"), py::arg("b1"), py::arg("W2"),
        py::arg("b2"), py::arg("X"), py::arg("Y"), threads, py::arg("exchange") = py::none(),
        R"(See makemore_cpp.MLP.loss; the five arrays and `exchange` are those of `train_steps`.)");
  m.def("log_probs", &log_probs_, py::arg("C"), py::arg("W1"), py::arg("b1"), py::arg("W2"),
        py::arg("b2"), py::arg("X"), threads,
        "See makemore_cpp.MLP.log_probs; the five arrays are those of `train_steps`.");
}

}  // namespace makemore::bindings
