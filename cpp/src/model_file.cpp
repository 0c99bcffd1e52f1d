// The model's bytes: checked, written, and read back only if writing them again gives the same
// bytes.
#include "makemore/model_file.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "file_io.hpp"
#include "makemore/error.hpp"
#include "model_metadata.hpp"
#include "safetensors.hpp"
#include "sha256.hpp"
#include "utf8.hpp"

namespace makemore {

namespace {

// -- the tensors --------------------------------------------------------------------------------

std::vector<TensorShape> tensor_shapes(const Sizes& sizes) {
  const auto [T, E, H, V] = sizes;
  return {{"C", {V, E}}, {"W1", {T * E, H}}, {"b1", {H}}, {"W2", {H, V}}, {"b2", {V}}};
}

// Pointers to the arrays, in the order of tensor_shapes.
template <typename Arrays>
auto in_order(Arrays& arrays) {
  return std::array{&arrays.C, &arrays.W1, &arrays.b1, &arrays.W2, &arrays.b2};
}

std::string_view bytes_of(const std::vector<float>& array) {
  return {reinterpret_cast<const char*>(array.data()), array.size() * sizeof(float)};
}

void check_finite(const SavedModel& model) {
  const std::vector<TensorShape> shapes = tensor_shapes(model.sizes);
  const auto arrays = in_order(model.parameters);
  for (size_t i = 0; i < arrays.size(); ++i) {
    const auto bad = std::find_if_not(arrays[i]->begin(), arrays[i]->end(),
                                      [](float value) { return std::isfinite(value); });
    if (bad == arrays[i]->end()) continue;
    const int64_t columns = shapes[i].shape.back();
    const int64_t place = bad - arrays[i]->begin();
    std::string indices = std::to_string(place % columns);
    if (shapes[i].shape.size() == 2) indices = std::to_string(place / columns) + ", " + indices;
    throw ArgumentError(shapes[i].name + "[" + indices + "] is " + std::to_string(*bad) +
                        ": every parameter of a saved model must be finite");
  }
}

// -- the whole file -----------------------------------------------------------------------------

std::string write_header(const SavedModel& model, const std::string& digest) {
  return write_safetensors_header(write_metadata(model, digest), tensor_shapes(model.sizes));
}

// The SHA-256 of the whole file with zeros in the place of this digest.
std::string digest_of(const SavedModel& model) {
  Sha256 sha256;
  sha256.update(write_header(model, std::string(kDigestDigits, '0')));
  for (const std::vector<float>* array : in_order(model.parameters)) {
    sha256.update(bytes_of(*array));
  }
  return sha256.finish();
}

struct FileStart {
  Description description;
  int64_t header_bytes;
  int64_t file_bytes;
};

// Checks all that can be known from the header; the data may be missing.
FileStart read_start(std::string_view bytes) {
  const SafetensorsHeader header = read_safetensors_header(bytes);
  Description description = read_metadata(header.metadata);
  const std::vector<TensorShape> shapes = tensor_shapes(description.model.sizes);
  check_tensors(header, shapes);
  // The schema alone would let pass: white space, escapes, the order of keys, other metadata keys.
  const std::string expected = write_header(description.model, description.digest);
  if (!bytes.starts_with(expected)) {
    throw ArgumentError("the header is not in the one form that a model file has");
  }
  const auto header_bytes = static_cast<int64_t>(expected.size());
  return {.description = std::move(description),
          .header_bytes = header_bytes,
          .file_bytes = header_bytes + data_bytes(shapes)};
}

SavedModel read_all(std::string_view bytes) {
  auto [description, header_bytes, file_bytes] = read_start(bytes);
  const auto size = static_cast<int64_t>(bytes.size());
  if (size < file_bytes) {
    throw ArgumentError("the file is cut off: it has " + std::to_string(size) + " of " +
                        std::to_string(file_bytes) + " bytes");
  }
  if (size > file_bytes) {
    throw ArgumentError("the file goes on after the " + std::to_string(file_bytes) +
                        " bytes of the model");
  }
  SavedModel model = std::move(description.model);
  model.parameters = ParameterArrays(model.sizes);
  const char* data = bytes.data() + header_bytes;
  for (std::vector<float>* array : in_order(model.parameters)) {
    const size_t count = bytes_of(*array).size();
    std::copy_n(data, count, reinterpret_cast<char*>(array->data()));
    data += count;
  }
  if (digest_of(model) != description.digest) {
    throw ArgumentError("the file is damaged: its bytes do not have the digest that it names");
  }
  check_finite(model);
  return model;
}

// What is wrong inside the bytes of a file becomes a FormatError that names the file.
template <typename Read>
auto reading(const std::string& name, Read read) {
  try {
    return read();
  } catch (const ArgumentError& error) {
    throw FormatError(show_text(name) + ": " + error.what());
  }
}

}  // namespace

void check_model(const SavedModel& model) {
  check_description(model);
  const std::vector<TensorShape> shapes = tensor_shapes(model.sizes);
  const auto arrays = in_order(model.parameters);
  for (size_t i = 0; i < arrays.size(); ++i) {
    const auto bytes = static_cast<int64_t>(bytes_of(*arrays[i]).size());
    if (bytes == data_bytes({shapes[i]})) continue;
    throw ArgumentError(shapes[i].name + " has " + std::to_string(arrays[i]->size()) +
                        " elements, which is not what the sizes of the model demand");
  }
  check_finite(model);
}

std::string model_to_bytes(const SavedModel& model) {
  check_model(model);
  std::string bytes = write_header(model, digest_of(model));
  bytes.reserve(bytes.size() + static_cast<size_t>(data_bytes(tensor_shapes(model.sizes))));
  for (const std::vector<float>* array : in_order(model.parameters)) bytes += bytes_of(*array);
  return bytes;
}

SavedModel model_from_bytes(std::string_view bytes, const std::string& name) {
  return reading(name, [bytes] { return read_all(bytes); });
}

void save_model(const std::string& path, const SavedModel& model) {
  write_file_atomically(path, model_to_bytes(model));
}

SavedModel load_model(const std::string& path) {
  // The header says how long the file must be, so that nothing longer is ever read into memory.
  FileReader file(path);
  std::string bytes;
  file.extend(bytes, kMaxBytesBeforeData);
  const int64_t file_bytes = reading(path, [&bytes] { return read_start(bytes).file_bytes; });
  file.extend(bytes, file_bytes + 1);
  return model_from_bytes(bytes, path);
}

}  // namespace makemore
