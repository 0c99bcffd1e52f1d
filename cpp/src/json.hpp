// The JSON that the model file needs: null, unsigned 64-bit integers, strings, arrays, objects.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace makemore::json {

struct Value;
struct Member;
using Array = std::vector<Value>;
using Object = std::vector<Member>;  // in the order of the text, keys unique

struct Value {
  std::variant<std::nullptr_t, uint64_t, std::string, Array, Object> data;

  Value(std::nullptr_t);
  Value(uint64_t integer);
  Value(std::string text);
  Value(const char* text);
  Value(Array array);
  Value(Object object);
};

struct Member {
  std::string key;
  Value value;
};

// The value of a key, or null where the object has none.
const Value* find(const Object& object, std::string_view key);

// The object that is the whole text, but for white space around it.  Strict: UTF-8, unique keys,
// bounded depth and key length; booleans and numbers that are not unsigned 64-bit integers are
// refused, because no field has them.  `what` is what errors call the text.  Throws FormatError
// naming it and the byte.
Object parse_object(std::string_view text, const std::string& what);

// Canonical: no white space, UTF-8 as it is, only the escapes that JSON demands and these in their
// shortest form; what Python's json.dumps(ensure_ascii=False, separators=(",", ":")) writes.
std::string write(const Value& value);

}  // namespace makemore::json
