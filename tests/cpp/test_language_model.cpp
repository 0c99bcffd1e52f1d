// The frozen model without Python: it is compared with the forward pass and plain definitions,
// before and after its table is made, alone and in batches, from many threads at once.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <thread>

#include "check.hpp"
#include "makemore/error.hpp"
#include "makemore/forward.hpp"
#include "makemore/language_model.hpp"
#include "makemore/random.hpp"
#include "net/frozen_net.hpp"
#include "net/token_choice.hpp"

using namespace makemore;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

Vocabulary letters(int64_t vocab_size) {
  std::vector<std::string> characters;
  for (int64_t v = 1; v < vocab_size; ++v) {
    // The characters run on from "a", then from U+4E00, of three bytes each.
    const int64_t code = v <= 26 ? 'a' + v - 1 : 0x4E00 + v;
    std::string character(1, static_cast<char>(code));
    if (v > 26) {
      character = {static_cast<char>(0xE0 | code >> 12), static_cast<char>(0x80 | (code >> 6 & 63)),
                   static_cast<char>(0x80 | (code & 63))};
    }
    characters.push_back(character);
  }
  return Vocabulary(characters);
}

SavedModel model_of(const Sizes& sizes) {
  SavedModel model{sizes, letters(sizes.vocab_size), ParameterArrays(sizes), {}};
  initial_parameters(model.parameters.view(), sizes, 7, Init::scaled);
  for (float& w : model.parameters.W2) w *= 30;  // far from uniform
  model.parameters.b2[0] = 1;                    // texts of a few characters
  return model;
}

// The lecture's model; one without a table; one with one token of context; one with so many tokens
// that it goes through them by tiles; one whose embeddings are not folded into W1.
const Sizes kLecture{3, 10, 40, 27}, kLong{8, 6, 24, 27}, kBigram{1, 3, 17, 5},
    kTiled{2, 3, 20, 1003}, kUnfolded{2, 1, 300, 30000};

int64_t word(int64_t i, int64_t below) {
  return static_cast<int64_t>(RandomStream(5, Purpose::batch, 1).word64(static_cast<uint64_t>(i)) %
                              static_cast<uint64_t>(below));
}

// n texts of 0 to 11 tokens, and their offsets.
struct Texts {
  std::vector<int32_t> tokens;
  std::vector<int64_t> offsets{0};
  Texts(int64_t n, int64_t V) {
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = word(i, 12); j > 0; --j) {
        // The square makes some tokens, and so some contexts, much more frequent.
        const int64_t r = word(1000 + 13 * i + j, 1000);
        tokens.push_back(static_cast<int32_t>(1 + r * r * (V - 1) / 1'000'000));
      }
      offsets.push_back(std::ssize(tokens));
    }
  }
  int64_t count() const { return std::ssize(offsets) - 1; }
  std::span<const int32_t> text(int64_t i) const {
    const auto begin = static_cast<size_t>(offsets[static_cast<size_t>(i)]);
    return std::span(tokens).subspan(
        begin, static_cast<size_t>(offsets[static_cast<size_t>(i) + 1]) - begin);
  }
};

// The scores by definition: contexts one by one through the forward pass.
std::vector<float> log_probs_of(const SavedModel& model, std::span<const int32_t> tokens) {
  const auto [T, E, H, V, is_direct] = model.sizes;
  std::vector<int32_t> X;
  for (int64_t i = 0; i <= std::ssize(tokens); ++i) {
    for (int64_t t = i - T; t < i; ++t) X.push_back(t < 0 ? 0 : tokens[static_cast<size_t>(t)]);
  }
  std::vector<float> all((tokens.size() + 1) * static_cast<size_t>(V)), log_p;
  log_probs(all.data(), model.sizes, model.parameters.view(), X.data(), std::ssize(tokens) + 1);
  for (size_t i = 0; i <= tokens.size(); ++i) {
    const int32_t y = i < tokens.size() ? tokens[i] : 0;
    log_p.push_back(all[i * static_cast<size_t>(V) + static_cast<size_t>(y)]);
  }
  return log_p;
}

double sum(const std::vector<float>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

std::vector<double> scores(const LanguageModel& model, const Texts& texts, int threads) {
  std::vector<double> out(static_cast<size_t>(texts.count()));
  model.score_tokens(out.data(), texts.tokens, texts.offsets, threads);
  return out;
}

// Asks for so many contexts that the table is made, where there can be one.
void make_table(const LanguageModel& model) {
  const Texts many(4000, model.sizes().vocab_size);
  for (int i = 0; i < 2; ++i) scores(model, many, 2);
}

NextLogProbs forward_of(const SavedModel& model) {
  return [&model](float* out, const int32_t* X, int64_t N) {
    log_probs(out, model.sizes, model.parameters.view(), X, N);
  };
}

bool same(const Samples& a, const Samples& b) {
  return a.tokens == b.tokens && a.offsets == b.offsets && a.endings == b.endings;
}

// One sample by definition.
std::vector<int32_t> drawn_by_definition(const SavedModel& model, const SampleOptions& options,
                                         std::vector<int32_t> text, uint64_t sample) {
  const auto [T, E, H, V, is_direct] = model.sizes;
  for (int64_t position = std::ssize(text);; ++position) {
    std::vector<int32_t> X;
    for (int64_t t = position - T; t < position; ++t) {
      X.push_back(t < 0 ? 0 : text[static_cast<size_t>(t)]);
    }
    std::vector<float> log_p(static_cast<size_t>(V));
    log_probs(log_p.data(), model.sizes, model.parameters.view(), X.data(), 1);
    if (position < options.min_length) log_p[0] = -std::numeric_limits<float>::infinity();
    std::vector<size_t> order(log_p.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return log_p[a] > log_p[b]; });
    const double max = log_p[order[0]];
    std::vector<double> weight(log_p.size());
    for (size_t v = 0; v < log_p.size(); ++v) {
      weight[v] = options.temperature == 1  ? std::exp(double{log_p[v]})
                  : options.temperature > 0 ? std::exp((log_p[v] - max) / options.temperature)
                                            : v == order[0];
    }
    if (options.top_k > 0) {
      for (size_t i = static_cast<size_t>(options.top_k); i < order.size(); ++i) {
        weight[order[i]] = 0;
      }
    }
    double total = 0, before = 0;
    for (const size_t v : order) total += weight[v];
    if (options.top_p < 1) {
      for (const size_t v : order) {
        const bool is_needed = before < options.top_p * total;
        before += weight[v];
        if (!is_needed) weight[v] = 0;
      }
    }
    total = std::accumulate(weight.begin(), weight.end(), 0.0);
    const double u = sample_uniform(options.seed, sample, static_cast<uint64_t>(position));
    double cumulative = 0;
    int32_t token = 0;
    for (size_t v = 0; v < weight.size(); ++v) {
      cumulative += weight[v];
      if (cumulative > u * total) {
        token = static_cast<int32_t>(v);
        break;
      }
    }
    if (token == 0 || position == options.max_length) return text;
    text.push_back(token);
  }
}

std::vector<SampleOptions> many_options() {
  std::vector<SampleOptions> all(8);
  all[1].temperature = 0.5;
  all[2].temperature = 0;
  all[2].max_length = 9;
  all[3].top_k = 3;
  all[4].top_p = 0.6;
  all[5].min_length = 5;
  all[6].max_length = 2;
  all[7].temperature = 2;
  all[7].top_k = 10;
  all[7].top_p = 0.8;
  all[7].min_length = 2;
  all[7].max_length = 6;
  all[7].seed = ~uint64_t{0};
  return all;
}

}  // namespace

TEST_CASE("log-probabilities are the bits of the forward pass, before and after the table") {
  for (const Sizes& sizes : {kLecture, kLong, kBigram, kTiled, kUnfolded}) {
    const SavedModel saved = model_of(sizes);
    const LanguageModel model(saved);
    // With many tokens there are several panels of contexts.
    const int64_t T = sizes.block_size, V = sizes.vocab_size, N = V > 1000 ? 150 : 700;
    std::vector<int32_t> X;
    for (int64_t i = 0; i < N * T; ++i) X.push_back(static_cast<int32_t>(word(i, V)));
    std::vector<float> wanted(static_cast<size_t>(N * V)), got(wanted.size());
    log_probs(wanted.data(), sizes, saved.parameters.view(), X.data(), N);
    for (const int threads : {1, 2, 7}) {
      std::fill(got.begin(), got.end(), 0.0f);
      model.log_probs(got.data(), X.data(), N, threads);
      EXPECT(got == wanted);
    }
    for (const int64_t n : {1, 3, 5}) {
      for (int64_t i = 0; i + n <= N; i += 37) {
        model.log_probs(got.data(), X.data() + i * T, n, 1);
        EXPECT(std::equal(got.begin(), got.begin() + n * V, wanted.begin() + i * V));
      }
    }
    if (V <= 1000) make_table(model);
    model.log_probs(got.data(), X.data(), N, 2);
    EXPECT(got == wanted);
  }
}

TEST_CASE("a net with few contexts has a table after heavy use, and no other has") {
  const SavedModel saved = model_of(kLecture), long_saved = model_of(kLong);
  const FrozenNet net(kLecture, saved.parameters.view());
  const FrozenNet untabled(kLong, long_saved.parameters.view());
  EXPECT(net.contexts() == 27 * 27 * 27 && untabled.contexts() == 0);
  EXPECT(net.table(27 * 27 * 27 - 1, 2, {}) == nullptr);
  const float* const table = net.table(1, 2, {});
  EXPECT(table != nullptr && net.table(0, 1, {}) == table);
  EXPECT(untabled.table(1 << 30, 2, {}) == nullptr);
  const int32_t context[] = {1, 0, 26};
  EXPECT(net.number_of(context) == 1 * 27 * 27 + 26);
}

TEST_CASE("next gives the exponentials of log-probabilities, whatever the table") {
  for (const Sizes& sizes : {kLecture, kLong, kBigram, kTiled}) {
    const SavedModel saved = model_of(sizes);
    const LanguageModel model(saved);
    const std::string prefix = sizes.vocab_size > 5 ? "emmapq" : "abcd";
    const std::vector<float> before = model.next(prefix);
    if (sizes.vocab_size <= 1000) make_table(model);
    EXPECT(model.next(prefix) == before);
    EXPECT(std::abs(std::accumulate(before.begin(), before.end(), 0.0) - 1) < 1e-5);
    const std::vector<int32_t> tokens = model.vocabulary().encode(prefix);
    const double log_p = log_probs_of(saved, tokens).back();
    EXPECT(std::abs(std::log(double{before[0]}) - log_p) < 1e-6);
  }
}

TEST_CASE("a score is the sum of log-probabilities, alone and among others") {
  for (const Sizes& sizes : {kLecture, kLong, kBigram, kTiled, kUnfolded}) {
    const SavedModel saved = model_of(sizes);
    const LanguageModel model(saved);
    const bool are_many = sizes.vocab_size > 1000;
    const Texts texts(!are_many ? 3000 : sizes.vocab_size > 10'000 ? 4 : 300, sizes.vocab_size);
    std::vector<double> wanted;
    for (int64_t i = 0; i < texts.count(); ++i) {
      wanted.push_back(sum(log_probs_of(saved, texts.text(i))));
    }
    for (const int threads : {1, 2, 7}) {
      const LanguageModel fresh(saved);
      EXPECT(scores(fresh, texts, threads) == wanted);  // with no table
      EXPECT(scores(model, texts, threads) == wanted);  // later with
    }
    for (int64_t i = 0; i < std::min<int64_t>(texts.count(), 50); ++i) {
      const std::string text = model.vocabulary().decode(texts.text(i));
      const std::vector<std::string> alone{text};
      EXPECT(model.score(alone)[0] == wanted[static_cast<size_t>(i)]);
      const std::vector<double> parts = model.surprisals(text);
      EXPECT(-std::accumulate(parts.begin(), parts.end(), -0.0) == wanted[static_cast<size_t>(i)]);
    }
  }
}

TEST_CASE("a text longer than any window has its score") {
  const SavedModel saved = model_of(kLong);
  std::vector<int32_t> tokens;
  for (int64_t i = 0; i < 300'000; ++i) tokens.push_back(static_cast<int32_t>(1 + word(i, 26)));
  const int64_t offsets[] = {0, 0, 300'000, 300'000};
  double got[3];
  LanguageModel(saved).score_tokens(got, tokens, offsets, 2);
  EXPECT(got[1] == sum(log_probs_of(saved, tokens)));
  EXPECT(got[0] == got[2] && got[0] == sum(log_probs_of(saved, {})));
}

TEST_CASE("unknown characters are an error, left out, or make a text impossible") {
  const LanguageModel model(model_of(kLecture));
  const std::vector<std::string> texts{"emma", "e-m.ma", "", "-"};
  const std::vector<double> skipped = model.score(texts, Unknown::skip);
  EXPECT(skipped[1] == skipped[0] && skipped[3] == skipped[2]);
  for (int heavy = 0; heavy < 2; ++heavy) {
    const std::vector<double> marked = model.score(texts, Unknown::mark);
    EXPECT(marked[0] == skipped[0] && marked[1] == -kInfinity && marked[3] == -kInfinity);
    EXPECT(marked[2] == skipped[2]);
    make_table(model);
  }
  EXPECT_THROWS(model.score(texts), ArgumentError, "texts[1]: the character '-' at position 1");
  const std::vector<std::string> broken{"\xff"};
  EXPECT_THROWS(model.score(broken, Unknown::mark), ArgumentError, "not valid UTF-8");
}

TEST_CASE("samples follow the definition, whatever their number, the threads and the table") {
  for (const Sizes& sizes : {kLecture, kLong, kBigram}) {
    const SavedModel saved = model_of(sizes);
    const LanguageModel model(saved);
    for (const SampleOptions& options : many_options()) {
      for (const std::string prefix : {"", "ab"}) {
        const std::vector<int32_t> beginning = model.vocabulary().encode(prefix);
        const Sampler sampler(model, options, prefix);
        const Samples few = sampler.draw(0, 40, 1);
        for (int64_t i = 0; i < 40; ++i) {
          const auto begin = few.tokens.begin() + few.offsets[static_cast<size_t>(i)];
          const auto end = few.tokens.begin() + few.offsets[static_cast<size_t>(i) + 1];
          EXPECT(std::vector(begin, end) ==
                 drawn_by_definition(saved, options, beginning, static_cast<uint64_t>(i)));
        }
        EXPECT(same(few, draw_samples(forward_of(saved), sizes.block_size, sizes.vocab_size,
                                      options, beginning, 0, 40)));
        const Samples many = sampler.draw(0, 5000, 2);  // by the table, where there is one
        EXPECT(same(sampler.draw(0, 40, 2), few));
        EXPECT(std::equal(few.tokens.begin(), few.tokens.end(), many.tokens.begin()));
        EXPECT(std::equal(few.offsets.begin(), few.offsets.end(), many.offsets.begin()));
        EXPECT(same(Sampler(LanguageModel(saved), options, prefix).draw(0, 5000, 7), many));
        const Samples later = sampler.draw(4990, 10, 1);
        EXPECT(std::equal(later.tokens.begin(), later.tokens.end(),
                          many.tokens.begin() + many.offsets[4990]));
      }
    }
  }
}

TEST_CASE("of equal tokens the lower ones are kept, no more than needed, and chosen exactly") {
  const std::vector<float> even(4, std::log(0.25f));
  SampleOptions options;
  options.temperature = 2;  // gives each the weight 1
  const auto cumulative = [&] {
    std::vector<double> sums(4);
    EXPECT(TokenChoice(4, options.temperature, options.top_k, options.top_p)
               .cumulate(sums.data(), even.data(), true));
    return sums;
  };
  EXPECT((cumulative() == std::vector<double>{1, 2, 3, 4}));
  EXPECT(choose_token(cumulative().data(), 4, 0.5) == 2);
  EXPECT(choose_token(cumulative().data(), 4, std::nextafter(0.5, 0)) == 1);
  EXPECT(choose_token(cumulative().data(), 4, std::nextafter(1.0, 0)) == 3);
  std::vector<double> many(200);  // found by searching instead of counting
  std::iota(many.begin(), many.end(), 1.0);
  EXPECT(choose_token(many.data(), 200, 0.5) == 100 && choose_token(many.data(), 200, 0) == 0);
  options.top_p = 0.5;
  EXPECT((cumulative() == std::vector<double>{1, 2, 2, 2}));
  EXPECT(choose_token(cumulative().data(), 4, std::nextafter(1.0, 0)) == 1);
  options.top_p = 1;
  options.top_k = 3;
  EXPECT((cumulative() == std::vector<double>{1, 2, 3, 3}));
}

TEST_CASE("the strings of a sample are those of its tokens, and cut ones say so") {
  const LanguageModel model(model_of(kLecture));
  SampleOptions options;
  options.max_length = 3;
  const std::vector<Sample> samples = model.sample(100, options);
  const Samples tokens = Sampler(model, options).draw(0, 100);
  bool any_cut = false, any_whole = false;
  for (size_t i = 0; i < 100; ++i) {
    EXPECT(std::ssize(samples[i].text) == tokens.offsets[i + 1] - tokens.offsets[i]);
    EXPECT(samples[i].ending == tokens.endings[i]);
    any_cut |= samples[i].ending == Ending::cut;
    any_whole |= samples[i].ending == Ending::end;
  }
  EXPECT(any_cut && any_whole);
}

TEST_CASE("a text that may not end and cannot go on is stuck; what is no distribution is refused") {
  const NextLogProbs only_end = [](float* out, const int32_t*, int64_t N) {
    for (int64_t i = 0; i < N; ++i) {
      out[2 * i] = 0;
      out[2 * i + 1] = -std::numeric_limits<float>::infinity();
    }
  };
  SampleOptions options;
  EXPECT(draw_samples(only_end, 1, 2, options, {}, 0, 2).endings[1] == Ending::end);
  for (const double temperature : {1.0, 0.5, 0.0}) {
    options.temperature = temperature;
    options.min_length = 1;
    const Samples stuck = draw_samples(only_end, 1, 2, options, {}, 0, 2);
    EXPECT(stuck.endings[0] == Ending::stuck && stuck.tokens.empty());
  }
  for (const float bad : {std::nanf(""), 0.0f, -HUGE_VALF}) {
    const NextLogProbs none = [bad](float* out, const int32_t*, int64_t N) {
      std::fill_n(out, 3 * N, bad);
    };
    EXPECT_THROWS(draw_samples(none, 1, 3, {}, {}, 5, 2), ArgumentError, "position 0 of sample 5");
    EXPECT_THROWS(complete(none, 1, 3, {}, 1, 9), ArgumentError, "is not the logarithm");
  }
}

TEST_CASE("completions are the most probable of all texts") {
  for (const Sizes& sizes : {Sizes{3, 4, 12, 4}, Sizes{1, 3, 9, 4}}) {
    const SavedModel saved = model_of(sizes);
    const LanguageModel model(saved);
    for (const std::string prefix : {"", "b", "ca"}) {
      const std::vector<int32_t> beginning = model.vocabulary().encode(prefix);
      std::vector<std::pair<double, std::vector<int32_t>>> all;
      std::vector<std::vector<int32_t>> waiting{beginning};
      while (!waiting.empty()) {
        const std::vector<int32_t> text = waiting.back();
        waiting.pop_back();
        all.emplace_back(sum(log_probs_of(saved, text)), text);
        for (int32_t token = 1; token < 4 && text.size() < 5; ++token) {
          waiting.push_back(text);
          waiting.back().push_back(token);
        }
      }
      std::sort(all.rbegin(), all.rend());
      for (const int64_t k : {1, 7, 1000}) {
        const Completions got = model.complete(prefix, k, 5);
        EXPECT(!got.gave_up && std::ssize(got.found) == std::min(k, std::ssize(all)));
        for (size_t i = 0; i < got.found.size(); ++i) {
          EXPECT(got.found[i].log_prob == all[i].first);  // where two are equal, in any order
          const std::pair found{got.found[i].log_prob, got.found[i].tokens};
          EXPECT(std::find(all.begin(), all.end(), found) != all.end());
          for (size_t j = 0; j < i; ++j) EXPECT(got.found[j].tokens != got.found[i].tokens);
        }
      }
    }
  }
}

TEST_CASE("a search that would never end gives up with the best so far") {
  // Every character is more probable than the end, so that texts never want to end.
  const NextLogProbs endless = [](float* out, const int32_t*, int64_t) {
    out[0] = std::log(1e-9f);
    out[1] = out[2] = std::log(0.5f);
  };
  const Completions got = complete(endless, 1, 3, {}, 3, 1000);
  EXPECT(got.gave_up && got.found.size() < 3);
}

TEST_CASE("options and tokens out of range are refused with their names") {
  const LanguageModel model(model_of(kLecture));
  const auto with = [&](auto change) {
    SampleOptions options;
    change(options);
    return model.sample(1, options, "emma");
  };
  EXPECT_THROWS(with([](auto& o) { o.temperature = -1; }), ArgumentError, "temperature is -1");
  EXPECT_THROWS(with([](auto& o) { o.temperature = NAN; }), ArgumentError, "temperature is nan");
  EXPECT_THROWS(with([](auto& o) { o.temperature = kInfinity; }), ArgumentError, "temperature");
  EXPECT_THROWS(with([](auto& o) { o.top_k = -1; }), ArgumentError, "top_k");
  EXPECT_THROWS(with([](auto& o) { o.top_p = 0; }), ArgumentError, "top_p is 0");
  EXPECT_THROWS(with([](auto& o) { o.top_p = 1.5; }), ArgumentError, "top_p is 1.5");
  EXPECT_THROWS(with([](auto& o) { o.min_length = 101; }), ArgumentError, "min_length");
  EXPECT_THROWS(with([](auto& o) { o.max_length = 0; }), ArgumentError, "max_length");
  EXPECT_THROWS(with([](auto& o) { o.max_length = 3; }), ArgumentError, "prefix has 4 tokens");
  EXPECT_THROWS(model.sample(-1), ArgumentError, "n = -1");
  EXPECT_THROWS(model.sample(1, {}, "e-"), ArgumentError, "'-' at position 1");
  EXPECT_THROWS(model.complete("", 0), ArgumentError, "k = 0");
  EXPECT_THROWS(model.complete("emma", 1, 3), ArgumentError, "prefix has 4 tokens");
  EXPECT_THROWS(model.next("."), ArgumentError, "boundary");
  EXPECT_THROWS(model.surprisals("\xff"), ArgumentError, "UTF-8");
  double out[2];
  const int32_t tokens[] = {1, 27};
  const int64_t good[] = {0, 1, 2}, falling[] = {0, 2, 1}, short_of[] = {0, 1};
  EXPECT_THROWS(model.score_tokens(out, tokens, good), RangeError, "token 27 at tokens[1]");
  EXPECT_THROWS(model.score_tokens(out, tokens, falling), ArgumentError, "offsets");
  EXPECT_THROWS(model.score_tokens(out, tokens, short_of), ArgumentError, "offsets");
  float row[27];
  const int32_t X[] = {0, -1, 0};
  EXPECT_THROWS(model.log_probs(row, X, 1), RangeError, "token -1 at X[0, 1]");
  SavedModel broken = model_of(kLecture);
  broken.parameters.W2[3] = NAN;
  EXPECT_THROWS(LanguageModel{broken}, ArgumentError, "W2");
}

TEST_CASE("any number of threads get what one gets, from the first call on") {
  for (const Sizes& sizes : {kLecture, kLong}) {
    const SavedModel saved = model_of(sizes);
    const Texts texts(2000, 27);
    const LanguageModel quiet(saved);
    const std::vector<double> wanted_scores = scores(quiet, texts, 1);
    const std::vector<float> wanted_next = quiet.next("emm");
    const Samples wanted_samples = Sampler(quiet, {}, "").draw(0, 3000, 1);
    const Completions wanted_best = quiet.complete("a", 5);
    for (int round = 0; round < 3; ++round) {
      const LanguageModel shared(saved);  // makes its table while all of them ask
      const Sampler sampler(shared, {}, "");
      std::vector<int> wrong(8);
      std::vector<std::thread> threads;
      for (int who = 0; who < 8; ++who) {
        threads.emplace_back([&, who] {
          int& mine = wrong[static_cast<size_t>(who)];
          for (int call = 0; call < 8; ++call) {
            const int count = 1 + who % 2;
            switch ((who + call) % 4) {
              case 0:
                mine += scores(shared, texts, count) != wanted_scores;
                break;
              case 1:
                mine += shared.next("emm") != wanted_next;
                break;
              case 2:
                mine += !same(sampler.draw(0, 3000, count), wanted_samples);
                break;
              default:
                mine += shared.complete("a", 5).found[4].log_prob != wanted_best.found[4].log_prob;
            }
          }
        });
      }
      for (std::thread& thread : threads) thread.join();
      EXPECT(std::accumulate(wrong.begin(), wrong.end(), 0) == 0);
    }
  }
}

int main() { return check::run(); }
