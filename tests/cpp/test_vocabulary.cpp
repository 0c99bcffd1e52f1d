// The vocabulary and the UTF-8 beneath it, including every code point and every short wrong
// sequence.
#include <string>
#include <vector>

#include "base/utf8.hpp"
#include "check.hpp"
#include "makemore/error.hpp"
#include "makemore/model.hpp"
#include "makemore/vocabulary.hpp"

using makemore::ArgumentError;
using makemore::RangeError;
using makemore::Vocabulary;

namespace {

std::string utf8(char32_t code_point) {
  std::string text;
  makemore::append_utf8(text, code_point);
  return text;
}

// True when `bytes` starts with a code point whose only UTF-8 form is exactly what was consumed.
bool first_is_canonical(const std::string& bytes) {
  size_t at = 0;
  const char32_t code_point = makemore::next_code_point(bytes, at);
  if (code_point == makemore::kNotUtf8) return at == 0;
  return bytes.substr(0, at) == utf8(code_point) && makemore::is_utf8(bytes.substr(0, at));
}

}  // namespace

TEST_CASE("every code point but the surrogates survives UTF-8") {
  long accepted = 0;
  for (char32_t c = 0; c <= 0x10FFFF; ++c) {
    const std::string text = utf8(c);
    size_t at = 0;
    const char32_t back = makemore::next_code_point(text, at);
    const bool is_surrogate = c >= 0xD800 && c <= 0xDFFF;
    if (back == c && at == text.size()) ++accepted;
    if (is_surrogate && back != makemore::kNotUtf8) EXPECT_THAT(false, "a surrogate was accepted");
  }
  EXPECT(accepted == 0x110000 - 0x800);
}

TEST_CASE("every sequence of two bytes, and of three with a long lead, is canonical or refused") {
  std::string two(2, '\0'), three(3, '\0');
  for (int lead = 0; lead < 256; ++lead) {
    for (int second = 0; second < 256; ++second) {
      two[0] = three[0] = static_cast<char>(lead);
      two[1] = three[1] = static_cast<char>(second);
      if (!first_is_canonical(two)) EXPECT_THAT(false, makemore::show_text(two));
      for (int third = 0; lead >= 0xE0 && third < 256; ++third) {
        three[2] = static_cast<char>(third);
        if (!first_is_canonical(three)) EXPECT_THAT(false, makemore::show_text(three));
      }
    }
  }
  EXPECT(!makemore::is_utf8("\xF4\x90\x80\x80"));  // U+110000
  EXPECT(!makemore::is_utf8("\xF0\x8F\xBF\xBF"));  // U+FFFF, overlong
  EXPECT(!makemore::is_utf8("\xF8\x88\x80\x80\x80"));
  EXPECT(!makemore::is_utf8("\xF0\x9F\x98"));
}

TEST_CASE("errors show characters without being rearranged by them") {
  EXPECT(makemore::show_character('a') == "'a'");
  EXPECT(makemore::show_character(0xE9) == "'\xC3\xA9' (U+00E9)");
  EXPECT(makemore::show_character(0x202E) == "U+202E");
  EXPECT(makemore::show_character('\n') == "U+000A");
  EXPECT(makemore::show_text("a\n\xE2\x80\xAE\xFFz") == "a\\u{000A}\\u{202E}\\xffz");
}

TEST_CASE("text to tokens and back") {
  const Vocabulary vocabulary({"a", "\xC3\xA9", "\xF0\x9F\x98\x80", std::string(1, '\0')}, "#");
  EXPECT(vocabulary.size() == 5);
  EXPECT(vocabulary.boundary() == "#");
  EXPECT(vocabulary.tokens().size() == 4 && vocabulary.tokens()[1] == "\xC3\xA9");
  const std::string text = std::string(
                               "\xF0\x9F\x98\x80"
                               "a\xC3\xA9") +
                           '\0';
  EXPECT((vocabulary.encode(text) == std::vector<int32_t>{3, 1, 2, 4}));
  EXPECT(vocabulary.decode(vocabulary.encode(text)) == text);
  EXPECT(vocabulary.encode("").empty() && vocabulary.decode({}).empty());
  EXPECT(vocabulary.decode(std::vector<int32_t>{0, 1, 0}) == "#a#");
  EXPECT(vocabulary == Vocabulary(vocabulary.tokens(), "#"));
  EXPECT(!(vocabulary == Vocabulary(vocabulary.tokens(), "$")));
}

TEST_CASE("text that is not in the vocabulary is refused by character and position") {
  const Vocabulary vocabulary({"a", "b"});
  EXPECT_THROWS(vocabulary.encode("ab\xC3\xA9"), ArgumentError,
                "'\xC3\xA9' (U+00E9) at position 2 is not in the vocabulary");
  EXPECT_THROWS(vocabulary.encode("a.b"), ArgumentError, "'.' at position 1 is the boundary");
  EXPECT_THROWS(vocabulary.encode("a.b"), ArgumentError, "option boundary");
  EXPECT_THROWS(vocabulary.encode("ab\xFF"), ArgumentError, "not valid UTF-8 at position 2");
  EXPECT_THROWS(vocabulary.decode(std::vector<int32_t>{0, 3}), RangeError, "token 3 at tokens[1]");
  EXPECT_THROWS(vocabulary.decode(std::vector<int32_t>{-1}), RangeError, "token -1 at tokens[0]");
}

TEST_CASE("vocabularies that cannot be are refused by place") {
  EXPECT_THROWS(Vocabulary({}), ArgumentError, "tokens is empty");
  EXPECT_THROWS(Vocabulary({"a", "b", "a"}), ArgumentError, "tokens[2] repeats 'a'");
  EXPECT_THROWS(Vocabulary({"a", "."}), ArgumentError, "tokens[1] is the boundary '.'");
  EXPECT_THROWS(Vocabulary({"a", "bc"}), ArgumentError, "tokens[1] must be exactly one");
  EXPECT_THROWS(Vocabulary({"a", ""}), ArgumentError, "tokens[1] must be exactly one");
  EXPECT_THROWS(Vocabulary({"\xED\xA0\x80"}), ArgumentError, "tokens[0] is not valid UTF-8");
  EXPECT_THROWS(Vocabulary({"\xC1\x81"}), ArgumentError, "tokens[0] is not valid UTF-8");
  EXPECT_THROWS(Vocabulary({"a"}, ""), ArgumentError, "boundary must be exactly one");
  EXPECT_THROWS(Vocabulary({"a"}, "\xFF"), ArgumentError, "boundary is not valid UTF-8");
}

TEST_CASE("the largest vocabulary works and one more token is refused") {
  std::vector<std::string> characters;
  for (char32_t c = 1; characters.size() + 1 < makemore::kMaxVocabSize; ++c) {
    const bool is_surrogate = c >= 0xD800 && c < 0xE000;
    if (c != 'a' && c != '.' && !is_surrogate) characters.push_back(utf8(c));
  }
  const Vocabulary vocabulary(characters);
  EXPECT(vocabulary.size() == makemore::kMaxVocabSize);
  EXPECT(
      (vocabulary.encode(characters.back()) == std::vector<int32_t>{makemore::kMaxVocabSize - 1}));
  characters.push_back("a");
  EXPECT_THROWS(Vocabulary(characters), ArgumentError, "more than the limit of 1048576 tokens");
}

TEST_CASE("words: split at white space, joined by spaces, and one stands for the others") {
  const Vocabulary words({"<unk>", "the", "caf\xC3\xA9"}, "</s>", " ", "<unk>");
  EXPECT(words.has_words() && words.size() == 4 && words.boundary() == "</s>");
  EXPECT(words.unknown() == "<unk>" && words.separator() == " " && words.tokens()[1] == "the");
  const std::vector<int32_t> tokens = words.encode(
      " the\xE3\x80\x80"
      "caf\xC3\xA9\n\nx the");
  EXPECT((tokens == std::vector<int32_t>{2, 3, 1, 2}));
  EXPECT(words.decode(std::vector<int32_t>{2, 0, 1}) == "the </s> <unk>");
  EXPECT(words.encode("").empty() && words.encode(" \t").empty());
  EXPECT_THROWS(words.encode("the </s>"), ArgumentError, "'</s>' at position 1 is the boundary");
  EXPECT_THROWS(words.encode("the \xC3"), ArgumentError, "not valid UTF-8 at position 1 (byte 4)");

  const Vocabulary strict({"a", "b"}, "</s>", " ");
  EXPECT_THROWS(strict.encode("a c"), ArgumentError, "the word 'c' at position 1 is not in");
  std::vector<int32_t> found;
  strict.append(found, "a c b </s>", makemore::Unknown::skip);
  EXPECT((found == std::vector<int32_t>{1, 2}));
  strict.append(found, "c", makemore::Unknown::mark);
  EXPECT(found.back() == makemore::kNoToken);
  EXPECT(!(strict == Vocabulary({"a", "b"}, "</s>", " ", "a")) && !strict.unknown());
  EXPECT_THROWS(Vocabulary({"a b"}, "</s>", " "), ArgumentError, "tokens[0] contains white space");
  EXPECT_THROWS(Vocabulary({"a"}, "", " "), ArgumentError, "boundary is empty");
}

int main() { return check::run(); }
