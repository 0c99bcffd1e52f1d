// Text to tokens and back: every token but 0 is one Unicode code point, token 0 is the boundary.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace makemore {

// What becomes of a character that is not in the vocabulary, or is its boundary.
enum class Unknown {
  error,  // ArgumentError
  skip,   // left out, as if it did not stand there
  mark    // kUnknownToken, which gives a text the score -inf
};
constexpr int32_t kUnknownToken = -1;

// Code points are taken as they are: nothing is normalised, so that text -> tokens -> text is
// exact.
class Vocabulary {
 public:
  // `characters` in token order, at least one, the first is token 1; each one code point in UTF-8,
  // as is `boundary`, which stands for token 0 and is not among them.  Throws ArgumentError naming
  // the place and the character.
  explicit Vocabulary(const std::vector<std::string>& characters,
                      const std::string& boundary = ".");

  int64_t size() const;                         // V, boundary included
  std::string boundary() const;                 // UTF-8
  std::vector<std::string> characters() const;  // UTF-8, in token order, boundary excluded

  // The tokens of a UTF-8 string, without boundaries.  Throws ArgumentError naming the character
  // and its position (counted in code points) when it is unknown, is the boundary, or is not UTF-8.
  std::vector<int32_t> encode(std::string_view text) const;

  // Appends the tokens of a UTF-8 string.  Throws ArgumentError as encode does.
  void append(std::vector<int32_t>& tokens, std::string_view text,
              Unknown unknown = Unknown::error) const;

  // The token of a code point, or kUnknownToken.
  int32_t token_of(char32_t code_point) const {
    if (code_point < direct_.size()) return direct_[code_point];
    const auto found = stoi_.find(code_point);
    return found == stoi_.end() ? kUnknownToken : found->second;
  }
  // The code point of a token in [0, V).
  char32_t code_point_of(int32_t token) const { return itos_[static_cast<size_t>(token)]; }

  // The UTF-8 string of tokens; the boundary is shown as its character.  Throws RangeError naming
  // the position and the value of a token outside [0, V).
  std::string decode(std::span<const int32_t> tokens) const;

  bool operator==(const Vocabulary& other) const { return itos_ == other.itos_; }

 private:
  std::vector<char32_t> itos_;                  // itos_[0] is the boundary
  std::unordered_map<char32_t, int32_t> stoi_;  // without the boundary
  std::array<int32_t, 256> direct_;  // the same for the first code points, as they are many
};

}  // namespace makemore
