// A model's bytes are a tensor file whose metadata say everything except the parameters.
#include "makemore/model_file.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "base/utf8.hpp"
#include "files/file_io.hpp"
#include "files/json.hpp"
#include "files/sha256.hpp"
#include "files/tensor_file.hpp"
#include "makemore/error.hpp"

namespace makemore {

namespace {

constexpr char kFormat[] = "makemore_cpp";
constexpr uint64_t kVersion = 1;
constexpr size_t kMaxNameBytes = 4096;  // room for a path

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

// Checks everything except the parameters.
void check_description(const SavedModel& model) {
  check_sizes(model.sizes);
  if (model.vocabulary.size() != model.sizes.vocab_size) {
    throw ArgumentError("the vocabulary has " + std::to_string(model.vocabulary.size()) +
                        " tokens, but vocab_size is " + std::to_string(model.sizes.vocab_size));
  }
  if (model.data) check_origin(*model.data);
}

// -- metadata ------------------------------------------------------------------------------------
std::string write_metadata(const SavedModel& model) {
  std::string text;
  const auto member = [&text](const char* key) -> std::string& {
    text += text.empty() ? "{\"" : ",\"";
    text += key;
    return text += "\":";
  };
  const auto [T, E, H, V, is_direct] = model.sizes;
  json::append_string(member("format"), kFormat);
  member("version") += std::to_string(kVersion);
  member("block_size") += std::to_string(T);
  member("n_embd") += std::to_string(E);
  member("n_hidden") += std::to_string(H);
  member("vocab_size") += std::to_string(V);
  if (is_direct) member("direct") += "true";
  const Vocabulary& vocabulary = model.vocabulary;
  json::append_string(member("boundary"), vocabulary.boundary());
  member(vocabulary.is_plain() ? "characters" : "tokens") += '[';
  bool is_first = true;
  for (const std::string& token : vocabulary.tokens()) {
    if (!std::exchange(is_first, false)) text += ',';
    json::append_string(text, token);
  }
  text += ']';
  if (!vocabulary.is_plain()) {
    json::append_string(member("separator"), vocabulary.separator());
    const std::optional<std::string> unknown = vocabulary.unknown();
    member("unknown");
    unknown ? json::append_string(text, *unknown) : void(text += "null");
  }
  member("data");
  if (!model.data) return text + "null}";
  text += "{\"name\":";
  json::append_string(text, model.data->name);
  text += ",\"sha256\":";
  json::append_string(text, model.data->sha256);
  text += ",\"split_seed\":";
  text += model.data->split_seed ? std::to_string(*model.data->split_seed) : "null";
  return text + "}}";
}

void read_format(json::Reader& reader) {
  reader.expect("{\"format\":");
  const std::string format = reader.string();
  if (format != kFormat) {
    throw ArgumentError("its format is '" + show_text(format.substr(0, 100)) +
                        "', not that of a net of makemore_cpp");
  }
  reader.expect(",\"version\":");
  const uint64_t version = reader.integer();
  if (version > kVersion) {
    throw ArgumentError(
        "it was written by a newer release of makemore_cpp: its format version is " +
        std::to_string(version) + ", and this release reads up to " + std::to_string(kVersion));
  }
  if (version != kVersion) {
    throw ArgumentError("the format version " + std::to_string(version) + " does not exist");
  }
}

std::optional<DataOrigin> read_origin(json::Reader& reader) {
  if (reader.accept("null")) return std::nullopt;
  DataOrigin data;
  reader.expect("{\"name\":");
  data.name = reader.string();
  reader.expect(",\"sha256\":");
  data.sha256 = reader.string();
  reader.expect(",\"split_seed\":");
  if (!reader.accept("null")) data.split_seed = reader.integer();
  reader.expect("}");
  return data;
}

Vocabulary read_vocabulary(json::Reader& reader) {
  reader.expect(",\"boundary\":");
  const std::string boundary = reader.string();
  const bool is_general = reader.accept(",\"tokens\":[");
  if (!is_general) reader.expect(",\"characters\":[");
  std::vector<std::string> tokens;
  if (!reader.accept("]")) {
    do {
      tokens.push_back(reader.string());
    } while (reader.accept(","));
    reader.expect("]");
  }
  if (!is_general) return Vocabulary(tokens, boundary);
  reader.expect(",\"separator\":");
  const std::string separator = reader.string();
  reader.expect(",\"unknown\":");
  std::optional<std::string> unknown;
  if (!reader.accept("null")) unknown = reader.string();
  Vocabulary vocabulary(tokens, boundary, separator, unknown);
  if (vocabulary.is_plain()) throw ArgumentError("the tokens are characters, but not named so");
  return vocabulary;
}

// Returns the model without its parameters.
SavedModel read_metadata(const std::string& text) {
  json::Reader reader(text, "the metadata");
  read_format(reader);
  Sizes sizes;
  reader.expect(",\"block_size\":");
  sizes.block_size = reader.size();
  reader.expect(",\"n_embd\":");
  sizes.n_embd = reader.size();
  reader.expect(",\"n_hidden\":");
  sizes.n_hidden = reader.size();
  reader.expect(",\"vocab_size\":");
  sizes.vocab_size = reader.size();
  sizes.is_direct = reader.accept(",\"direct\":true");
  // The vocabulary has a variable of its own, because GCC 12 destroys members twice when an
  // exception leaves the initialisation of nested aggregates.
  Vocabulary vocabulary = read_vocabulary(reader);
  reader.expect(",\"data\":");
  std::optional<DataOrigin> data = read_origin(reader);
  reader.expect("}");
  reader.expect_end();
  SavedModel model{.sizes = sizes,
                   .vocabulary = std::move(vocabulary),
                   .parameters = {},
                   .data = std::move(data)};
  check_description(model);
  return model;
}

// -- parameters ----------------------------------------------------------------------------------
// The five arrays as tensors, in the order in which they stand in the file.
std::vector<Tensor> tensors_of(const Sizes& sizes, const ParameterArrays& arrays) {
  std::vector<Tensor> tensors;
  for (size_t i = 0; i < kParameters.size(); ++i) {
    tensors.push_back({kParameters[i].name, Number::float32, shape_of(kParameters[i], sizes),
                       bytes_of(*arrays.all()[i])});
  }
  return tensors;
}

void check_sizes_of_arrays(const SavedModel& model) {
  check_description(model);
  for (const Tensor& tensor : tensors_of(model.sizes, model.parameters)) {
    int64_t count = 1;
    for (const int64_t size : tensor.shape) count *= size;
    const auto elements = static_cast<int64_t>(tensor.data.size() / sizeof(float));
    if (elements == count) continue;
    throw ArgumentError(tensor.name + " has " + std::to_string(elements) +
                        " elements, which is not what the sizes of the model demand");
  }
}

TensorFile file_of(const SavedModel& model) {
  return {.metadata = write_metadata(model), .tensors = tensors_of(model.sizes, model.parameters)};
}

std::string described(const Tensor& tensor) {
  std::string text = std::string(name_of(tensor.number)) + " (";
  for (size_t i = 0; i < tensor.shape.size(); ++i) {
    text += (i > 0 ? ", " : "") + std::to_string(tensor.shape[i]);
  }
  return text + ")";
}

void check_tensors(const std::vector<Tensor>& found, const std::vector<Tensor>& expected) {
  for (size_t i = 0; i < std::max(found.size(), expected.size()); ++i) {
    if (i >= expected.size()) {
      throw ArgumentError("there is an unknown tensor '" + show_text(found[i].name) + "'");
    }
    if (i >= found.size() || found[i].name != expected[i].name) {
      throw ArgumentError("the tensor " + expected[i].name + " is missing from its place");
    }
    if (found[i].number != expected[i].number || found[i].shape != expected[i].shape) {
      throw ArgumentError("the tensor " + expected[i].name + " is " + described(found[i]) +
                          ", and the sizes of the model demand " + described(expected[i]));
    }
  }
}

SavedModel read_model(std::string_view bytes) {
  const TensorFile file = tensors_from_bytes(bytes);
  SavedModel model = read_metadata(file.metadata);
  check_tensors(file.tensors, tensors_of(model.sizes, {}));
  model.parameters = ParameterArrays(model.sizes);
  const auto arrays = model.parameters.all();
  for (size_t i = 0; i < arrays.size(); ++i) {
    std::memcpy(arrays[i]->data(), file.tensors[i].data.data(), file.tensors[i].data.size());
  }
  return model;
}

}  // namespace

void check_model(const SavedModel& model) {
  check_sizes_of_arrays(model);
  check(file_of(model));
}

std::string model_to_bytes(const SavedModel& model) {
  check_sizes_of_arrays(model);
  return to_bytes(file_of(model));  // to_bytes checks that all numbers are finite
}

SavedModel model_from_bytes(std::string_view bytes, const std::string& name) {
  return reading(name, [bytes] { return read_model(bytes); });
}

void save_model(const std::string& path, const SavedModel& model) {
  write_file_atomically(path, model_to_bytes(model));
}

SavedModel load_model(const std::string& path) {
  return reading(path, [&path] { return read_model(read_tensor_file(path)); });
}

}  // namespace makemore
