// The tokens of some texts, which many threads make where the texts lie.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/growing_buffer.hpp"
#include "makemore/vocabulary.hpp"

namespace makemore {

// Its memory is used again for the next texts.
class TokenBatch {
 public:
  // Texts in UTF-8; one without data() has no tokens.  Throws ArgumentError as Vocabulary::encode
  // does, for the first bad text, which it calls texts[first + i].
  void encode(const Vocabulary& vocabulary, std::span<const std::string_view> texts,
              Unknown unknown, int threads, int64_t first = 0);

  // The tokens of text i are tokens [offsets[i], offsets[i+1]).
  std::span<const int32_t> tokens() const {
    return {tokens_.data(), static_cast<size_t>(tokens_.size())};
  }
  std::span<const int64_t> offsets() const { return offsets_; }

 private:
  GrowingBuffer<int32_t> tokens_;
  std::vector<int64_t> offsets_;  // until `encode` ends, where the bytes of a text would begin
};

}  // namespace makemore
