// Translates text to tokens and back.  Tokens are characters or words; token 0 is the boundary,
// which marks the start and the end of a text.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace makemore {

// What happens to a character or word that has no token, and to the boundary inside a text.  (In a
// vocabulary with an unknown token only the boundary is concerned: all else has a token.)
enum class Unknown {
  error,  // it is refused with an ArgumentError
  skip,   // it is left out
  mark    // it becomes kNoToken, which gives a text the score -inf
};
constexpr int32_t kNoToken = -1;

// With the separator "" every token is one Unicode code point, taken as it is: nothing is
// normalised, so that text -> tokens -> text is exact.  With the separator " " tokens are words: a
// text is split at white space (that of Python's str.split), and one space joins it again.
class Vocabulary {
 public:
  // `tokens` are at least one; the first is token 1.  `boundary` shows token 0 and is not among
  // them.  `unknown` is one of the tokens and stands for all that is not in the vocabulary.  All
  // are UTF-8.  Throws ArgumentError naming the place and the token.
  explicit Vocabulary(const std::vector<std::string>& tokens, const std::string& boundary = ".",
                      const std::string& separator = "",
                      const std::optional<std::string>& unknown = {});

  int64_t size() const;  // V, boundary included
  bool has_words() const { return !words_.empty(); }
  // Whether tokens are characters and there is no unknown token.  A file writes such a vocabulary
  // in the form that it had before there were others.
  bool is_plain() const { return !has_words() && unknown_ == kNoToken; }
  std::string separator() const { return has_words() ? " " : ""; }
  std::string boundary() const { return token(0); }
  std::optional<std::string> unknown() const;
  std::vector<std::string> tokens() const;  // of tokens 1 to V - 1, in this order
  std::string token(int32_t token) const;   // for a token in [0, V)

  // The tokens of a UTF-8 text, without boundaries.  Throws ArgumentError naming the character or
  // word and its position (counted in tokens) when it is unknown, is the boundary, or is not UTF-8.
  std::vector<int32_t> encode(std::string_view text) const;

  // Appends the tokens of a UTF-8 text.  Throws ArgumentError as encode does.
  void append(std::vector<int32_t>& tokens, std::string_view text,
              Unknown unknown = Unknown::error) const;
  // Writes them instead, at most one for each byte, and returns the end of what it wrote.
  int32_t* encode_to(int32_t* out, std::string_view text, Unknown unknown = Unknown::error) const;
  // Writes the tokens of the text's bytes up to the first that is not an ASCII character of the
  // vocabulary, and returns their number; 0 where tokens are words.
  size_t encode_ascii_to(int32_t* out, std::string_view text) const;

  // The token of a code point, or kNoToken; only where tokens are characters.
  int32_t token_of(char32_t code_point) const {
    if (code_point < direct_.size()) return direct_[code_point];
    const auto found = stoi_.find(code_point);
    if (found != stoi_.end()) return found->second;
    return code_point == itos_[0] ? kNoToken : unknown_;
  }
  // The code point of a token in [0, V); only where tokens are characters.
  char32_t code_point_of(int32_t token) const { return itos_[static_cast<size_t>(token)]; }

  // The UTF-8 text of tokens, in which token 0 is shown as the boundary.  Throws RangeError naming
  // the position and the value of a token outside [0, V).
  std::string decode(std::span<const int32_t> tokens) const;

  bool operator==(const Vocabulary& other) const {
    return itos_ == other.itos_ && words_ == other.words_ && unknown_ == other.unknown_;
  }

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view word) const { return std::hash<std::string_view>()(word); }
  };

  void take_characters(const std::vector<std::string>& characters, const std::string& boundary);
  void take_words(const std::vector<std::string>& words, const std::string& boundary);
  int32_t* encode_words_to(int32_t* out, std::string_view text, Unknown unknown) const;

  int32_t unknown_ = kNoToken;  // the unknown token, or kNoToken without one
  // Where tokens are characters:
  std::vector<char32_t> itos_;                  // itos_[0] is the boundary
  std::unordered_map<char32_t, int32_t> stoi_;  // without the boundary
  std::array<int32_t, 256> direct_;             // token_of the first code points, for speed
  // Where tokens are words:
  std::vector<std::string> words_;  // words_[0] is the boundary
  std::unordered_map<std::string, int32_t, Hash, std::equal_to<>> token_of_word_;  // without it
};

}  // namespace makemore
