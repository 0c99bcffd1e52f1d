// UTF-8 read and written, and text for the sentences of errors.
#include "base/utf8.hpp"

#include <algorithm>
#include <cstdio>
#include <iterator>

namespace makemore {

namespace {

bool is_scalar_value(char32_t c) { return c <= 0x10FFFF && !(c >= 0xD800 && c <= 0xDFFF); }

struct CodePoints {
  char32_t first, last;
};

// Characters that could hide in an error's sentence or rearrange it: controls, invisible and
// bidirectional format characters, line separators, tags.  (They are those of Unicode's general
// categories Cc, Cf, Zl and Zp that have no shape of their own.)
constexpr CodePoints kUnseen[] = {
    {0x0000, 0x001F}, {0x007F, 0x009F}, {0x00AD, 0x00AD},   {0x061C, 0x061C},
    {0x180E, 0x180E}, {0x200B, 0x200F}, {0x2028, 0x202E},   {0x2060, 0x206F},
    {0xFEFF, 0xFEFF}, {0xFFF9, 0xFFFB}, {0xE0000, 0xE007F},
};

bool is_unseen(char32_t c) {
  return std::any_of(std::begin(kUnseen), std::end(kUnseen),
                     [c](CodePoints unseen) { return c >= unseen.first && c <= unseen.last; });
}

std::string hexadecimal(const char* format, char32_t c) {
  char text[24];
  std::snprintf(text, sizeof text, format, static_cast<unsigned>(c));
  return text;
}

}  // namespace

char32_t next_code_point(std::string_view text, size_t& at) {
  const auto byte = [text](size_t i) -> char32_t {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0;
  };
  const char32_t lead = byte(at);
  if (lead < 0x80) {
    ++at;
    return lead;
  }
  if (lead < 0xC0 || lead >= 0xF8) return kNotUtf8;
  const size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  char32_t code_point = lead & (0x7Fu >> length);
  for (size_t i = 1; i < length; ++i) {
    const char32_t continuation = byte(at + i);
    if ((continuation & 0xC0) != 0x80) return kNotUtf8;
    code_point = code_point << 6 | (continuation & 0x3F);
  }
  constexpr char32_t kSmallestOfLength[] = {0, 0, 0x80, 0x800, 0x10000};  // less is overlong
  if (code_point < kSmallestOfLength[length] || !is_scalar_value(code_point)) return kNotUtf8;
  at += length;
  return code_point;
}

bool is_utf8(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    if (next_code_point(text, at) == kNotUtf8) return false;
  }
  return true;
}

void append_utf8(std::string& out, char32_t code_point) {
  const auto append = [&out](char32_t byte) { out += static_cast<char>(byte); };
  const auto append_continuation = [&](int shift) { append(0x80 | (code_point >> shift & 0x3F)); };
  if (code_point < 0x80) {
    append(code_point);
  } else if (code_point < 0x800) {
    append(0xC0 | code_point >> 6);
    append_continuation(0);
  } else if (code_point < 0x10000) {
    append(0xE0 | code_point >> 12);
    append_continuation(6);
    append_continuation(0);
  } else {
    append(0xF0 | code_point >> 18);
    append_continuation(12);
    append_continuation(6);
    append_continuation(0);
  }
}

std::string show_character(char32_t code_point) {
  const std::string number = hexadecimal("U+%04X", code_point);
  if (is_unseen(code_point) || !is_scalar_value(code_point)) return number;
  std::string shown = "'";
  append_utf8(shown, code_point);
  shown += "'";
  return code_point < 0x80 ? shown : shown + " (" + number + ")";
}

std::string show_text(std::string_view text) {
  constexpr size_t kMostBytes = 300;  // enough for a path, and not for somebody's whole text
  std::string shown;
  for (size_t at = 0; at < text.size();) {
    if (shown.size() >= kMostBytes) return shown + "…";
    const char32_t code_point = next_code_point(text, at);
    if (code_point == kNotUtf8) {
      shown += hexadecimal("\\x%02x", static_cast<unsigned char>(text[at++]));
    } else if (is_unseen(code_point)) {
      shown += hexadecimal("\\u{%04X}", code_point);
    } else {
      append_utf8(shown, code_point);
    }
  }
  return shown;
}

}  // namespace makemore
