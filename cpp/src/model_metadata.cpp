// Checks, writes and reads the JSON that describes a model, field by field.
#include "model_metadata.hpp"

#include <algorithm>
#include <limits>

#include "json.hpp"
#include "makemore/error.hpp"
#include "utf8.hpp"

namespace makemore {

namespace {

constexpr char kFormat[] = "makemore_cpp";
constexpr uint64_t kVersion = 1;
constexpr size_t kMaxNameBytes = 4096;  // room for a path

bool is_digest(const std::string& text) {
  return text.size() == kDigestDigits &&
         text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

void check_origin(const DataOrigin& data) {
  if (data.name.size() > kMaxNameBytes || !is_utf8(data.name)) {
    throw ArgumentError("the name of the data must be UTF-8 of at most " +
                        std::to_string(kMaxNameBytes) + " bytes, got " +
                        std::to_string(data.name.size()) + " bytes: '" +
                        show_text(data.name.substr(0, 100)) + "'");
  }
  if (!is_digest(data.sha256)) {
    throw ArgumentError("the sha256 of the data must be 64 lower-case hexadecimal digits, got '" +
                        show_text(data.sha256.substr(0, 100)) + "'");
  }
}

json::Object origin_object(const DataOrigin& data) {
  json::Object object{{"name", data.name}, {"sha256", data.sha256}, {"split_seed", nullptr}};
  if (data.split_seed) object.back().value = *data.split_seed;
  return object;
}

// Takes the fields of an object one by one; `what` is what errors call the object.
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

std::optional<DataOrigin> take_origin(Fields& metadata) {
  auto object = metadata.take_optional<json::Object>("data");
  if (!object) return std::nullopt;
  Fields fields(*std::move(object), "data in the metadata");
  DataOrigin data;
  data.name = fields.take<std::string>("name");
  data.sha256 = fields.take<std::string>("sha256");
  data.split_seed = fields.take_optional<uint64_t>("split_seed");
  fields.check_nothing_left();
  return data;
}

Vocabulary take_vocabulary(Fields& metadata) {
  std::vector<std::string> characters;
  for (const json::Value& value : metadata.take<json::Array>("characters")) {
    const auto* character = std::get_if<std::string>(&value.data);
    if (character == nullptr) throw ArgumentError("characters in the metadata are not all strings");
    characters.push_back(*character);
  }
  return Vocabulary(characters, metadata.take<std::string>("boundary"));
}

void check_format(Fields& metadata) {
  if (metadata.take<std::string>("format") != kFormat) {
    throw ArgumentError("it is not a model of makemore_cpp: the metadata name another format");
  }
  const auto version = metadata.take<uint64_t>("version");
  if (version > kVersion) {
    throw ArgumentError(
        "it was written by a newer release of makemore_cpp: its format version is " +
        std::to_string(version) + ", and this release reads up to " + std::to_string(kVersion));
  }
  if (version != kVersion) {
    throw ArgumentError("the format version " + std::to_string(version) + " does not exist");
  }
}

}  // namespace

void check_description(const SavedModel& model) {
  check_sizes(model.sizes);
  if (model.vocabulary.size() != model.sizes.vocab_size) {
    throw ArgumentError("the vocabulary has " + std::to_string(model.vocabulary.size()) +
                        " tokens, but vocab_size is " + std::to_string(model.sizes.vocab_size));
  }
  if (model.data) check_origin(*model.data);
}

std::string write_metadata(const SavedModel& model, const std::string& digest) {
  const auto size = [](int64_t value) { return static_cast<uint64_t>(value); };
  const std::vector<std::string> characters = model.vocabulary.characters();
  return json::write(json::Object{
      {"format", kFormat},
      {"version", kVersion},
      {"block_size", size(model.sizes.block_size)},
      {"n_embd", size(model.sizes.n_embd)},
      {"n_hidden", size(model.sizes.n_hidden)},
      {"vocab_size", size(model.sizes.vocab_size)},
      {"boundary", model.vocabulary.boundary()},
      {"characters", json::Array(characters.begin(), characters.end())},
      {"data", model.data ? json::Value(origin_object(*model.data)) : nullptr},
      {"digest", digest},
  });
}

Description read_metadata(const std::string& text) {
  Fields fields(json::parse_object(text, "the metadata"), "the metadata");
  check_format(fields);
  const Sizes sizes{.block_size = fields.take_size("block_size"),
                    .n_embd = fields.take_size("n_embd"),
                    .n_hidden = fields.take_size("n_hidden"),
                    .vocab_size = fields.take_size("vocab_size")};
  // Each field into a variable of its own: GCC 12 destroys members twice when an exception leaves
  // the initialisation of nested aggregates.
  Vocabulary vocabulary = take_vocabulary(fields);
  std::optional<DataOrigin> data = take_origin(fields);
  std::string digest = fields.take<std::string>("digest");
  fields.check_nothing_left();
  SavedModel model{.sizes = sizes,
                   .vocabulary = std::move(vocabulary),
                   .parameters = {},
                   .data = std::move(data)};
  check_description(model);
  return {.model = std::move(model), .digest = std::move(digest)};
}

}  // namespace makemore
