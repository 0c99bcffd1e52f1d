// A safetensors file with a digest over all of it: what the model file and the checkpoint share.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "makemore/error.hpp"
#include "safetensors.hpp"
#include "utf8.hpp"

namespace makemore {

// Everything that stands in a file; all errors that it leads to are ArgumentErrors.
struct TensorFile {
  // The text under our metadata key, given the digest that it names.
  std::function<std::string(const std::string& digest)> metadata;
  std::vector<TensorShape> tensors;
  std::vector<std::string_view> data;  // of each tensor; not needed for what the header says
};

// Throws unless each tensor has as many bytes as its shape demands and all numbers are finite.
void check_numbers(const TensorFile& file);

// The same content gives the same bytes, always.
std::string to_bytes(const TensorFile& file);

// The size of the whole file.  Throws unless the bytes begin as `file` with this digest does; the
// data may be missing.
int64_t check_start(std::string_view bytes, const SafetensorsHeader& header, const TensorFile& file,
                    const std::string& digest);

// Throws unless there are exactly so many bytes, of which `file_bytes` are those of the file.
void check_length(std::string_view bytes, int64_t file_bytes);

// Copies the data of all tensors to where `data` points, from the end of checked bytes.
void copy_data(std::string_view bytes, const std::vector<std::span<char>>& data);

// Throws unless the content has this digest, and as check_numbers does.
void check_content(const TensorFile& file, const std::string& digest);

// The bytes of a file, at most one more than what `file_bytes` finds at their beginning, so that
// nothing longer is ever read into memory.  Throws FileError.
std::string read_bytes(const std::string& path,
                       const std::function<int64_t(std::string_view)>& file_bytes);

template <typename Float>
std::string_view bytes_of(const std::vector<Float>& array) {
  return {reinterpret_cast<const char*>(array.data()), array.size() * sizeof(Float)};
}

template <typename Float>
std::span<char> writable_bytes_of(std::vector<Float>& array) {
  return {reinterpret_cast<char*>(array.data()), array.size() * sizeof(Float)};
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

}  // namespace makemore
