// Text to tokens and back, every character checked.
#include "makemore/vocabulary.hpp"

#include "base/check.hpp"
#include "base/utf8.hpp"
#include "makemore/error.hpp"
#include "makemore/model.hpp"

namespace makemore {

namespace {

// `place` is what an error calls the string: boundary, characters[3].
char32_t only_code_point(const std::string& text, const std::string& place) {
  size_t at = 0;
  const char32_t code_point = text.empty() ? 0 : next_code_point(text, at);
  if (code_point == kNotUtf8) {
    throw ArgumentError(place + " is not valid UTF-8: '" + show_text(text) + "'");
  }
  if (text.empty() || at != text.size()) {
    throw ArgumentError(place + " must be exactly one Unicode code point, got '" + show_text(text) +
                        "'");
  }
  return code_point;
}

std::string at_position(int64_t position) { return " at position " + std::to_string(position); }

}  // namespace

Vocabulary::Vocabulary(const std::vector<std::string>& characters, const std::string& boundary) {
  if (characters.empty())
    throw ArgumentError("characters is empty: a vocabulary needs at least one");
  if (characters.size() >= static_cast<size_t>(kMaxVocabSize)) {
    throw ArgumentError(std::to_string(characters.size()) +
                        " characters and the boundary are more than the limit of " +
                        std::to_string(kMaxVocabSize) + " tokens");
  }
  direct_.fill(kUnknownToken);
  itos_.push_back(only_code_point(boundary, "boundary"));
  for (size_t i = 0; i < characters.size(); ++i) {
    const std::string place = "characters[" + std::to_string(i) + "]";
    const char32_t character = only_code_point(characters[i], place);
    if (character == itos_[0]) {
      throw ArgumentError(place + " is the boundary " + show_character(character) +
                          ": choose another one with the option boundary");
    }
    const auto [known, is_new] = stoi_.emplace(character, static_cast<int32_t>(itos_.size()));
    if (!is_new) {
      throw ArgumentError(place + " repeats " + show_character(character) + " of characters[" +
                          std::to_string(known->second - 1) + "]");
    }
    itos_.push_back(character);
    if (character < direct_.size()) direct_[character] = known->second;
  }
}

int64_t Vocabulary::size() const { return static_cast<int64_t>(itos_.size()); }

std::string Vocabulary::boundary() const { return decode(std::vector<int32_t>{0}); }

std::vector<std::string> Vocabulary::characters() const {
  std::vector<std::string> all(itos_.size() - 1);
  for (size_t i = 0; i < all.size(); ++i) append_utf8(all[i], itos_[i + 1]);
  return all;
}

std::vector<int32_t> Vocabulary::encode(std::string_view text) const {
  std::vector<int32_t> tokens;
  tokens.reserve(text.size());
  append(tokens, text);
  return tokens;
}

void Vocabulary::append(std::vector<int32_t>& tokens, std::string_view text,
                        Unknown unknown) const {
  int64_t position = 0;
  for (size_t at = 0; at < text.size(); ++position) {
    const char32_t character = next_code_point(text, at);
    if (character == kNotUtf8) {
      throw ArgumentError("the text is not valid UTF-8" + at_position(position) + " (byte " +
                          std::to_string(at) + ")");
    }
    const int32_t token = token_of(character);
    if (token != kUnknownToken || unknown == Unknown::mark) {
      tokens.push_back(token);
    } else if (unknown == Unknown::skip) {
      continue;
    } else if (character == itos_[0]) {
      throw ArgumentError("the character " + show_character(character) + at_position(position) +
                          " is the boundary, which marks start and end and cannot be part of a "
                          "text: choose another one with the option boundary");
    } else {
      throw ArgumentError("the character " + show_character(character) + at_position(position) +
                          " is not in the vocabulary");
    }
  }
}

std::string Vocabulary::decode(std::span<const int32_t> tokens) const {
  check_token_vector("tokens", tokens.data(), static_cast<int64_t>(tokens.size()), size());
  std::string text;
  for (const int32_t token : tokens) append_utf8(text, itos_[static_cast<size_t>(token)]);
  return text;
}

}  // namespace makemore
