// The tokens of a batch of texts, made by many threads.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/growing_buffer.hpp"
#include "makemore/vocabulary.hpp"

namespace makemore {

// The memory of a batch is used again for the next texts.
class TokenBatch {
 public:
  // Encodes texts in UTF-8; a text whose data() is null has no tokens.  Throws ArgumentError as
  // Vocabulary::encode does, for the first bad text, and calls it texts[first + i].
  void encode(const Vocabulary& vocabulary, std::span<const std::string_view> texts,
              Unknown unknown, int threads, int64_t first = 0);

  // The tokens of text i are tokens [offsets[i], offsets[i+1]).
  std::span<const int32_t> tokens() const {
    return {tokens_.data(), static_cast<size_t>(tokens_.size())};
  }
  std::span<const int64_t> offsets() const { return offsets_; }

 private:
  GrowingBuffer<int32_t> tokens_;
  std::vector<int64_t> offsets_;  // while encode runs: where the bytes of each text would begin
};

}  // namespace makemore
