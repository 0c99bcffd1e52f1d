// Writes the header of a safetensors file, and reads back what was written in this way and no
// other.
#include "safetensors.hpp"

#include <bit>
#include <cstring>
#include <limits>

#include "makemore/error.hpp"
#include "utf8.hpp"

namespace makemore {

// The file's numbers are copied to and from memory as they are.
static_assert(std::endian::native == std::endian::little);
static_assert(sizeof(float) == 4 && std::numeric_limits<float>::is_iec559);
static_assert(sizeof(double) == 8 && std::numeric_limits<double>::is_iec559);

namespace {

constexpr size_t kLengthBytes = 8;
constexpr size_t kAlignment = 8;
constexpr char kMetadata[] = "__metadata__";
constexpr char kOurKey[] = "makemore";

int64_t tensor_bytes(const TensorShape& tensor) {
  int64_t bytes = number_bytes(tensor.number);
  for (const int64_t size : tensor.shape) bytes *= size;
  return bytes;
}

json::Array integers(const std::vector<int64_t>& values) {
  json::Array array;
  for (const int64_t value : values) array.emplace_back(static_cast<uint64_t>(value));
  return array;
}

// One member of the header for each tensor.
json::Object tensor_entries(const std::vector<TensorShape>& tensors) {
  json::Object entries;
  int64_t begin = 0;
  for (const TensorShape& tensor : tensors) {
    const int64_t end = begin + tensor_bytes(tensor);
    const char* const dtype = tensor.number == Number::float32 ? "F32" : "F64";
    entries.push_back({tensor.name, json::Object{{"dtype", dtype},
                                                 {"shape", integers(tensor.shape)},
                                                 {"data_offsets", integers({begin, end})}}});
    begin = end;
  }
  return entries;
}

std::string_view json_text(std::string_view bytes) {
  uint64_t length = 0;
  if (bytes.size() < kLengthBytes) {
    throw ArgumentError("the file has only " + std::to_string(bytes.size()) +
                        " bytes: it is empty or cut off");
  }
  std::memcpy(&length, bytes.data(), kLengthBytes);
  if (length > static_cast<uint64_t>(kMaxHeaderBytes)) {
    throw ArgumentError("it is not a model file: its first 8 bytes claim a header of " +
                        std::to_string(length) + " bytes, and the limit is " +
                        std::to_string(kMaxHeaderBytes));
  }
  if (length > bytes.size() - kLengthBytes) {
    throw ArgumentError("the file is cut off: it ends after " + std::to_string(bytes.size()) +
                        " bytes, inside a header of " + std::to_string(length) + " bytes");
  }
  return bytes.substr(kLengthBytes, length);
}

// The text of the one metadata key that is ours.
std::string our_metadata(const json::Object& entries) {
  const json::Value* metadata = json::find(entries, kMetadata);
  const auto* keys = metadata == nullptr ? nullptr : std::get_if<json::Object>(&metadata->data);
  const json::Value* ours = keys == nullptr ? nullptr : json::find(*keys, kOurKey);
  const auto* text = ours == nullptr ? nullptr : std::get_if<std::string>(&ours->data);
  if (text == nullptr) {
    throw ArgumentError("it is a safetensors file, but not a model of makemore_cpp: " +
                        std::string(kMetadata) + " has no text under the key " + kOurKey);
  }
  return *text;
}

}  // namespace

int64_t number_bytes(Number number) {
  return number == Number::float32 ? sizeof(float) : sizeof(double);
}

std::string write_safetensors_header(const std::string& metadata,
                                     const std::vector<TensorShape>& tensors) {
  json::Object header{{kMetadata, json::Object{{kOurKey, metadata}}}};
  for (json::Member& entry : tensor_entries(tensors)) header.push_back(std::move(entry));
  std::string text = json::write(header);
  while ((kLengthBytes + text.size()) % kAlignment != 0) text += ' ';

  const uint64_t length = text.size();
  std::string bytes(kLengthBytes, '\0');
  std::memcpy(bytes.data(), &length, kLengthBytes);
  return bytes + text;
}

SafetensorsHeader read_safetensors_header(std::string_view bytes) {
  json::Object entries = json::parse_object(json_text(bytes), "the header");
  std::string metadata = our_metadata(entries);
  return {.entries = std::move(entries), .metadata = std::move(metadata)};
}

void check_tensors(const SafetensorsHeader& header, const std::vector<TensorShape>& tensors) {
  const json::Object expected = tensor_entries(tensors);
  for (const auto& [name, entry] : expected) {
    const json::Value* found = json::find(header.entries, name);
    if (found == nullptr) throw ArgumentError("the tensor " + name + " is missing");
    if (json::write(*found) != json::write(entry)) {
      throw ArgumentError("the tensor " + name + " is not described as " + json::write(entry) +
                          ", which the sizes of the model demand");
    }
  }
  for (const auto& [name, entry] : header.entries) {
    if (name != kMetadata && json::find(expected, name) == nullptr) {
      throw ArgumentError("there is an unknown tensor '" + show_text(name) + "'");
    }
  }
}

int64_t data_bytes(const std::vector<TensorShape>& tensors) {
  int64_t bytes = 0;
  for (const TensorShape& tensor : tensors) bytes += tensor_bytes(tensor);
  return bytes;
}

}  // namespace makemore
