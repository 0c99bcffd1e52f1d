// A mutation fuzzer for every function that reads untrusted bytes: fuzz [executions] [seed].
//
// The same seed gives the same bytes.  A sanitizer finds what must not happen; the checks here find
// what must not be accepted.  A new target is a function over bytes and a line in `targets`.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "base/utf8.hpp"
#include "files/json.hpp"
#include "files/sha256.hpp"
#include "files/tensor_file.hpp"
#include "makemore/error.hpp"
#include "makemore/model_file.hpp"

namespace json = makemore::json;
using makemore::SavedModel;
using makemore::Vocabulary;

namespace {

[[noreturn]] void fail(const std::string& sentence) {
  std::printf("%s\n", sentence.c_str());
  std::exit(1);
}

void expect(bool ok, const char* sentence) {
  if (!ok) fail(sentence);
}

// -- mutations --

using Random = std::mt19937_64;

size_t below(Random& random, size_t n) { return n == 0 ? 0 : random() % n; }

const std::vector<std::string> kWords = {"{",
                                         "}",
                                         "[",
                                         "]",
                                         "\"",
                                         ":",
                                         ",",
                                         "\\",
                                         "\\u0000",
                                         "\\ud800",
                                         "\\ud83d\\ude00",
                                         "null",
                                         "true",
                                         "-1",
                                         "1.0",
                                         "1e9",
                                         "0",
                                         "00",
                                         "18446744073709551615",
                                         "18446744073709551616",
                                         "NaN",
                                         "\"digest\":\"",
                                         "\"version\":1",
                                         "\"version\":2",
                                         "\"shape\":[",
                                         "\"F32\"",
                                         "\"F64\"",
                                         "\"data_offsets\":[0,0]",
                                         "__metadata__",
                                         "makemore",
                                         "characters",
                                         "tokens",
                                         ",\"separator\":\" \",\"unknown\":null",
                                         "boundary",
                                         "split_seed",
                                         "block_size",
                                         "n_embd",
                                         "n_hidden",
                                         "vocab_size",
                                         std::string(1, '\0'),
                                         std::string(8, '\xFF'),
                                         std::string(4, '\0') + "\x80\x7F",
                                         "\xC0\x80",
                                         "\xED\xA0\x80",
                                         "\xF4\x90\x80\x80",
                                         "\xEF\xBB\xBF",
                                         "\xF0\x9F\x98\x80",
                                         "\xE2\x80\xAE",
                                         std::string("\0\0\xC0\x7F", 4),
                                         std::string("\0\0\x80\x7F", 4),
                                         std::string(300, '['),
                                         std::string(70, '{')};

// Makes one change: a bit, byte or integer changes, or a piece is removed, repeated, inserted or
// moved.
void mutate(std::string& bytes, Random& random, const std::vector<std::string>& seeds) {
  const size_t at = below(random, bytes.size() + 1);
  const size_t length = below(random, std::min<size_t>(64, bytes.size() - at) + 1);
  switch (below(random, 9)) {
    case 0:
      if (at < bytes.size()) bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(random, 8)));
      break;
    case 1:
      if (at < bytes.size()) bytes[at] = static_cast<char>(random());
      break;
    case 2:  // a digit for a digit leaves most texts well formed
      for (size_t i = at; i < bytes.size(); ++i) {
        if (bytes[i] < '0' || bytes[i] > '9') continue;
        bytes[i] = static_cast<char>('0' + below(random, 10));
        break;
      }
      break;
    case 3:
      bytes.erase(at, length);
      break;
    case 4:
      bytes.insert(at, bytes.substr(at, length));
      break;
    case 5:
      bytes.resize(at);
      break;
    case 6:
      bytes.insert(at, kWords[below(random, kWords.size())]);
      break;
    case 7: {  // overwrites as many bytes, so that the rest stays where it is
      const std::string& word = kWords[below(random, kWords.size())];
      if (word.size() <= bytes.size() - at) bytes.replace(at, word.size(), word);
      break;
    }
    default: {  // the beginning of one and the end of another
      const std::string& other = seeds[below(random, seeds.size())];
      bytes = bytes.substr(0, at) + other.substr(below(random, other.size() + 1));
    }
  }
}

// -- targets --

// Each target returns whether it accepted the bytes, which lie in memory of exactly their size, so
// that a sanitizer sees a read past the end.
using Target = bool (*)(std::string_view bytes);

template <typename Error, typename Read>
bool accepts(Read read, const std::string& name) {
  try {
    read();
    return true;
  } catch (const Error& error) {
    const std::string sentence = error.what();
    expect(sentence.find(name) != std::string::npos, "an error does not name what it is about");
    expect(makemore::is_utf8(sentence), "an error's sentence is not UTF-8");
    expect(sentence.find('\n') == std::string::npos, "an error's sentence has more than one line");
    return false;
  }
}

bool read_model(std::string_view bytes) {
  return accepts<makemore::FormatError>(
      [&] {
        const SavedModel model = makemore::model_from_bytes(bytes, "some.file");
        expect(makemore::model_to_bytes(model) == bytes,
               "another file of the same model is accepted");
        for (const auto* array : model.parameters.all()) {
          for (const float value : *array) expect(std::isfinite(value), "NaN is accepted");
        }
      },
      "some.file: ");
}

bool read_tensors(std::string_view bytes) {
  return accepts<makemore::ArgumentError>(
      [&] {
        const makemore::TensorFile file = makemore::tensors_from_bytes(bytes);
        expect(makemore::to_bytes(file) == bytes, "another file of the same arrays is accepted");
        for (const makemore::Tensor& tensor : file.tensors) {
          const bool lies_inside =
              tensor.data.data() >= bytes.data() &&
              tensor.data.data() + tensor.data.size() <= bytes.data() + bytes.size();
          expect(lies_inside, "a tensor lies outside of the file");
        }
      },
      "");
}

// Only a string in the canonical form is accepted, which is the form that writing it gives again.
bool read_json(std::string_view bytes) {
  return accepts<makemore::ArgumentError>(
      [&] {
        json::Reader reader(bytes, "the text");
        std::string again;
        if (reader.accept("[")) {
          again = "[" + std::to_string(reader.integer()) + ",";
          reader.expect(",");
        }
        json::append_string(again, reader.string());
        reader.expect_end();
        expect(again == bytes, "JSON that is not canonical is accepted");
      },
      "the text");
}

bool read_text(std::string_view bytes) {
  static const Vocabulary vocabulary({"a", "b", "\xC3\xA9", "\xF0\x9F\x98\x80", "{", "\""});
  const bool known = accepts<makemore::ArgumentError>(
      [&] {
        expect(vocabulary.decode(vocabulary.encode(bytes)) == bytes, "the text comes back changed");
      },
      " at position ");
  const bool one = accepts<makemore::ArgumentError>(
      [&] {
        const std::vector<std::string> characters = Vocabulary({std::string(bytes)}).tokens();
        expect(characters == std::vector<std::string>{std::string(bytes)},
               "a character is changed");
      },
      "tokens[0]");
  expect(makemore::is_utf8(makemore::show_text(bytes)), "what a sentence shows is not UTF-8");
  expect(makemore::is_utf8(bytes) || !(known || one), "what is not UTF-8 is accepted");
  return known;
}

// -- seeds --

std::string model_bytes(const Vocabulary& vocabulary, int64_t n_hidden,
                        std::optional<makemore::DataOrigin> data) {
  const makemore::Sizes sizes{2, 1, n_hidden, vocabulary.size()};
  SavedModel model{sizes, vocabulary, makemore::ParameterArrays(sizes), data};
  model.parameters.C[0] = 1.5f;
  model.parameters.b1.back() = -1e-30f;
  return makemore::model_to_bytes(model);
}

std::vector<std::string> model_seeds() {
  return {model_bytes(Vocabulary({"a"}), 1, {}),
          model_bytes(Vocabulary({"a", "\xC3\xA9", "\""}), 3, {}),
          model_bytes(Vocabulary({"the", "\xC3\xA9t\xC3\xA9"}, "</s>", " ", "the"), 1, {}),
          model_bytes(Vocabulary({"\n", "\\"}), 2,
                      makemore::DataOrigin{"names.txt", std::string(64, 'a'), 42})};
}

std::vector<std::string> tensor_seeds() {
  const std::vector<float> floats = {1.5f, -2.5f, 0.0f};
  const std::vector<double> doubles = {2.25};
  const std::vector<int64_t> integers = {1, 2, 3, 4};
  using makemore::bytes_of;
  using makemore::Number;
  std::vector<std::string> seeds = model_seeds();
  seeds.push_back(makemore::to_bytes({R"({"format":"x"})", {}}));
  seeds.push_back(
      makemore::to_bytes({R"({"a":[1.5,"\n"]})",
                          {{"doubles", Number::float64, {1}, bytes_of(doubles)},
                           {"\xC3\xA9", Number::float32, {3, 1}, bytes_of(floats)},
                           {"none", Number::uint8, {0}, {}},
                           {"integers", Number::int64, {2, 1, 2}, bytes_of(integers)}}}));
  return seeds;
}

// Gives a file the right digest for its bytes, so that the fuzzer gets past that check.
void sign(std::string& bytes) {
  const std::string before = "\\\"digest\\\":\\\"";
  const size_t place = bytes.find(before);
  if (place == std::string::npos ||
      place + before.size() + makemore::kDigestDigits > bytes.size()) {
    return;
  }
  const auto digest = bytes.begin() + static_cast<long>(place + before.size());
  std::fill_n(digest, makemore::kDigestDigits, '0');
  makemore::Sha256 sha256;
  sha256.update(bytes);
  const std::string digits = sha256.finish();
  std::copy(digits.begin(), digits.end(), digest);
}

const std::vector<std::string> kJson = {R"("")", R"("a\"b\\c\n\u001f\u0000")",
                                        R"([18446744073709551615,"\b\f\r\t")", R"([0,"é😀/")"};
const std::vector<std::string> kTexts = {"", "a", "abba",
                                         "b\xC3\xA9"
                                         "a\xF0\x9F\x98\x80",
                                         "{\"a\"}"};

struct Subject {
  const char* name;
  Target target;
  std::vector<std::string> seeds;
  bool is_signed;
};

void run(const Subject& subject, long executions, uint64_t seed) {
  Random random(seed);
  long accepted = 0;
  for (const std::string& bytes : subject.seeds) subject.target(bytes);
  for (long i = 0; i < executions; ++i) {
    std::string bytes = subject.seeds[below(random, subject.seeds.size())];
    for (size_t changes = 1 + below(random, 4); changes > 0; --changes) {
      mutate(bytes, random, subject.seeds);
    }
    if (subject.is_signed && i % 2 == 0) sign(bytes);
    const std::vector<char> exactly(bytes.begin(), bytes.end());
    accepted += subject.target({exactly.data(), exactly.size()});
  }
  std::printf("%-20s %ld executions, %ld accepted\n", subject.name, executions, accepted);
}

}  // namespace

int main(int count, char** arguments) {
  const long executions = count > 1 ? std::atol(arguments[1]) : 20'000;
  const uint64_t seed = count > 2 ? std::strtoull(arguments[2], nullptr, 10) : 1;
  const std::vector<Subject> subjects = {
      {"model file", read_model, model_seeds(), true},
      {"tensor file", read_tensors, tensor_seeds(), true},
      {"JSON", read_json, kJson, false},
      {"text", read_text, kTexts, false},
  };
  try {
    for (const Subject& subject : subjects) run(subject, executions, seed);
  } catch (const std::exception& error) {
    fail(std::string("unexpected exception: ") + error.what());
  }
  return 0;
}
