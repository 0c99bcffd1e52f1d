// The five parameter arrays as tensors of a file, in the order in which they stand there.
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "makemore/model.hpp"
#include "tensor_file.hpp"

namespace makemore {

constexpr std::array kParameterNames{"C", "W1", "b1", "W2", "b2"};

// `prefix` stands before each name.
inline void append_shapes(std::vector<TensorShape>& shapes, const Sizes& sizes,
                          const std::string& prefix) {
  const auto [T, E, H, V] = sizes;
  const std::array<std::vector<int64_t>, 5> of_each{{{V, E}, {T * E, H}, {H}, {H, V}, {V}}};
  for (size_t i = 0; i < of_each.size(); ++i) {
    shapes.push_back({prefix + kParameterNames[i], of_each[i]});
  }
}

// Pointers to the arrays.
template <typename Arrays>
auto in_order(Arrays& arrays) {
  return std::array{&arrays.C, &arrays.W1, &arrays.b1, &arrays.W2, &arrays.b2};
}

inline void append_data(std::vector<std::string_view>& data, const ParameterArrays& arrays) {
  for (const auto* array : in_order(arrays)) data.push_back(bytes_of(*array));
}

inline void append_data(std::vector<std::span<char>>& data, ParameterArrays& arrays) {
  for (auto* array : in_order(arrays)) data.push_back(writable_bytes_of(*array));
}

}  // namespace makemore
