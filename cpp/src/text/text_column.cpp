// Makes UTF-8 of tokens, and the structures by which other libraries read it.
#include "text/text_column.hpp"

#include <array>
#include <cstring>
#include <string>

namespace makemore {

namespace {

// The characters of a vocabulary that has only ASCII, where each token is one byte.
struct AsciiTable {
  explicit AsciiTable(const Vocabulary& vocabulary)
      : is_ascii(vocabulary.size() <= 128 && !vocabulary.has_words()) {
    for (int32_t token = 0; is_ascii && token < vocabulary.size(); ++token) {
      const char32_t c = vocabulary.code_point_of(token);
      is_ascii = c < 128;
      characters[static_cast<size_t>(token)] = static_cast<char>(c);
    }
  }
  bool is_ascii;
  std::array<char, 128> characters{};
};

// The memory that an exported array needs until it is released.
struct Exported {
  std::shared_ptr<const TextColumn> column;
  std::array<const void*, 3> buffers;  // validity (none), offsets, bytes
};

void release_schema(ArrowSchema* schema) { schema->release = nullptr; }

void release_array(ArrowArray* array) {
  delete static_cast<Exported*>(array->private_data);
  array->release = nullptr;
}

}  // namespace

// Makes room for so many bytes behind the last text, and for the offsets of more texts.
char* TextColumn::grow(int64_t bytes, int64_t texts) {
  const int64_t end = offsets_[count()];
  bytes_.shrink(end);  // drops what a call that found no memory may have left
  char* const room = bytes_.grow(bytes);
  offsets_.grow(texts);
  return room;
}

void TextColumn::append(std::string_view text) {
  const int64_t before = count(), end = offsets_[before], size = std::ssize(text);
  char* const room = grow(size, 1);
  if (size > 0) std::memcpy(room, text.data(), text.size());
  offsets_[before + 1] = end + size;
}

void TextColumn::append(const TextColumn& other) {  // `other` may be this column
  const int64_t before = count(), end = offsets_[before];
  const int64_t texts = other.count(), bytes = other.offsets_[texts];
  char* const room = grow(bytes, texts);
  if (bytes > 0) std::memcpy(room, other.bytes_.data(), static_cast<size_t>(bytes));
  for (int64_t i = 1; i <= texts; ++i) offsets_[before + i] = end + other.offsets_[i];
}

void TextColumn::append(const Vocabulary& vocabulary, std::span<const int32_t> tokens,
                        std::span<const int64_t> offsets) {
  const AsciiTable table(vocabulary);
  if (!table.is_ascii) {
    TextColumn texts;
    for (size_t i = 0; i + 1 < offsets.size(); ++i) {
      const auto begin = static_cast<size_t>(offsets[i]);
      const auto length = static_cast<size_t>(offsets[i + 1]) - begin;
      texts.append(vocabulary.decode(tokens.subspan(begin, length)));
    }
    return append(texts);
  }
  const int64_t before = count(), end = offsets_[before];
  char* room = grow(std::ssize(tokens), std::ssize(offsets) - 1);
  for (const int32_t token : tokens) *room++ = table.characters[static_cast<size_t>(token)];
  for (int64_t i = 1; i < std::ssize(offsets); ++i) {
    offsets_[before + i] = end + offsets[static_cast<size_t>(i)];
  }
}

void export_to_arrow(const std::shared_ptr<const TextColumn>& column, ArrowSchema& schema,
                     ArrowArray& array) {
  static const char kNoBytes[1] = {};
  const char* const bytes = column->bytes() == nullptr ? kNoBytes : column->bytes();
  auto* const exported = new Exported{column, {nullptr, column->offsets(), bytes}};
  schema = {};
  schema.format = "U";
  schema.name = "";
  schema.flags = ARROW_FLAG_NULLABLE;  // like the columns of texts of other libraries
  schema.release = release_schema;
  array = {};
  array.length = column->count();
  array.n_buffers = 3;
  array.buffers = exported->buffers.data();
  array.release = release_array;
  array.private_data = exported;
}

}  // namespace makemore
