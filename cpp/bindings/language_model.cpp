// LanguageModel, Sampler and complete for Python; the latter two also ask models made in Python.
#include "makemore/language_model.hpp"

#include <algorithm>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "arrays.hpp"
#include "arrow.hpp"
#include "base/check.hpp"
#include "base/utf8.hpp"
#include "bindings.hpp"
#include "classes.hpp"
#include "gil.hpp"
#include "makemore/error.hpp"
#include "scalars.hpp"
#include "signal_poll.hpp"
#include "strings.hpp"
#include "text/token_batch.hpp"

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

struct Scored {
  GrowingBuffer<double> scores;
  GrowingBuffer<int64_t> lengths;  // in tokens, where they are asked for
};

// Scores texts of all sorts, some at a time, in memory that does not depend on their number.
class Scoring {
 public:
  Scoring(const LanguageModel& model, const py::object& oov, const py::object& threads,
          bool with_lengths)
      : model_(model),
        unknown_(unknown_of(oov)),
        threads_(threads_of(threads)),
        with_lengths_(with_lengths) {}

  Scored score(const py::object& texts) {
    if (PyUnicode_Check(texts.ptr())) {
      throw py::type_error("texts must be an iterable of str, not one str");
    }
    if (auto source = ArrowSource::of("texts", texts)) {
      score_arrow(*source);
    } else {
      score_strings(texts);
    }
    return std::move(scored_);
  }

 private:
  void score_strings(const py::object& texts) {
    constexpr int64_t kTokensAtOnce = 1 << 18;
    std::vector<int32_t> tokens;
    std::vector<int64_t> offsets{0};
    const auto score_waiting = [&] {
      const GilRelease release;
      score_tokens(tokens, offsets);
      tokens.clear();
      offsets.resize(1);
    };
    Elements elements("texts", texts);
    while (elements.next()) {
      append_tokens(tokens, model_.vocabulary(), elements.value(), unknown_, [&] {
        return "texts[" + std::to_string(scored_.scores.size() + std::ssize(offsets) - 1) + "]";
      });
      offsets.push_back(std::ssize(tokens));
      if (std::ssize(tokens) + std::ssize(offsets) > kTokensAtOnce) score_waiting();
    }
    score_waiting();
  }

  // The score of a null is no number, and its length -1.
  void score_arrow(ArrowSource& source) {
    TokenBatch batch;
    const GilRelease release;
    for (auto texts = source.next(); !texts.empty(); texts = source.next()) {
      const int64_t first = scored_.scores.size();
      batch.encode(model_.vocabulary(), texts, unknown_, threads_, first);
      score_tokens(batch.tokens(), batch.offsets());
      for (int64_t i = 0; i < std::ssize(texts); ++i) {
        if (texts[static_cast<size_t>(i)].data() != nullptr) continue;
        scored_.scores[first + i] = std::numeric_limits<double>::quiet_NaN();
        if (with_lengths_) scored_.lengths[first + i] = -1;
      }
    }
  }

  void score_tokens(std::span<const int32_t> tokens, std::span<const int64_t> offsets) {
    const int64_t n = std::ssize(offsets) - 1;
    model_.score_tokens(scored_.scores.grow(n), tokens, offsets, threads_, [this] { poll_(); });
    if (!with_lengths_) return;
    int64_t* const lengths = scored_.lengths.grow(n);
    for (int64_t i = 0; i < n; ++i) {
      const auto at = static_cast<size_t>(i);
      lengths[i] = offsets[at + 1] - offsets[at];
    }
  }

  const LanguageModel& model_;
  Unknown unknown_;
  int threads_;
  bool with_lengths_;
  SignalPoll poll_;
  Scored scored_;
};

py::array_t<double> score(const LanguageModel& model, const py::object& texts,
                          const py::object& oov, const py::object& threads) {
  Scored scored = Scoring(model, oov, threads, false).score(texts);
  return array_of(scored.scores);
}

py::tuple score_and_length(const LanguageModel& model, const py::object& texts,
                           const py::object& oov, const py::object& threads) {
  Scored scored = Scoring(model, oov, threads, true).score(texts);
  return py::make_tuple(array_of(scored.scores), array_of(scored.lengths));
}

// The surprisals of many texts in one array, and where those of each begin.
py::tuple surprisals_of(const LanguageModel& model, ArrowSource& source) {
  GrowingBuffer<double> surprisals;
  GrowingBuffer<int64_t> begins;
  *begins.grow(1) = 0;
  SignalPoll poll;
  {
    TokenBatch batch;
    const GilRelease release;
    for (auto texts = source.next(); !texts.empty(); texts = source.next()) {
      const int64_t first = begins.size() - 1, before = surprisals.size(), n = std::ssize(texts);
      for (int64_t i = 0; i < n; ++i) {
        if (texts[static_cast<size_t>(i)].data() != nullptr) continue;
        throw ArgumentError("texts[" + std::to_string(first + i) + "] is null");
      }
      batch.encode(model.vocabulary(), texts, Unknown::error, 0, first);
      const auto offsets = batch.offsets();
      model.surprisals(surprisals.grow(std::ssize(batch.tokens()) + n), batch.tokens(), offsets, 0,
                       [&] { poll(); });
      int64_t* const next = begins.grow(n);
      for (int64_t i = 0; i < n; ++i)
        next[i] = before + offsets[static_cast<size_t>(i) + 1] + i + 1;
    }
  }
  return py::make_tuple(array_of(surprisals), array_of(begins));
}

py::object per_char(const LanguageModel& model, const py::object& value) {
  if (!PyUnicode_Check(value.ptr())) {
    if (auto source = ArrowSource::of("texts", value)) return surprisals_of(model, *source);
  }
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
    PyTextColumn column;
    column.texts->append(vocabulary_, drawn.tokens, drawn.offsets);
    return py::make_tuple(std::move(column), array_of(endings, {count}));
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
  TextColumn texts;
  for (const Completion& completion : result.found)
    texts.append(of_tokens.decode(completion.tokens));
  const py::list strings = strings_of(texts);
  py::list found;
  for (size_t i = 0; i < result.found.size(); ++i) {
    found.append(py::make_tuple(strings[i], result.found[i].log_prob));
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
texts : iterable of str, or object with __arrow_c_array__ or __arrow_c_stream__
oov : {"error", "skip", "-inf"}
    What becomes of tokens that are not in the vocabulary: an error, they are left out as if they
    did not stand there, or the text's score is -inf.
threads : int, optional
    By default the CPUs that this process may use; never changes a bit of the result.

Returns
-------
float64 array, shape (texts,)
    In nats. A text's score is the same bits alone and among others; that of a null is NaN.

Raises
------
TypeError
    `texts` is a str, or holds something else than str.
ArgumentError
    A character is not in the vocabulary, and `oov` is "error"; or `oov` is unknown.)")
      .def("score_and_length", &score_and_length, "texts"_a, "oov"_a = "error",
           "threads"_a = py::none(), R"(Return what `score` does, and the tokens of each text.

Returns
-------
scores : float64 array, shape (texts,)
lengths : int64 array, shape (texts,)
    Without those that `oov` skips; -1 for a null.)")
      .def("per_char", &per_char, "text"_a, R"(Return how surprising each character and the end is.

Parameters
----------
text : str, or object with __arrow_c_array__ or __arrow_c_stream__

Returns
-------
float64 array, shape (len(text) + 1,)
    ``-ln p`` of each character after those before it and, last, of the end, in nats. For an Arrow
    array these of all its texts, and an int64 array (texts + 1,): where those of each begin.

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
texts : TextColumn
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
