// A column of texts: their UTF-8 stands one after another, as in an Arrow array of large_utf8.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "base/growing_buffer.hpp"
#include "makemore/vocabulary.hpp"
#include "text/arrow.hpp"

namespace makemore {

class TextColumn {
 public:
  TextColumn() { *offsets_.grow(1) = 0; }

  int64_t count() const { return offsets_.size() - 1; }
  std::string_view text(int64_t i) const {
    return {bytes_.data() + offsets_[i], static_cast<size_t>(offsets_[i + 1] - offsets_[i])};
  }

  // The functions append throw std::bad_alloc where memory is missing; the texts are then as
  // before.
  void append(std::string_view text);
  void append(const TextColumn& other);
  // Text i is tokens [offsets[i], offsets[i+1]), all in the vocabulary.
  void append(const Vocabulary& vocabulary, std::span<const int32_t> tokens,
              std::span<const int64_t> offsets);

  const int64_t* offsets() const { return offsets_.data(); }
  const char* bytes() const { return bytes_.data(); }

 private:
  char* grow(int64_t bytes, int64_t texts);

  GrowingBuffer<int64_t> offsets_;  // (texts + 1)
  GrowingBuffer<char> bytes_;
};

// Fills both structures, which share the memory of the column until they are released.
void export_to_arrow(const std::shared_ptr<const TextColumn>& column, ArrowSchema& schema,
                     ArrowArray& array);

}  // namespace makemore
