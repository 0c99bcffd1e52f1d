// JSON in one canonical form (RFC 8259, no white space): what Python's
// json.dumps(value, ensure_ascii=False, separators=(",", ":")) writes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace makemore::json {

// Appends a string in quotes: UTF-8 as it is, and only the escapes that JSON demands, in their
// shortest form.
void append_string(std::string& out, std::string_view content);

// Reads a text from its beginning, part by part, where each part stands in the canonical form.  All
// errors are ArgumentErrors that name the text and the byte.
class Reader {
 public:
  // `what` is what errors call the text.
  Reader(std::string_view text, std::string what) : text_(text), what_(std::move(what)) {}

  size_t at() const { return at_; }  // the byte that is read next

  // Skips `wanted` and returns true where the text goes on with it.
  bool accept(std::string_view wanted);
  void expect(std::string_view wanted);
  void expect_end();

  std::string string();
  uint64_t integer();
  int64_t size();  // an integer; what does not fit is the largest, which is beyond every limit

 private:
  [[noreturn]] void fail(const std::string& sentence) const;
  char escaped_character();

  std::string_view text_;
  std::string what_;
  size_t at_ = 0;
};

}  // namespace makemore::json
