// The numbers that the library draws from its generator, for Python.
#include "makemore/random.hpp"

#include <algorithm>
#include <limits>
#include <string>

#include "arrays.hpp"
#include "base/check.hpp"
#include "bindings.hpp"
#include "gil.hpp"
#include "makemore/error.hpp"
#include "parameters.hpp"
#include "signal_poll.hpp"

namespace makemore::bindings {

namespace {

// The largest number of numbers drawn in one call: 8 GiB of them.
constexpr int64_t kMaxDraws = 1 << 30;

py::tuple initial_parameters_(py::object block_size, py::object n_embd, py::object n_hidden,
                              py::object vocab_size, py::object seed, py::object init,
                              py::object direct) {
  const Sizes sizes{integer("block_size", block_size), integer("n_embd", n_embd),
                    integer("n_hidden", n_hidden), integer("vocab_size", vocab_size),
                    flag("direct", direct)};
  const uint64_t seed_value = seed_of("seed", seed);
  const Init init_value = init_named(std::string(text("init", init)));
  check_sizes(sizes);
  PerParameter<FloatArray> arrays = new_parameters(sizes);
  const Parameters parameters = mutable_view(arrays);
  SignalPoll poll;
  {
    const GilRelease release;
    initial_parameters(parameters, sizes, seed_value, init_value, [&] { poll(); });
  }
  return tuple_of(arrays);
}

py::array_t<int64_t> batch_rows_(py::object seed, py::object first_step, py::object steps,
                                 py::object batch_size, py::object n_examples) {
  const uint64_t seed_value = seed_of("seed", seed);
  const int64_t first = integer("first_step", first_step), count = integer("steps", steps);
  const int64_t B = integer("batch_size", batch_size), N = integer("n_examples", n_examples);
  check_at_least("steps", count, 0);
  check_in_range("first_step", first, 0, std::numeric_limits<int64_t>::max() - count);
  check_at_least("batch_size", B, 1);
  if (B > kMaxDraws / std::max<int64_t>(count, 1)) {
    throw ArgumentError("steps * batch_size = " + std::to_string(count) + " * " +
                        std::to_string(B) + " is above " + std::to_string(kMaxDraws));
  }
  py::array_t<int64_t> rows({count, B});
  int64_t* out = rows.mutable_data();
  SignalPoll poll;
  const GilRelease release;
  for (int64_t step = 0; step < count; ++step) {
    batch_rows(out + step * B, seed_value, static_cast<uint64_t>(first + step), B, N,
               [&] { poll(); });
  }
  return rows;
}

py::array_t<double> sample_uniforms(py::object seed, py::object first_sample, py::object n_samples,
                                    py::object position) {
  const uint64_t seed_value = seed_of("seed", seed);
  const int64_t first = integer("first_sample", first_sample), n = integer("n_samples", n_samples);
  const int64_t place = integer("position", position);
  check_in_range("n_samples", n, 0, kMaxDraws);
  check_in_range("first_sample", first, 0, std::numeric_limits<int64_t>::max() - n);
  check_in_range("position", place, 0, kMaxPosition);
  py::array_t<double> u(n);
  double* out = u.mutable_data();
  SignalPoll poll;
  const GilRelease release;
  for (int64_t i = 0; i < n; ++i) {
    if (i % 65536 == 0) poll();
    out[i] =
        sample_uniform(seed_value, static_cast<uint64_t>(first + i), static_cast<uint64_t>(place));
  }
  return u;
}

}  // namespace

void bind_random(py::module_& m) {
  m.def("initial_parameters", &initial_parameters_, py::arg("block_size"), py::arg("n_embd"),
        py::arg("n_hidden"), py::arg("vocab_size"), py::arg("seed"), py::arg("init") = "scaled",
        py::arg("direct") = false,
        "See makemore_cpp.reference.initial_parameters; H may be 0 with direct connections.");
  m.def("batch_rows", &batch_rows_, py::arg("seed"), py::arg("first_step"), py::arg("steps"),
        py::arg("batch_size"), py::arg("n_examples"), "See makemore_cpp.reference.batch_rows.");
  m.def("sample_uniforms", &sample_uniforms, py::arg("seed"), py::arg("first_sample"),
        py::arg("n_samples"), py::arg("position"), "See makemore_cpp.reference.sample_uniforms.");
}

}  // namespace makemore::bindings
