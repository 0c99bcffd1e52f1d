// Writes header and data under one digest, and reads back only what would be written again.
#include "tensor_file.hpp"

#include <algorithm>
#include <cmath>

#include "file_io.hpp"
#include "sha256.hpp"

namespace makemore {

namespace {

std::string header_of(const TensorFile& file, const std::string& digest) {
  return write_safetensors_header(file.metadata(digest), file.tensors);
}

// The SHA-256 of the whole file with zeros in the place of this digest.
std::string digest_of(const TensorFile& file) {
  Sha256 sha256;
  sha256.update(header_of(file, std::string(kDigestDigits, '0')));
  for (const std::string_view data : file.data) sha256.update(data);
  return sha256.finish();
}

// Throws for the first number that is not finite.
template <typename Float>
void check_finite(const TensorShape& tensor, std::string_view data) {
  const auto* const begin = reinterpret_cast<const Float*>(data.data());
  const auto* const end = begin + data.size() / sizeof(Float);
  const auto* const bad =
      std::find_if_not(begin, end, [](Float value) { return std::isfinite(value); });
  if (bad == end) return;
  const int64_t columns = tensor.shape.back();
  const int64_t place = bad - begin;
  std::string indices = std::to_string(place % columns);
  if (tensor.shape.size() == 2) indices = std::to_string(place / columns) + ", " + indices;
  throw ArgumentError(tensor.name + "[" + indices + "] is " + std::to_string(*bad) +
                      ": every number that is saved must be finite");
}

}  // namespace

void check_numbers(const TensorFile& file) {
  for (size_t i = 0; i < file.tensors.size(); ++i) {
    const TensorShape& tensor = file.tensors[i];
    const auto bytes = static_cast<int64_t>(file.data[i].size());
    if (bytes != data_bytes({tensor})) {
      throw ArgumentError(tensor.name + " has " +
                          std::to_string(bytes / number_bytes(tensor.number)) +
                          " elements, which is not what the sizes of the model demand");
    }
    if (tensor.number == Number::float32) {
      check_finite<float>(tensor, file.data[i]);
    } else {
      check_finite<double>(tensor, file.data[i]);
    }
  }
}

std::string to_bytes(const TensorFile& file) {
  std::string bytes = header_of(file, digest_of(file));
  bytes.reserve(bytes.size() + static_cast<size_t>(data_bytes(file.tensors)));
  for (const std::string_view data : file.data) bytes += data;
  return bytes;
}

int64_t check_start(std::string_view bytes, const SafetensorsHeader& header, const TensorFile& file,
                    const std::string& digest) {
  check_tensors(header, file.tensors);
  // The schema alone would let pass: white space, escapes, the order of keys, other metadata keys.
  const std::string expected = header_of(file, digest);
  if (!bytes.starts_with(expected)) {
    throw ArgumentError("the header is not in the one form that it must have");
  }
  return static_cast<int64_t>(expected.size()) + data_bytes(file.tensors);
}

void check_length(std::string_view bytes, int64_t file_bytes) {
  const auto size = static_cast<int64_t>(bytes.size());
  if (size < file_bytes) {
    throw ArgumentError("the file is cut off: it has " + std::to_string(size) + " of " +
                        std::to_string(file_bytes) + " bytes");
  }
  if (size > file_bytes) {
    throw ArgumentError("the file goes on after the " + std::to_string(file_bytes) +
                        " bytes that its header announces");
  }
}

void copy_data(std::string_view bytes, const std::vector<std::span<char>>& data) {
  size_t total = 0;
  for (const std::span<char> tensor : data) total += tensor.size();
  const char* from = bytes.data() + bytes.size() - total;
  for (const std::span<char> tensor : data) {
    std::copy_n(from, tensor.size(), tensor.data());
    from += tensor.size();
  }
}

void check_content(const TensorFile& file, const std::string& digest) {
  if (digest_of(file) != digest) {
    throw ArgumentError("the file is damaged: its bytes do not have the digest that it names");
  }
  check_numbers(file);
}

std::string read_bytes(const std::string& path,
                       const std::function<int64_t(std::string_view)>& file_bytes) {
  FileReader file(path);
  std::string bytes;
  file.extend(bytes, kMaxBytesBeforeData);
  const int64_t size = file_bytes(bytes);
  file.extend(bytes, size + 1);
  return bytes;
}

}  // namespace makemore
