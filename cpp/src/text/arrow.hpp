// Reads texts in the memory of other libraries by the Arrow C data interface, without an Arrow
// library.
//
// Every number that the interface gives is compared with the others before memory is read.  The
// sizes of buffers cannot be checked, because an array does not state them, except those of the
// characters of a string_view.  Like every reader of such arrays we must trust the producer that
// validity, offsets and views reach as far as the array's length, and the bytes of utf8 and
// large_utf8 as far as its offsets.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// The structures of the specifications "The Arrow C data interface" and "The Arrow C stream
// interface"; the guards are theirs, so that another header with these structures may come first.
extern "C" {
#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE
#define ARROW_FLAG_NULLABLE 2
struct ArrowSchema {
  const char* format;
  const char* name;
  const char* metadata;
  int64_t flags;
  int64_t n_children;
  struct ArrowSchema** children;
  struct ArrowSchema* dictionary;
  void (*release)(struct ArrowSchema*);
  void* private_data;
};
struct ArrowArray {
  int64_t length;
  int64_t null_count;
  int64_t offset;
  int64_t n_buffers;
  int64_t n_children;
  const void** buffers;
  struct ArrowArray** children;
  struct ArrowArray* dictionary;
  void (*release)(struct ArrowArray*);
  void* private_data;
};
#endif
#ifndef ARROW_C_STREAM_INTERFACE
#define ARROW_C_STREAM_INTERFACE
struct ArrowArrayStream {
  int (*get_schema)(struct ArrowArrayStream*, struct ArrowSchema* out);
  int (*get_next)(struct ArrowArrayStream*, struct ArrowArray* out);
  const char* (*get_last_error)(struct ArrowArrayStream*);
  void (*release)(struct ArrowArrayStream*);
  void* private_data;
};
#endif
}

namespace makemore {

// Owns a structure that another library gave us to release, and releases it once.
template <typename Struct>
class ArrowOwned {
 public:
  ArrowOwned() = default;
  // Moves the structure out of `given`, which is marked as released.
  explicit ArrowOwned(Struct& given) : held_(given) { given.release = nullptr; }
  ArrowOwned(ArrowOwned&& other) noexcept : ArrowOwned(other.held_) {}
  ArrowOwned& operator=(ArrowOwned&& other) noexcept {
    release();
    held_ = other.held_;
    other.held_.release = nullptr;
    return *this;
  }
  ~ArrowOwned() { release(); }

  bool is_released() const { return held_.release == nullptr; }
  Struct* get() { return &held_; }
  const Struct& operator*() const { return held_; }
  const Struct* operator->() const { return &held_; }

 private:
  void release() {
    if (held_.release != nullptr) held_.release(&held_);
    held_.release = nullptr;
  }
  Struct held_{};
};

enum class TextLayout { utf8, large_utf8, string_view };

// The layout for the format of a schema; none where the array does not hold texts.
std::optional<TextLayout> text_layout(std::string_view format);

// The texts of one array, which must live as long as this object is used.
class ArrowTexts {
 public:
  ArrowTexts() = default;
  // Throws ArgumentError where the numbers of the array contradict each other or its offsets do not
  // rise.  Errors call the array `name` and text 0 `name`[first].
  ArrowTexts(const std::string& name, TextLayout layout, const ArrowArray& array, int64_t first);

  int64_t count() const { return count_; }

  // Text i in [0, count()), whose bytes may not be UTF-8; for a null a view whose data() is null.
  // Throws ArgumentError, which calls the text `name`[first + i], where it lies outside its buffer.
  std::string_view text(int64_t i, const std::string& name, int64_t first) const;

 private:
  template <typename Offset>
  void check_offsets(const std::string& name, int64_t first) const;
  template <typename Offset>
  std::string_view between_offsets(int64_t slot, const std::string& name, int64_t number) const;
  std::string_view in_view(int64_t slot, const std::string& name, int64_t number) const;

  TextLayout layout_ = TextLayout::utf8;
  int64_t count_ = 0, offset_ = 0;
  const uint8_t* validity_ = nullptr;  // null where no text of the array is null
  const char* slots_ = nullptr;        // offsets or views
  const char* bytes_ = nullptr;        // the characters of utf8 and large_utf8
  const void* const* buffers_ = nullptr;
  const char* buffer_sizes_ = nullptr;
  int64_t n_buffers_ = 0;  // the number of buffers with a string_view's characters
};

}  // namespace makemore
