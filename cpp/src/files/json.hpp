// JSON (RFC 8259) in one canonical form, the one that Python's
// json.dumps(value, ensure_ascii=False, separators=(",", ":")) writes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace makemore::json {

// Appends `content` as a string in quotes: UTF-8 stays as it is, and only the characters for which
// JSON demands it are escaped, in the shortest form.
void append_string(std::string& out, std::string_view content);

// Reads a text in the canonical form, part by part from its beginning.  All errors are
// ArgumentErrors that name the text and the byte.
class Reader {
 public:
  // `what` is what errors call the text.
  Reader(std::string_view text, std::string what) : text_(text), what_(std::move(what)) {}

  size_t at() const { return at_; }  // the byte that is read next

  // Skips `wanted` and returns true where the text goes on with it; else returns false.
  bool accept(std::string_view wanted);
  // Skips `wanted`, or throws.
  void expect(std::string_view wanted);
  void expect_end();

  std::string string();
  uint64_t integer();
  int64_t size();  // an integer; one that does not fit becomes the largest, beyond every limit

 private:
  [[noreturn]] void fail(const std::string& sentence) const;
  char escaped_character();

  std::string_view text_;
  std::string what_;
  size_t at_ = 0;
};

}  // namespace makemore::json
