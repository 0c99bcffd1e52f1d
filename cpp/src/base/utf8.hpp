// UTF-8 without exceptions (no overlong forms, no surrogates, nothing above U+10FFFF), and how
// errors show text.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace makemore {

// next_code_point returns this where the bytes are not UTF-8.
constexpr char32_t kNotUtf8 = 0xFFFFFFFF;

// Returns the code point at text[at], where at < text.size(), and moves `at` behind it.  Where the
// bytes are not UTF-8 it returns kNotUtf8, and `at` stays.
char32_t next_code_point(std::string_view text, size_t& at);

bool is_utf8(std::string_view text);

void append_utf8(std::string& out, char32_t code_point);

// A character for an error's sentence: 'a', or 'é' (U+00E9), or only U+202E for a character that
// cannot be seen or would rearrange the sentence.
std::string show_character(char32_t code_point);

// Text for an error's sentence: always UTF-8 on one line; what cannot be shown becomes \u{202E} or
// \xff.
std::string show_text(std::string_view text);

}  // namespace makemore
