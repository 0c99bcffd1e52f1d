// Takes the fields of a JSON object that stands in a file, each of the one type that it must have.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "json.hpp"
#include "makemore/error.hpp"
#include "utf8.hpp"

namespace makemore {

// `what` is what errors call the object.  All errors are ArgumentErrors.
class Fields {
 public:
  Fields(json::Object object, std::string what)
      : object_(std::move(object)), what_(std::move(what)) {}

  // Nothing where the field is null.
  template <typename T>
  std::optional<T> take_optional(const std::string& key) {
    const auto found = std::find_if(object_.begin(), object_.end(),
                                    [&key](const auto& member) { return member.key == key; });
    if (found == object_.end()) throw ArgumentError(what_ + " lacks " + key);
    const json::Value value = std::move(found->value);
    object_.erase(found);
    if (std::holds_alternative<std::nullptr_t>(value.data)) return std::nullopt;
    if (const T* content = std::get_if<T>(&value.data)) return *content;
    throw ArgumentError(key + " in " + what_ + " has the wrong type");
  }

  template <typename T>
  T take(const std::string& key) {
    std::optional<T> content = take_optional<T>(key);
    if (!content) throw ArgumentError(key + " in " + what_ + " is null");
    return *std::move(content);
  }

  int64_t take_size(const std::string& key) {
    // What does not fit in int64_t is beyond every limit, and stays so.
    constexpr uint64_t kLargest = std::numeric_limits<int64_t>::max();
    return static_cast<int64_t>(std::min(take<uint64_t>(key), kLargest));
  }

  void check_nothing_left() const {
    if (object_.empty()) return;
    throw ArgumentError(what_ + " has an unknown key '" + show_text(object_.front().key) + "'");
  }

 private:
  json::Object object_;  // what has not been taken
  std::string what_;
};

}  // namespace makemore
