// The only reader and writer of our files: each is a safetensors file
// (https://huggingface.co/docs/safetensors) with a JSON object as metadata and a digest over all of
// it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/utf8.hpp"
#include "makemore/error.hpp"

namespace makemore {

enum class Number { float32, float64, int32, int64, uint8 };
const char* name_of(Number number);  // "float32"
std::optional<Number> number_named(std::string_view name);

struct Tensor {
  std::string name;
  Number number = Number::float32;
  std::vector<int64_t> shape;
  std::string_view data = {};  // bytes that somebody else owns; floats are finite
};

struct TensorFile {
  // A canonical JSON object.  In the file it has one more member at its end, the digest.
  std::string metadata;
  std::vector<Tensor> tensors;
};

// Throws ArgumentError unless the metadata can be an object, the tensors have distinct names and as
// many bytes as their shapes demand, and all floats are finite.
void check(const TensorFile& file);

// The same content gives the same bytes, always.  Throws ArgumentError as check does.
std::string to_bytes(const TensorFile& file);

// Reads bytes that to_bytes has written, and no others; the data of the tensors lie in `bytes`.
// Throws ArgumentError.
TensorFile tensors_from_bytes(std::string_view bytes);

// Reads the bytes of a file, at most one more than its header announces, so that a file that is
// longer never fills the memory.  Throws FileError where it cannot be read, ArgumentError for a
// wrong header.
std::string read_tensor_file(const std::string& path);

template <typename T>
std::string_view bytes_of(const std::vector<T>& array) {
  return {reinterpret_cast<const char*>(array.data()), array.size() * sizeof(T)};
}

// Calls read(); an ArgumentError about the bytes of a file becomes a FormatError that names the
// file.
template <typename Read>
auto reading(const std::string& name, Read read) {
  try {
    return read();
  } catch (const ArgumentError& error) {
    throw FormatError(show_text(name) + ": " + error.what());
  }
}

}  // namespace makemore
