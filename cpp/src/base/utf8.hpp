// UTF-8, strictly (no overlong forms, no surrogates, nothing above U+10FFFF), and text as errors
// show it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace makemore {

// What next_code_point returns instead of a code point.
constexpr char32_t kNotUtf8 = 0xFFFFFFFF;

// The code point at text[at], where at < text.size(); moves `at` behind it.  kNotUtf8, and `at`
// stays, where the bytes are not UTF-8.
char32_t next_code_point(std::string_view text, size_t& at);

bool is_utf8(std::string_view text);

void append_utf8(std::string& out, char32_t code_point);

// A character for an error's sentence: 'a', or 'é' (U+00E9), or U+202E alone for one that cannot be
// seen or would rearrange the sentence.
std::string show_character(char32_t code_point);

// Text for an error's sentence: always UTF-8 on one line; what cannot be shown becomes \u{202E} or
// \xff.
std::string show_text(std::string_view text);

}  // namespace makemore
