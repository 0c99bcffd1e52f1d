// LanguageModel, Sampler and complete for Python; the last two also take models made in Python.
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
  GrowingBuffer<int64_t> lengths;  // in tokens; filled only where they are wanted
};

// Scores texts from any source, some at a time, in memory that does not depend on their number.
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

  // Gives a null the score NaN and the length -1.
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

// Returns the surprisals of many texts in one array, and the place where those of each text begin.
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

// Makes the core's function of a Python function from contexts (N,T) to log-probabilities (N,V).
NextLogProbs next_log_probs(const py::object& next, int64_t T, int64_t V) {
  return [=](float* out, const int32_t* X, int64_t N) {
    py::array_t<int32_t> contexts({N, T});
    std::copy_n(X, N * T, contexts.mutable_data());
    PyObject* const arguments[] = {contexts.ptr()};
    const FloatArray result = float_input("log_probs(X)", call(next, arguments, 1), {N, V});
    std::copy_n(result.data(), N * V, out);
  };
}

// The LanguageModel `next`; throws unless it has this vocabulary.
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
  NextLogProbs next_;               // for a model made in Python
  std::optional<Sampler> sampler_;  // for a LanguageModel
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

void bind_frozen_net(py::module_& m) {
  auto language_model = class_of<LanguageModel>(
      m, "LanguageModel", "See makemore_cpp.LanguageModel; it copies the SavedModel `saved`.");
  def_init(language_model, &make_language_model, "saved"_a);
  language_model.def_property_readonly("vocabulary", &LanguageModel::vocabulary, "The vocabulary.")
      .def_property_readonly(
          "sizes",
          [](const LanguageModel& model) {
            const auto [T, E, H, V, is_direct] = model.sizes();
            return py::make_tuple(T, E, H, V);
          },
          "T, E, H and V.")
      .def_property_readonly(
          "direct", [](const LanguageModel& model) { return model.sizes().is_direct; },
          "Whether there are direct connections from the embeddings to the output layer.")
      .def("log_probs", &log_probs, "X"_a, "threads"_a = py::none(),
           "See makemore_cpp.LanguageModel.log_probs.")
      .def("next", &next, "prefix"_a, "See makemore_cpp.text.next_probs.")
      .def("score", &score, "texts"_a, "oov"_a = "error", "threads"_a = py::none(),
           "See makemore_cpp.text.score.")
      .def("score_and_length", &score_and_length, "texts"_a, "oov"_a = "error",
           "threads"_a = py::none(), "See makemore_cpp.text.scoring.score_and_length.")
      .def("per_char", &per_char, "text"_a, "See makemore_cpp.text.per_char.");
}

void bind_sampler(py::module_& m) {
  auto sampler =
      class_of<PySampler>(m, "Sampler", R"(Draws samples of one model with the same options.

Parameters
----------
next : LanguageModel or function
    The function takes contexts X (N,T), int32, and returns log-probabilities (N,V), float32.
vocabulary : Vocabulary
block_size : int
    T, the number of tokens in a context.
seed, temperature, top_k, top_p, prefix, min_length, max_length
    The options of `makemore_cpp.text.sample`, which also says what raises an error.)");
  def_init(sampler, &make_sampler, "next"_a, "vocabulary"_a, "block_size"_a, py::kw_only(),
           "seed"_a = 42, "temperature"_a = 1.0, "top_k"_a = py::none(), "top_p"_a = 1.0,
           "prefix"_a = "", "min_length"_a = 0, "max_length"_a = 100);
  sampler.def("draw", &PySampler::draw, "first"_a, "n"_a, "threads"_a = py::none(),
              R"(Return samples number `first` to ``first + n - 1``.

Returns
-------
texts : TextColumn
endings : uint8 array, shape (n,)
    How each text ended: 0 the model drew the boundary; 1 the text reached max_length; 2 it may not
    end yet, but the model gives no other token a probability.

Raises
------
ArgumentError
    A number is outside its range, or a prediction of the model is not a distribution.)");
}

}  // namespace

void bind_language_model(py::module_& m) {
  bind_frozen_net(m);
  bind_sampler(m);
  m.def("complete", &complete_, "next"_a, "vocabulary"_a, "block_size"_a, "prefix"_a, "k"_a,
        "max_length"_a = 100,
        R"(See makemore_cpp.text.complete; next, vocabulary and block_size are those of `Sampler`.

Returns
-------
found : list of tuple (text, log_prob)
    The most probable first.
gave_up : bool
    Whether the search became too large; the texts found are still the most probable.)");
}

}  // namespace makemore::bindings
