// LanguageModel, Sampler and complete for Python; the latter two also ask models made in Python.
#include "makemore/language_model.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "arrays.hpp"
#include "base/check.hpp"
#include "base/utf8.hpp"
#include "bindings.hpp"
#include "classes.hpp"
#include "gil.hpp"
#include "makemore/error.hpp"
#include "scalars.hpp"
#include "signal_poll.hpp"
#include "strings.hpp"

namespace makemore::bindings {

using namespace py::literals;

namespace {

Unknown unknown_of(py::handle value) {
  const std::string_view name = text("oov", value);
  if (name == "error") return Unknown::error;
  if (name == "skip") return Unknown::skip;
  if (name == "-inf") return Unknown::mark;
  throw ArgumentError("oov is '" + show_text(name) +
                      "'; it must be one of 'error', 'skip', '-inf'");
}

LanguageModel make_language_model(const py::object& saved) {
  return LanguageModel(object_of<SavedModel>("saved", saved));
}

FloatArray log_probs(const LanguageModel& model, py::object X, py::object threads) {
  const Sizes& sizes = model.sizes();
  const Tokens X_in = tokens_of("X", X, {kAny, sizes.block_size}, sizes.vocab_size);
  const int64_t N = X_in.array.shape(0);
  const int n_threads = threads_of(threads);
  FloatArray result = new_floats({N, sizes.vocab_size});
  float* out = result.mutable_data();
  SignalPoll poll;
  const GilRelease release;
  model.log_probs(out, X_in.data(), N, n_threads, [&] { poll(); });
  return result;
}

FloatArray next(const LanguageModel& model, py::handle prefix) {
  FloatArray probs(model.sizes().vocab_size);
  model.next(probs.mutable_data(), text("prefix", prefix));
  return probs;
}

// Texts are scored so many tokens at a time, in memory that does not depend on their number.
constexpr int64_t kTokensAtOnce = 1 << 18;

py::array_t<double> score(const LanguageModel& model, py::object texts, py::object oov,
                          py::object threads) {
  if (PyUnicode_Check(texts.ptr())) {
    throw py::type_error("texts must be an iterable of str, not one str");
  }
  const Unknown unknown = unknown_of(oov);
  const int n_threads = threads_of(threads);
  std::vector<int32_t> tokens;
  std::vector<int64_t> offsets{0};
  std::vector<double> scores;
  SignalPoll poll;
  const auto score_waiting = [&] {
    const size_t scored = scores.size();
    scores.resize(scored + offsets.size() - 1);
    const GilRelease release;
    model.score_tokens(scores.data() + scored, tokens, offsets, n_threads, [&] { poll(); });
    tokens.clear();
    offsets.resize(1);
  };
  Elements elements("texts", texts);
  while (elements.next()) {
    append_tokens(tokens, model.vocabulary(), elements.value(), unknown, [&] {
      return "texts[" + std::to_string(scores.size() + offsets.size() - 1) + "]";
    });
    offsets.push_back(std::ssize(tokens));
    if (std::ssize(tokens) + std::ssize(offsets) > kTokensAtOnce) score_waiting();
  }
  score_waiting();
  return array_of(scores);
}

py::array_t<double> per_char(const LanguageModel& model, py::handle value) {
  return array_of(model.surprisals(text("text", value)));
}

// What predicts: a LanguageModel, or a function from contexts (N,T) to log-probabilities (N,V).
NextLogProbs next_log_probs(const py::object& next, int64_t T, int64_t V) {
  return [=](float* out, const int32_t* X, int64_t N) {
    py::array_t<int32_t> contexts({N, T});
    std::copy_n(X, N * T, contexts.mutable_data());
    PyObject* const arguments[] = {contexts.ptr()};
    const FloatArray result = float_input("log_probs(X)", call(next, arguments, 1), {N, V});
    std::copy_n(result.data(), N * V, out);
  };
}

// Tokens of one vocabulary are not those of another.
const LanguageModel& model_of(const py::object& next, const Vocabulary& vocabulary) {
  const auto& model = next.cast<const LanguageModel&>();
  if (!(model.vocabulary() == vocabulary)) {
    throw ArgumentError("vocabulary is not the vocabulary of next");
  }
  return model;
}

void check_callable(const py::object& next) {
  if (!PyCallable_Check(next.ptr())) {
    throw py::type_error("next must be a LanguageModel or a function, not " + type_name(next));
  }
}

}  // namespace

class PySampler {
 public:
  PySampler(const py::object& next, const py::object& vocabulary, const py::object& block_size,
            const SampleOptions& options, std::string_view prefix)
      : vocabulary_(object_of<Vocabulary>("vocabulary", vocabulary)),
        options_(options),
        block_size_(integer("block_size", block_size)) {
    if (is_a<LanguageModel>(next)) {
      sampler_.emplace(model_of(next, vocabulary_), options, prefix);
      return;
    }
    check_callable(next);
    prefix_ = vocabulary_.encode(prefix);
    check_sample_options(options_, std::ssize(prefix_));
    next_ = next_log_probs(next, block_size_, vocabulary_.size());
  }

  py::tuple draw(const py::object& first, const py::object& n, const py::object& threads) const {
    const int64_t first_sample = integer("first", first), count = integer("n", n);
    check_in_range("n", count, 0, kMaxSamplesAtOnce);
    check_in_range("first", first_sample, 0, std::numeric_limits<int64_t>::max() - count);
    const Samples drawn = samples(static_cast<uint64_t>(first_sample), count, threads_of(threads));
    const auto* const endings = reinterpret_cast<const uint8_t*>(drawn.endings.data());
    return py::make_tuple(strings_of(drawn.tokens, drawn.offsets, vocabulary_),
                          array_of(endings, {count}));
  }

 private:
  Samples samples(uint64_t first, int64_t n, int threads) const {
    SignalPoll poll;
    if (!sampler_) {
      return draw_samples(next_, block_size_, vocabulary_.size(), options_, prefix_, first, n, [] {
        if (PyErr_CheckSignals() != 0) throw py::error_already_set();
      });
    }
    const GilRelease release;
    return sampler_->draw(first, n, threads, [&] { poll(); });
  }

  Vocabulary vocabulary_;
  SampleOptions options_;
  int64_t block_size_;
  std::vector<int32_t> prefix_;
  NextLogProbs next_;               // of a model made in Python,
  std::optional<Sampler> sampler_;  // or this
};

namespace {

PySampler make_sampler(const py::object& next, const py::object& vocabulary,
                       const py::object& block_size, const py::object& seed,
                       const py::object& temperature, const py::object& top_k,
                       const py::object& top_p, const py::object& prefix,
                       const py::object& min_length, const py::object& max_length) {
  SampleOptions options;
  options.seed = seed_of("seed", seed);
  options.temperature = number("temperature", temperature);
  if (!top_k.is_none()) {
    options.top_k = integer("top_k", top_k);
    check_at_least("top_k", options.top_k, 1);
  }
  options.top_p = number("top_p", top_p);
  options.min_length = integer("min_length", min_length);
  options.max_length = integer("max_length", max_length);
  return {next, vocabulary, block_size, options, text("prefix", prefix)};
}

py::tuple complete_(const py::object& next, const py::object& vocabulary,
                    const py::object& block_size, const py::object& prefix, const py::object& k,
                    const py::object& max_length) {
  const Vocabulary& of_tokens = object_of<Vocabulary>("vocabulary", vocabulary);
  const std::string_view beginning = text("prefix", prefix);
  const int64_t count = integer("k", k), longest = integer("max_length", max_length);
  Completions result;
  if (is_a<LanguageModel>(next)) {
    const LanguageModel& model = model_of(next, of_tokens);
    SignalPoll poll;
    const GilRelease release;
    result = model.complete(beginning, count, longest, [&] { poll(); });
  } else {
    check_callable(next);
    const int64_t T = integer("block_size", block_size);
    result = complete(next_log_probs(next, T, of_tokens.size()), T, of_tokens.size(),
                      of_tokens.encode(beginning), count, longest, [] {
                        if (PyErr_CheckSignals() != 0) throw py::error_already_set();
                      });
  }
  std::vector<int32_t> tokens;
  std::vector<int64_t> offsets{0};
  for (const Completion& completion : result.found) {
    tokens.insert(tokens.end(), completion.tokens.begin(), completion.tokens.end());
    offsets.push_back(std::ssize(tokens));
  }
  const py::list texts = strings_of(tokens, offsets, of_tokens);
  py::list found;
  for (size_t i = 0; i < result.found.size(); ++i) {
    found.append(py::make_tuple(texts[i], result.found[i].log_prob));
  }
  return py::make_tuple(found, result.gave_up);
}

}  // namespace

void bind_language_model(py::module_& m) {
  auto language_model =
      class_of<LanguageModel>(m, "LanguageModel", R"(A trained model that no longer changes.

Any number of threads may use one object.

Parameters
----------
saved : SavedModel
    Copied.)");
  def_init(language_model, &make_language_model, "saved"_a);
  language_model
      .def_property_readonly("vocabulary", &LanguageModel::vocabulary, "Text to tokens and back.")
      .def_property_readonly(
          "sizes",
          [](const LanguageModel& model) {
            const auto [T, E, H, V, is_direct] = model.sizes();
            return py::make_tuple(T, E, H, V);
          },
          "T, E, H and V.")
      .def_property_readonly(
          "direct", [](const LanguageModel& model) { return model.sizes().is_direct; },
          "Whether the output layer sees the embeddings, too.")
      .def("log_probs", &log_probs, "X"_a, "threads"_a = py::none(),
           R"(Return the log-probabilities of the token after each context.

Parameters
----------
X : integer array, shape (N,T)
threads : int, optional
    By default the CPUs that this process may use; never changes a bit of the result.

Returns
-------
float32 array, shape (N,V)
    Natural logarithms, the same bits as those of the model that was frozen.

Raises
------
TypeError
    X does not hold integers.
ArgumentError
    X has another shape.
RangeError
    A token is outside the vocabulary.)")
      .def("next", &next, "prefix"_a, R"(Return the probabilities of the token after a prefix.

Returns
-------
float32 array, shape (V,)
    The number of token 0 is the probability that the text ends.

Raises
------
TypeError
    `prefix` is not a str.
ArgumentError
    A character is not in the vocabulary, or is the boundary.)")
      .def("score", &score, "texts"_a, "oov"_a = "error", "threads"_a = py::none(),
           R"(Return the log-probability of each text and its end.

Parameters
----------
texts : iterable of str
oov : {"error", "skip", "-inf"}
    What becomes of tokens that are not in the vocabulary: an error, they are left out as if they
    did not stand there, or the text's score is -inf.
threads : int, optional
    By default the CPUs that this process may use; never changes a bit of the result.

Returns
-------
float64 array, shape (texts,)
    In nats. A text's score is the same bits alone and among others.

Raises
------
TypeError
    `texts` is a str, or holds something else than str.
ArgumentError
    A character is not in the vocabulary, and `oov` is "error"; or `oov` is unknown.)")
      .def("per_char", &per_char, "text"_a, R"(Return how surprising each character and the end is.

Returns
-------
float64 array, shape (len(text) + 1,)
    ``-ln p`` of each character after those before it and, last, of the end, in nats.

Raises
------
TypeError
    `text` is not a str.
ArgumentError
    A character is not in the vocabulary, or is the boundary.)");

  auto sampler = class_of<PySampler>(m, "Sampler", R"(Samples of one model with the same options.

Parameters
----------
next : LanguageModel or function
    Or a function from contexts X (N,T), int32, to log-probabilities (N,V), float32.
vocabulary : Vocabulary
block_size : int
    T.
seed, temperature, top_k, top_p, prefix, min_length, max_length
    See `makemore_cpp.sample`.

Raises
------
TypeError
    An argument is of another type.
ArgumentError
    An option is outside its range, or the prefix is not in the vocabulary.)");
  def_init(sampler, &make_sampler, "next"_a, "vocabulary"_a, "block_size"_a, py::kw_only(),
           "seed"_a = 42, "temperature"_a = 1.0, "top_k"_a = py::none(), "top_p"_a = 1.0,
           "prefix"_a = "", "min_length"_a = 0, "max_length"_a = 100);
  sampler.def("draw", &PySampler::draw, "first"_a, "n"_a, "threads"_a = py::none(),
              R"(Return samples number `first` to ``first + n - 1``.

Returns
-------
texts : list of str
endings : uint8 array, shape (n,)
    How each came to its end: 0 it ended, 1 it was cut at max_length, 2 it may not end yet, but the
    model gives no other token a probability.

Raises
------
ArgumentError
    A number is outside its range, or what the model predicts is not a distribution.)");

  m.def("complete", &complete_, "next"_a, "vocabulary"_a, "block_size"_a, "prefix"_a, "k"_a,
        "max_length"_a = 100, R"(Return the most probable texts that begin with a prefix.

Parameters
----------
next, vocabulary, block_size
    As for `Sampler`.
prefix : str
k : int
    In [1, 1,000,000].
max_length : int
    Characters of the longest text considered.

Returns
-------
found : list of tuple (text, log_prob)
    The k most probable first, or all where there are fewer.
gave_up : bool
    The search became too large; those found are still the most probable.

Raises
------
ArgumentError
    A number is outside its range, a character is not in the vocabulary, or what the model predicts
    is not a distribution.)");
}

}  // namespace makemore::bindings
