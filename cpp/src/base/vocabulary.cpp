// Text to tokens and back, every token checked.
#include "makemore/vocabulary.hpp"

#include <algorithm>

#include "base/check.hpp"
#include "base/utf8.hpp"
#include "makemore/error.hpp"
#include "makemore/model.hpp"

namespace makemore {

namespace {

std::string place_of(size_t i) { return "tokens[" + std::to_string(i) + "]"; }

std::string at_position(int64_t position) { return " at position " + std::to_string(position); }

// `place` is what an error calls the text: "boundary" or "tokens[3]".
void check_utf8(const std::string& text, const std::string& place) {
  if (!is_utf8(text)) {
    throw ArgumentError(place + " is not valid UTF-8: '" + show_text(text) + "'");
  }
}

char32_t only_code_point(const std::string& text, const std::string& place) {
  check_utf8(text, place);
  size_t at = 0;
  const char32_t code_point = text.empty() ? 0 : next_code_point(text, at);
  if (text.empty() || at != text.size()) {
    throw ArgumentError(place + " must be exactly one Unicode code point, got '" + show_text(text) +
                        "'");
  }
  return code_point;
}

// Whether Python's str.split() splits at the character.
bool is_space(char32_t c) {
  if (c < 0x80) return c == ' ' || (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x1F);
  return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
         c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

// Returns the code point at text[at] and moves `at` behind it.  Throws ArgumentError, which names
// the token's `position`, where the bytes are not UTF-8.
char32_t code_point_in(std::string_view text, size_t& at, int64_t position) {
  const char32_t code_point = next_code_point(text, at);
  if (code_point == kNotUtf8) {
    throw ArgumentError("the text is not valid UTF-8" + at_position(position) + " (byte " +
                        std::to_string(at) + ")");
  }
  return code_point;
}

// Returns the next word of a text from `at` on and moves `at` behind it; an empty one where there
// is none.
std::string_view next_word(std::string_view text, size_t& at, int64_t position) {
  size_t begin = at;
  while (at < text.size()) {
    const size_t end = at;
    if (!is_space(code_point_in(text, at, position))) continue;
    if (end > begin) return text.substr(begin, end - begin);
    begin = at;
  }
  return text.substr(begin);
}

void check_word(const std::string& word, const std::string& place) {
  check_utf8(word, place);
  if (word.empty()) throw ArgumentError(place + " is empty: a word has characters");
  for (size_t at = 0; at < word.size();) {
    if (is_space(next_code_point(word, at))) {
      throw ArgumentError(place + " contains white space, which separates words: '" +
                          show_text(word) + "'");
    }
  }
}

[[noreturn]] void refuse_boundary(const std::string& what) {
  throw ArgumentError(what + ": choose another one with the option boundary");
}

[[noreturn]] void refuse(const std::string& token, bool is_boundary, int64_t position) {
  if (is_boundary) {
    refuse_boundary(token + at_position(position) +
                    " is the boundary, which marks start and end and cannot be part of a text");
  }
  throw ArgumentError(token + at_position(position) + " is not in the vocabulary");
}

}  // namespace

Vocabulary::Vocabulary(const std::vector<std::string>& tokens, const std::string& boundary,
                       const std::string& separator, const std::optional<std::string>& unknown) {
  if (!separator.empty() && separator != " ") {
    throw ArgumentError("separator is '" + show_text(separator) +
                        "'; it must be '' for characters or ' ' for words");
  }
  if (tokens.empty()) throw ArgumentError("tokens is empty: a vocabulary needs at least one");
  if (tokens.size() >= static_cast<size_t>(kMaxVocabSize)) {
    throw ArgumentError(std::to_string(tokens.size()) +
                        " tokens and the boundary are more than the limit of " +
                        std::to_string(kMaxVocabSize) + " tokens");
  }
  direct_.fill(kNoToken);
  if (separator.empty()) {
    take_characters(tokens, boundary);
  } else {
    take_words(tokens, boundary);
  }
  if (!unknown) return;
  const auto place = std::ranges::find(tokens, *unknown);
  if (place == tokens.end()) {
    throw ArgumentError("unknown is '" + show_text(*unknown) + "', which is not among the tokens");
  }
  unknown_ = static_cast<int32_t>(place - tokens.begin() + 1);
  if (has_words()) return;
  std::ranges::replace(direct_, kNoToken, unknown_);
  if (itos_[0] < direct_.size()) direct_[itos_[0]] = kNoToken;
}

void Vocabulary::take_characters(const std::vector<std::string>& characters,
                                 const std::string& boundary) {
  itos_.push_back(only_code_point(boundary, "boundary"));
  for (size_t i = 0; i < characters.size(); ++i) {
    const char32_t character = only_code_point(characters[i], place_of(i));
    if (character == itos_[0]) {
      refuse_boundary(place_of(i) + " is the boundary " + show_character(character));
    }
    const auto [known, is_new] = stoi_.emplace(character, static_cast<int32_t>(itos_.size()));
    if (!is_new) {
      throw ArgumentError(place_of(i) + " repeats " + show_character(character) + " of " +
                          place_of(static_cast<size_t>(known->second - 1)));
    }
    itos_.push_back(character);
    if (character < direct_.size()) direct_[character] = known->second;
  }
}

void Vocabulary::take_words(const std::vector<std::string>& words, const std::string& boundary) {
  check_word(boundary, "boundary");
  words_.push_back(boundary);
  for (size_t i = 0; i < words.size(); ++i) {
    check_word(words[i], place_of(i));
    if (words[i] == boundary) {
      refuse_boundary(place_of(i) + " is the boundary '" + show_text(boundary) + "'");
    }
    const auto [known, is_new] =
        token_of_word_.emplace(words[i], static_cast<int32_t>(words_.size()));
    if (!is_new) {
      throw ArgumentError(place_of(i) + " repeats '" + show_text(words[i]) + "' of " +
                          place_of(static_cast<size_t>(known->second - 1)));
    }
    words_.push_back(words[i]);
  }
}

int64_t Vocabulary::size() const {
  return static_cast<int64_t>(has_words() ? words_.size() : itos_.size());
}

std::string Vocabulary::token(int32_t token) const {
  if (has_words()) return words_[static_cast<size_t>(token)];
  std::string text;
  append_utf8(text, itos_[static_cast<size_t>(token)]);
  return text;
}

std::optional<std::string> Vocabulary::unknown() const {
  if (unknown_ == kNoToken) return std::nullopt;
  return token(unknown_);
}

std::vector<std::string> Vocabulary::tokens() const {
  std::vector<std::string> all;
  for (int32_t i = 1; i < size(); ++i) all.push_back(token(i));
  return all;
}

std::vector<int32_t> Vocabulary::encode(std::string_view text) const {
  std::vector<int32_t> tokens;
  append(tokens, text);
  return tokens;
}

void Vocabulary::append(std::vector<int32_t>& tokens, std::string_view text,
                        Unknown unknown) const {
  const size_t before = tokens.size();
  tokens.resize(before + text.size());
  const int32_t* const end = encode_to(tokens.data() + before, text, unknown);
  tokens.resize(static_cast<size_t>(end - tokens.data()));
}

int32_t* Vocabulary::encode_to(int32_t* out, std::string_view text, Unknown unknown) const {
  if (has_words()) return encode_words_to(out, text, unknown);
  size_t at = encode_ascii_to(out, text);
  out += at;
  for (auto position = static_cast<int64_t>(at); at < text.size(); ++position) {
    const char32_t character = code_point_in(text, at, position);
    const int32_t token = token_of(character);
    if (token != kNoToken || unknown == Unknown::mark) {
      *out++ = token;
    } else if (unknown == Unknown::error) {
      refuse("the character " + show_character(character), character == itos_[0], position);
    }
  }
  return out;
}

size_t Vocabulary::encode_ascii_to(int32_t* out, std::string_view text) const {
  if (has_words()) return 0;
  size_t at = 0;
  for (; at < text.size(); ++at) {
    const auto byte = static_cast<unsigned char>(text[at]);
    if (byte >= 0x80 || direct_[byte] == kNoToken) break;
    out[at] = direct_[byte];
  }
  return at;
}

int32_t* Vocabulary::encode_words_to(int32_t* out, std::string_view text, Unknown unknown) const {
  size_t at = 0;
  for (int64_t position = 0;; ++position) {
    const std::string_view word = next_word(text, at, position);
    if (word.empty()) return out;
    const bool is_boundary = word == words_[0];
    const auto found = token_of_word_.find(word);
    const int32_t token = found != token_of_word_.end() ? found->second
                          : is_boundary                 ? kNoToken
                                                        : unknown_;
    if (token != kNoToken || unknown == Unknown::mark) {
      *out++ = token;
    } else if (unknown == Unknown::error) {
      refuse("the word '" + show_text(word) + "'", is_boundary, position);
    }
  }
}

std::string Vocabulary::decode(std::span<const int32_t> tokens) const {
  check_token_vector("tokens", tokens.data(), static_cast<int64_t>(tokens.size()), size());
  std::string text;
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (!has_words()) {
      append_utf8(text, itos_[static_cast<size_t>(tokens[i])]);
    } else {
      if (i > 0) text += ' ';
      text += words_[static_cast<size_t>(tokens[i])];
    }
  }
  return text;
}

}  // namespace makemore
