// The only reader and writer of a model's bytes, which are a safetensors file with a digest over
// all of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "makemore/model.hpp"
#include "makemore/vocabulary.hpp"

namespace makemore {

// Where a model's training data came from, so that it can be found, split again and compared.
struct DataOrigin {
  std::string name;    // of a bundled list; empty for other data: no path is ever stored
  std::string sha256;  // of the file's bytes, 64 lower-case hexadecimal digits
  std::optional<uint64_t> split_seed;  // of the shuffle before the train/dev/test cut
  bool operator==(const DataOrigin&) const = default;
};

struct SavedModel {
  Sizes sizes;
  Vocabulary vocabulary;
  ParameterArrays parameters;
  std::optional<DataOrigin> data;
};

// Throws ArgumentError unless sizes, vocabulary, parameters and origin are valid, agree, and every
// parameter is finite.
void check_model(const SavedModel& model);

// The same model gives the same bytes, always.  Throws ArgumentError as check_model does.
std::string model_to_bytes(const SavedModel& model);

// `name` is what errors call the bytes, for example their path.  Throws FormatError naming it and
// the field.
SavedModel model_from_bytes(std::string_view bytes, const std::string& name);

// Writes the file atomically and durably: see write_file_atomically in src/files/file_io.hpp.
// Throws FileError naming the path and the reason; then an older file is still there.
void save_model(const std::string& path, const SavedModel& model);

// Throws FileError when the file cannot be read, FormatError when its bytes are not a model.
SavedModel load_model(const std::string& path);

}  // namespace makemore
