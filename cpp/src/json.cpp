// A strict recursive-descent JSON parser (RFC 8259) and a canonical writer.
#include "json.hpp"

#include <charconv>
#include <unordered_set>
#include <utility>

#include "makemore/error.hpp"
#include "utf8.hpp"

namespace makemore::json {

namespace {

constexpr int kMaxDepth = 16;         // the model file needs 3; the parser recurses
constexpr size_t kMaxKeyBytes = 256;  // keys appear in errors
constexpr char kEscapes[] = "\"\\/bfnrt";
constexpr char kEscaped[] = "\"\\/\b\f\n\r\t";

class Parser {
 public:
  Parser(std::string_view text, const std::string& what) : text_(text), what_(what) {}

  Object document() {
    skip_white_space();
    Object members = object(0);
    skip_white_space();
    if (at_ != text_.size()) fail("unexpected text after the object");
    return members;
  }

 private:
  [[noreturn]] void fail(const std::string& sentence) const {
    throw FormatError(what_ + ", byte " + std::to_string(at_) + ": " + sentence);
  }

  void skip_white_space() {
    while (at_ < text_.size() &&
           std::string_view(" \t\n\r").find(text_[at_]) != std::string_view::npos) {
      ++at_;
    }
  }

  // Skips `wanted` and returns true when the text goes on with it.
  bool accept(std::string_view wanted) {
    if (!text_.substr(at_).starts_with(wanted)) return false;
    at_ += wanted.size();
    return true;
  }

  void expect(std::string_view wanted) {
    if (!accept(wanted)) fail("expected '" + std::string(wanted) + "'");
  }

  Value next_value(int depth) {
    if (depth > kMaxDepth) fail("nested deeper than " + std::to_string(kMaxDepth) + " levels");
    skip_white_space();
    if (at_ == text_.size()) fail("expected a value, but the text ends");
    const char first = text_[at_];
    if (first == '{') return object(depth);
    if (first == '[') return array(depth);
    if (first == '"') return string();
    if (first >= '0' && first <= '9') return integer();
    if (accept("null")) return nullptr;
    fail("expected an object, an array, a string, an unsigned integer or null");
  }

  Object object(int depth) {
    Object members;
    std::unordered_set<std::string> keys;
    expect("{");
    skip_white_space();
    if (accept("}")) return members;
    do {
      skip_white_space();
      std::string key = string();
      if (key.size() > kMaxKeyBytes)
        fail("a key longer than " + std::to_string(kMaxKeyBytes) + " bytes");
      if (!keys.insert(key).second) fail("the key '" + show_text(key) + "' occurs twice");
      skip_white_space();
      expect(":");
      Value value = next_value(depth + 1);
      members.push_back({std::move(key), std::move(value)});
      skip_white_space();
    } while (accept(","));
    expect("}");
    return members;
  }

  Array array(int depth) {
    Array values;
    expect("[");
    skip_white_space();
    if (accept("]")) return values;
    do {
      values.push_back(next_value(depth + 1));
      skip_white_space();
    } while (accept(","));
    expect("]");
    return values;
  }

  uint64_t integer() {
    const char* const begin = text_.data() + at_;
    const char* const end = text_.data() + text_.size();
    uint64_t value = 0;
    const auto [rest, error] = std::from_chars(begin, end, value);
    if (error != std::errc()) fail("the integer does not fit in 64 bits");
    if (*begin == '0' && rest - begin > 1) fail("an integer with leading zeros");
    if (rest != end && (*rest == '.' || *rest == 'e' || *rest == 'E')) {
      fail("a floating-point number, where only integers are used");
    }
    at_ += static_cast<size_t>(rest - begin);
    return value;
  }

  std::string string() {
    std::string content;
    expect("\"");
    while (!accept("\"")) {
      if (at_ == text_.size()) fail("the text ends inside a string");
      if (accept("\\")) {
        append_utf8(content, escaped_character());
        continue;
      }
      if (static_cast<unsigned char>(text_[at_]) < 0x20)
        fail("a control character inside a string");
      const char32_t character = next_code_point(text_, at_);
      if (character == kNotUtf8) fail("a string that is not valid UTF-8");
      append_utf8(content, character);
    }
    return content;
  }

  // What stands behind a backslash.
  char32_t escaped_character() {
    if (accept("u")) return escaped_code_point();
    const size_t which =
        at_ < text_.size() ? std::string_view(kEscapes).find(text_[at_]) : std::string_view::npos;
    if (which == std::string_view::npos) fail("an unknown escape in a string");
    ++at_;
    return static_cast<unsigned char>(kEscaped[which]);
  }

  // What stands behind \u; characters above U+FFFF are two escapes (RFC 8259, section 7).
  char32_t escaped_code_point() {
    const char32_t first = four_hexadecimal_digits();
    if (first < 0xD800 || first > 0xDFFF) return first;
    if (first <= 0xDBFF && accept("\\u")) {
      const char32_t second = four_hexadecimal_digits();
      if (second >= 0xDC00 && second <= 0xDFFF) {
        return 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
      }
    }
    fail("an escaped surrogate without its partner");
  }

  char32_t four_hexadecimal_digits() {
    const std::string_view digits = text_.substr(at_, 4);
    uint32_t value = 0;
    const auto [rest, error] = std::from_chars(digits.begin(), digits.end(), value, 16);
    if (digits.size() < 4 || rest != digits.end() || error != std::errc()) {
      fail("\\u must be followed by four hexadecimal digits");
    }
    at_ += 4;
    return value;
  }

  std::string_view text_;
  const std::string& what_;
  size_t at_ = 0;
};

void append_string(std::string& out, const std::string& content) {
  out += '"';
  for (const char c : content) {
    const size_t which =
        c == '/' || c == '\0' ? std::string_view::npos : std::string_view(kEscaped).find(c);
    if (which != std::string_view::npos) {
      out += {'\\', kEscapes[which]};
    } else if (static_cast<unsigned char>(c) < 0x20) {
      const auto code = static_cast<unsigned char>(c);
      out +=
          {'\\', 'u', '0', '0', static_cast<char>('0' + code / 16), "0123456789abcdef"[code % 16]};
    } else {
      out += c;
    }
  }
  out += '"';
}

void append(std::string& out, const Value& value);

// `append_one` for each element, commas between, brackets around.
template <typename Elements, typename AppendOne>
void append_list(std::string& out, const char* brackets, const Elements& elements,
                 AppendOne append_one) {
  out += brackets[0];
  for (size_t i = 0; i < elements.size(); ++i) {
    if (i > 0) out += ',';
    append_one(elements[i]);
  }
  out += brackets[1];
}

void append(std::string& out, const Value& value) {
  if (const auto* integer = std::get_if<uint64_t>(&value.data)) {
    out += std::to_string(*integer);
  } else if (const auto* text = std::get_if<std::string>(&value.data)) {
    append_string(out, *text);
  } else if (const auto* array = std::get_if<Array>(&value.data)) {
    append_list(out, "[]", *array, [&out](const Value& element) { append(out, element); });
  } else if (const auto* object = std::get_if<Object>(&value.data)) {
    append_list(out, "{}", *object, [&out](const Member& member) {
      append_string(out, member.key);
      out += ':';
      append(out, member.value);
    });
  } else {
    out += "null";
  }
}

}  // namespace

Value::Value(std::nullptr_t) : data(nullptr) {}
Value::Value(uint64_t integer) : data(integer) {}
Value::Value(std::string text) : data(std::move(text)) {}
Value::Value(const char* text) : data(std::string(text)) {}
Value::Value(Array array) : data(std::move(array)) {}
Value::Value(Object object) : data(std::move(object)) {}

const Value* find(const Object& object, std::string_view key) {
  for (const Member& member : object) {
    if (member.key == key) return &member.value;
  }
  return nullptr;
}

Object parse_object(std::string_view text, const std::string& what) {
  return Parser(text, what).document();
}

std::string write(const Value& value) {
  std::string out;
  append(out, value);
  return out;
}

}  // namespace makemore::json
