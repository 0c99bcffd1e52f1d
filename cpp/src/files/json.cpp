// The canonical form of strings and integers, written and read.
#include "files/json.hpp"

#include <algorithm>
#include <charconv>
#include <limits>

#include "base/utf8.hpp"
#include "makemore/error.hpp"

namespace makemore::json {

namespace {

constexpr std::string_view kEscapes = "\"\\bfnrt";
constexpr std::string_view kEscaped = "\"\\\b\f\n\r\t";
constexpr char kHexadecimal[] = "0123456789abcdef";
constexpr size_t kMostShown = 40;  // bytes of the text in an error's sentence

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20; }

}  // namespace

void append_string(std::string& out, std::string_view content) {
  out += '"';
  for (const char c : content) {
    const size_t which = kEscaped.find(c);
    if (which != std::string_view::npos) {
      out += '\\';
      out += kEscapes[which];
    } else if (is_control(c)) {
      out += "\\u00";
      out += kHexadecimal[c / 16];
      out += kHexadecimal[c % 16];
    } else {
      out += c;
    }
  }
  out += '"';
}

void Reader::fail(const std::string& sentence) const {
  throw ArgumentError(what_ + ", byte " + std::to_string(at_) + ": " + sentence);
}

bool Reader::accept(std::string_view wanted) {
  if (!text_.substr(at_).starts_with(wanted)) return false;
  at_ += wanted.size();
  return true;
}

void Reader::expect(std::string_view wanted) {
  if (accept(wanted)) return;
  const std::string_view found = text_.substr(at_, std::min(wanted.size(), kMostShown));
  fail("expected '" + show_text(wanted) + "', found '" + show_text(found) + "'");
}

void Reader::expect_end() {
  if (at_ != text_.size()) fail("the text goes on after its end");
}

std::string Reader::string() {
  expect("\"");
  std::string content;
  while (!accept("\"")) {
    if (at_ == text_.size()) fail("the text ends inside a string");
    if (accept("\\")) {
      content += escaped_character();
      continue;
    }
    if (is_control(text_[at_])) fail("a control character inside a string");
    const size_t before = at_;
    if (next_code_point(text_, at_) == kNotUtf8) fail("a string that is not valid UTF-8");
    content += text_.substr(before, at_ - before);
  }
  return content;
}

// Reads what comes behind a backslash and returns the character for which it stands.
char Reader::escaped_character() {
  constexpr size_t kDigitsEnd = 5;  // the length of "u001f"
  for (size_t which = 0; which < kEscapes.size(); ++which) {
    if (accept(kEscapes.substr(which, 1))) return kEscaped[which];
  }
  const std::string_view digits = text_.substr(at_, kDigitsEnd);
  for (char c = 0; is_control(c); ++c) {
    std::string escape;
    append_string(escape, std::string_view(&c, 1));
    if (escape.substr(2, escape.size() - 3) != digits) continue;
    at_ += digits.size();
    return c;
  }
  fail("an escape that the canonical form does not have");
}

uint64_t Reader::integer() {
  const char* const begin = text_.data() + at_;
  uint64_t value = 0;
  const auto [rest, error] = std::from_chars(begin, text_.data() + text_.size(), value);
  if (error == std::errc::invalid_argument) fail("expected an integer");
  if (error != std::errc()) fail("the integer does not fit in 64 bits");
  if (*begin == '0' && rest - begin > 1) fail("an integer with leading zeros");
  at_ += static_cast<size_t>(rest - begin);
  return value;
}

int64_t Reader::size() {
  constexpr uint64_t kLargest = std::numeric_limits<int64_t>::max();
  return static_cast<int64_t>(std::min(integer(), kLargest));
}

}  // namespace makemore::json
