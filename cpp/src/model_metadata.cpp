// Checks, writes and reads the JSON that describes a model, field by field.
#include "model_metadata.hpp"

#include "makemore/error.hpp"
#include "sha256.hpp"
#include "utf8.hpp"

namespace makemore {

namespace {

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

}  // namespace

void check_description(const SavedModel& model) {
  check_sizes(model.sizes);
  if (model.vocabulary.size() != model.sizes.vocab_size) {
    throw ArgumentError("the vocabulary has " + std::to_string(model.vocabulary.size()) +
                        " tokens, but vocab_size is " + std::to_string(model.sizes.vocab_size));
  }
  if (model.data) check_origin(*model.data);
}

json::Object model_members(const SavedModel& model) {
  const auto size = [](int64_t value) { return static_cast<uint64_t>(value); };
  const std::vector<std::string> characters = model.vocabulary.characters();
  return {
      {"block_size", size(model.sizes.block_size)},
      {"n_embd", size(model.sizes.n_embd)},
      {"n_hidden", size(model.sizes.n_hidden)},
      {"vocab_size", size(model.sizes.vocab_size)},
      {"boundary", model.vocabulary.boundary()},
      {"characters", json::Array(characters.begin(), characters.end())},
      {"data", model.data ? json::Value(origin_object(*model.data)) : nullptr},
  };
}

SavedModel take_model(Fields& metadata) {
  const Sizes sizes{.block_size = metadata.take_size("block_size"),
                    .n_embd = metadata.take_size("n_embd"),
                    .n_hidden = metadata.take_size("n_hidden"),
                    .vocab_size = metadata.take_size("vocab_size")};
  // Each field into a variable of its own: GCC 12 destroys members twice when an exception leaves
  // the initialisation of nested aggregates.
  Vocabulary vocabulary = take_vocabulary(metadata);
  std::optional<DataOrigin> data = take_origin(metadata);
  SavedModel model{.sizes = sizes,
                   .vocabulary = std::move(vocabulary),
                   .parameters = {},
                   .data = std::move(data)};
  check_description(model);
  return model;
}

std::string write_metadata(const FileKind& kind, json::Object members, const std::string& digest) {
  json::Object all{{"format", kind.format}, {"version", kind.version}};
  for (json::Member& member : members) all.push_back(std::move(member));
  all.push_back({"digest", digest});
  return json::write(all);
}

Fields read_metadata(const FileKind& kind, const std::string& text) {
  Fields metadata(json::parse_object(text, "the metadata"), "the metadata");
  const auto format = metadata.take<std::string>("format");
  if (format != kind.format) {
    for (const FileKind& other : {kModelFile, kCheckpointFile}) {
      if (format == other.format) {
        throw ArgumentError(std::string("it is ") + other.name + ", not " + kind.name);
      }
    }
    throw ArgumentError("it is not " + std::string(kind.name) +
                        " of makemore_cpp: the metadata name another format");
  }
  const auto version = metadata.take<uint64_t>("version");
  if (version > kind.version) {
    throw ArgumentError(
        "it was written by a newer release of makemore_cpp: its format version is " +
        std::to_string(version) + ", and this release reads up to " + std::to_string(kind.version));
  }
  if (version != kind.version) {
    throw ArgumentError("the format version " + std::to_string(version) + " does not exist");
  }
  return metadata;
}

}  // namespace makemore
