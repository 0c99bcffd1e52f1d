// Every number is read once, and checked before the memory to which it points; nothing need be
// aligned.
#include "text/arrow.hpp"

#include <cstring>

#include "makemore/error.hpp"

namespace makemore {

namespace {

constexpr int64_t kViewBytes = 16, kInlineBytes = 12;
constexpr int64_t kMaxMemory = int64_t{1} << 47;  // more bytes than a process can address
constexpr int64_t kMaxViewBuffers = int64_t{1} << 31;
constexpr char kNoBytes[1] = {};

template <typename T>
T load(const char* memory, int64_t i) {
  T value;
  std::memcpy(&value, memory + i * static_cast<int64_t>(sizeof(T)), sizeof(T));
  return value;
}

int64_t bytes_of_slot(TextLayout layout) {
  if (layout == TextLayout::string_view) return kViewBytes;
  return layout == TextLayout::utf8 ? sizeof(int32_t) : sizeof(int64_t);
}

std::string numbered(const std::string& name, int64_t number) {
  return name + "[" + std::to_string(number) + "]";
}

[[noreturn]] void refuse(const std::string& name, const char* field, int64_t value,
                         const std::string& rule) {
  throw ArgumentError(name + " is an Arrow array whose " + field + " is " + std::to_string(value) +
                      "; it must be " + rule);
}

void check_numbers(const std::string& name, TextLayout layout, const ArrowArray& array) {
  const bool is_view = layout == TextLayout::string_view;
  const int64_t most = kMaxMemory / bytes_of_slot(layout) - 1;
  const auto check = [&](const char* field, int64_t value, int64_t low, int64_t high) {
    if (value >= low && value <= high) return;
    refuse(name, field, value,
           low == high ? std::to_string(low)
                       : "in [" + std::to_string(low) + ", " + std::to_string(high) + "]");
  };
  check("length", array.length, 0, most);
  check("offset", array.offset, 0, most - array.length);
  check("null_count", array.null_count, -1, array.length);
  check("n_buffers", array.n_buffers, 3, is_view ? 3 + kMaxViewBuffers : 3);
  check("n_children", array.n_children, 0, 0);
  if (array.dictionary != nullptr) {
    throw ArgumentError(name + " is an Arrow array of texts with a dictionary, which has no place");
  }
  if (array.buffers == nullptr) throw ArgumentError(name + " is an Arrow array without buffers");
  if (array.null_count > 0 && array.buffers[0] == nullptr) {
    throw ArgumentError(name + " is an Arrow array with " + std::to_string(array.null_count) +
                        " nulls, but does not say where");
  }
  if (array.length > 0 && array.buffers[1] == nullptr) {
    throw ArgumentError(name + " is an Arrow array of " + std::to_string(array.length) +
                        " texts without " + (is_view ? "views" : "offsets"));
  }
  if (is_view && array.length > 0 && array.n_buffers > 3 &&
      array.buffers[array.n_buffers - 1] == nullptr) {
    throw ArgumentError(name + " is an Arrow array of views without the sizes of its buffers");
  }
}

}  // namespace

std::optional<TextLayout> text_layout(std::string_view format) {
  if (format == "u") return TextLayout::utf8;
  if (format == "U") return TextLayout::large_utf8;
  if (format == "vu") return TextLayout::string_view;
  return std::nullopt;
}

ArrowTexts::ArrowTexts(const std::string& name, TextLayout layout, const ArrowArray& array,
                       int64_t first)
    : layout_(layout) {
  check_numbers(name, layout, array);
  count_ = array.length;
  offset_ = array.offset;
  if (array.null_count != 0) validity_ = static_cast<const uint8_t*>(array.buffers[0]);
  slots_ = static_cast<const char*>(array.buffers[1]);
  if (layout == TextLayout::string_view) {
    n_buffers_ = array.n_buffers - 3;
    buffers_ = array.buffers + 2;
    buffer_sizes_ = static_cast<const char*>(array.buffers[array.n_buffers - 1]);
  } else {
    bytes_ = static_cast<const char*>(array.buffers[2]);
    layout == TextLayout::utf8 ? check_offsets<int32_t>(name, first)
                               : check_offsets<int64_t>(name, first);
  }
}

// Checks all offsets before any text is read: a falling offset may follow one that reaches beyond
// the bytes.
template <typename Offset>
void ArrowTexts::check_offsets(const std::string& name, int64_t first) const {
  bool is_rising = true;
  for (int64_t slot = offset_; slot < offset_ + count_; ++slot) {
    is_rising &= load<Offset>(slots_, slot) <= load<Offset>(slots_, slot + 1);
  }
  for (int64_t i = 0; i < count_ && !is_rising; ++i) {
    between_offsets<Offset>(offset_ + i, name, first + i);
  }
}

std::string_view ArrowTexts::text(int64_t i, const std::string& name, int64_t first) const {
  const int64_t slot = offset_ + i;
  const bool is_null = validity_ != nullptr && (validity_[slot / 8] >> (slot % 8) & 1) == 0;
  if (layout_ == TextLayout::string_view) {  // a null's view may be anything: it is not read
    return is_null ? std::string_view() : in_view(slot, name, first + i);
  }
  const std::string_view text = layout_ == TextLayout::utf8
                                    ? between_offsets<int32_t>(slot, name, first + i)
                                    : between_offsets<int64_t>(slot, name, first + i);
  return is_null ? std::string_view() : text;
}

template <typename Offset>
std::string_view ArrowTexts::between_offsets(int64_t slot, const std::string& name,
                                             int64_t number) const {
  const int64_t begin = load<Offset>(slots_, slot), end = load<Offset>(slots_, slot + 1);
  if (begin < 0 || end < begin || end > kMaxMemory) {
    throw ArgumentError(numbered(name, number) + " has the Arrow offsets " + std::to_string(begin) +
                        " and " + std::to_string(end) + ", which do not rise from 0");
  }
  if (bytes_ == nullptr && begin == end) return {kNoBytes, 0};
  if (bytes_ == nullptr) {
    throw ArgumentError(numbered(name, number) + " has " + std::to_string(end - begin) +
                        " bytes in an Arrow buffer that is null");
  }
  return {bytes_ + begin, static_cast<size_t>(end - begin)};
}

std::string_view ArrowTexts::in_view(int64_t slot, const std::string& name, int64_t number) const {
  const char* const view = slots_ + slot * kViewBytes;
  const int64_t length = load<int32_t>(view, 0);
  const auto refuse_view = [&](const std::string& why) {
    throw ArgumentError(numbered(name, number) + " has an Arrow view " + why);
  };
  if (length < 0) refuse_view("of " + std::to_string(length) + " bytes");
  if (length <= kInlineBytes) return {view + 4, static_cast<size_t>(length)};
  const int64_t buffer = load<int32_t>(view, 2), begin = load<int32_t>(view, 3);
  if (buffer < 0 || buffer >= n_buffers_) {
    refuse_view("into buffer " + std::to_string(buffer) + " of " + std::to_string(n_buffers_));
  }
  const int64_t size = load<int64_t>(buffer_sizes_, buffer);
  const auto* const bytes = static_cast<const char*>(buffers_[buffer]);
  if (begin < 0 || size < 0 || length > size - begin || bytes == nullptr) {
    refuse_view("of bytes " + std::to_string(begin) + " to " + std::to_string(begin + length) +
                " of a buffer of " + std::to_string(bytes == nullptr ? 0 : size));
  }
  if (std::memcmp(view + 4, bytes + begin, 4) != 0) {
    refuse_view("whose prefix is not the beginning of its text");
  }
  return {bytes + begin, static_cast<size_t>(length)};
}

}  // namespace makemore
