// The model's bytes: checked, written, and read back only if writing them again gives the same
// bytes.
#include "makemore/model_file.hpp"

#include "file_io.hpp"
#include "model_metadata.hpp"
#include "model_tensors.hpp"
#include "tensor_file.hpp"

namespace makemore {

namespace {

// What the file of a model holds; for what its header says, parameters are not needed.
TensorFile file_of(const SavedModel& model) {
  TensorFile file;
  file.metadata = [&model](const std::string& digest) {
    return write_metadata(kModelFile, model_members(model), digest);
  };
  append_shapes(file.tensors, model.sizes, "");
  append_data(file.data, model.parameters);
  return file;
}

struct Start {
  SavedModel model;  // without its parameters
  std::string digest;
  int64_t file_bytes;
};

// Checks all that can be known from the header; the data may be missing.
Start read_start(std::string_view bytes) {
  const SafetensorsHeader header = read_safetensors_header(bytes);
  Fields metadata = read_metadata(kModelFile, header.metadata);
  SavedModel model = take_model(metadata);
  std::string digest = metadata.take<std::string>("digest");
  metadata.check_nothing_left();
  const int64_t file_bytes = check_start(bytes, header, file_of(model), digest);
  return {.model = std::move(model), .digest = std::move(digest), .file_bytes = file_bytes};
}

SavedModel read_all(std::string_view bytes) {
  auto [model, digest, file_bytes] = read_start(bytes);
  check_length(bytes, file_bytes);
  model.parameters = ParameterArrays(model.sizes);
  std::vector<std::span<char>> data;
  append_data(data, model.parameters);
  copy_data(bytes, data);
  check_content(file_of(model), digest);
  return std::move(model);
}

}  // namespace

void check_model(const SavedModel& model) {
  check_description(model);
  check_numbers(file_of(model));
}

std::string model_to_bytes(const SavedModel& model) {
  check_model(model);
  return to_bytes(file_of(model));
}

SavedModel model_from_bytes(std::string_view bytes, const std::string& name) {
  return reading(name, [bytes] { return read_all(bytes); });
}

void save_model(const std::string& path, const SavedModel& model) {
  write_file_atomically(path, model_to_bytes(model));
}

SavedModel load_model(const std::string& path) {
  return reading(path, [&path] {
    return read_all(
        read_bytes(path, [](std::string_view bytes) { return read_start(bytes).file_bytes; }));
  });
}

}  // namespace makemore
