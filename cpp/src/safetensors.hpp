// The header of a safetensors file (https://huggingface.co/docs/safetensors): which tensors follow
// it, without holes, and one text under one metadata key.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "json.hpp"

namespace makemore {

enum class Number { float32, float64 };
int64_t number_bytes(Number number);

struct TensorShape {
  std::string name;
  std::vector<int64_t> shape;
  Number number = Number::float32;
};

// Room for the largest vocabulary, about 600 kB when every character needs four bytes.
constexpr int64_t kMaxHeaderBytes = 1 << 20;
constexpr int64_t kMaxBytesBeforeData = 8 + kMaxHeaderBytes;

// Everything that stands before the data: the length (8 bytes, little-endian), the JSON, and the
// spaces that align the data to 8 bytes.
std::string write_safetensors_header(const std::string& metadata,
                                     const std::vector<TensorShape>& tensors);

struct SafetensorsHeader {
  json::Object entries;  // as parsed, not yet compared with anything
  std::string metadata;  // the text under our key
};

// Reads the header at the start of a file's bytes.  Throws ArgumentError.
SafetensorsHeader read_safetensors_header(std::string_view bytes);

// Throws ArgumentError naming the tensor unless the header lists exactly these tensors in this
// order.
void check_tensors(const SafetensorsHeader& header, const std::vector<TensorShape>& tensors);

// The number of bytes of all these tensors.
int64_t data_bytes(const std::vector<TensorShape>& tensors);

}  // namespace makemore
