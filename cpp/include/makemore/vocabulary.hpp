// Text to tokens and back: tokens are characters, or words; token 0 is the boundary.
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

// What becomes of a token that is not in the vocabulary, where none stands for such tokens, and of
// the boundary in a text.
enum class Unknown {
  error,  // ArgumentError
  skip,   // left out, as if it did not stand there
  mark    // kUnknownToken, which gives a text the score -inf
};
constexpr int32_t kUnknownToken = -1;

// With the separator "" every token is one Unicode code point, taken as it is: nothing is
// normalised, so that text -> tokens -> text is exact.  With the separator " " tokens are words: a
// text is split at white space (that of Python's str.split), and one space joins it again.
class Vocabulary {
 public:
  // `tokens` in their order, at least one, the first is token 1; `boundary` is how token 0 is
  // shown, and not among them.  `unknown` is one of the tokens and stands for all that is not in
  // the vocabulary.  All in UTF-8.  Throws ArgumentError naming the place and the token.
  explicit Vocabulary(const std::vector<std::string>& tokens, const std::string& boundary = ".",
                      const std::string& separator = "",
                      const std::optional<std::string>& unknown = {});

  int64_t size() const;  // V, boundary included
  bool has_words() const { return !words_.empty(); }
  // Whether tokens are characters, of which none stands for unknown ones: the first files know no
  // other vocabulary.
  bool is_plain() const { return !has_words() && unknown_ == kUnknownToken; }
  std::string separator() const { return has_words() ? " " : ""; }
  std::string boundary() const { return token(0); }
  std::optional<std::string> unknown() const;
  std::vector<std::string> tokens() const;  // in their order, boundary excluded
  std::string token(int32_t token) const;   // in [0, V)

  // The tokens of a UTF-8 string, without boundaries.  Throws ArgumentError naming the token and
  // its position (counted in tokens) when it is unknown, is the boundary, or is not UTF-8.
  std::vector<int32_t> encode(std::string_view text) const;

  // Appends the tokens of a UTF-8 string.  Throws ArgumentError as encode does.
  void append(std::vector<int32_t>& tokens, std::string_view text,
              Unknown unknown = Unknown::error) const;

  // Without words: the token of a code point, or kUnknownToken.
  int32_t token_of(char32_t code_point) const {
    if (code_point < direct_.size()) return direct_[code_point];
    const auto found = stoi_.find(code_point);
    if (found != stoi_.end()) return found->second;
    return code_point == itos_[0] ? kUnknownToken : unknown_;
  }
  // Without words: the code point of a token in [0, V).
  char32_t code_point_of(int32_t token) const { return itos_[static_cast<size_t>(token)]; }

  // The UTF-8 string of tokens; the boundary is shown as its token.  Throws RangeError naming the
  // position and the value of a token outside [0, V).
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
  void append_words(std::vector<int32_t>& tokens, std::string_view text, Unknown unknown) const;

  int32_t unknown_ = kUnknownToken;             // the token that stands for what is not here
  std::vector<char32_t> itos_;                  // without words; itos_[0] is the boundary
  std::unordered_map<char32_t, int32_t> stoi_;  // without the boundary
  std::array<int32_t, 256> direct_;  // the same for the first code points, as they are many
  std::vector<std::string> words_;   // words_[0] is the boundary
  std::unordered_map<std::string, int32_t, Hash, std::equal_to<>> token_of_word_;  // without it
};

}  // namespace makemore
