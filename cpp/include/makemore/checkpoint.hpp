// The one strict reader and writer of a training run between two steps: a model file with the
// optimiser's state and the run's numbers, under one digest.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "makemore/model_file.hpp"
#include "makemore/optimizer.hpp"

namespace makemore {

struct Checkpoint {
  SavedModel model;  // after the last step
  Optimizer optimizer = Optimizer::sgd;
  std::vector<ParameterArrays> moments = {};  // as moments_of(optimizer) lists them
  std::optional<ParameterArrays> best = {};   // the parameters of the best evaluation, where kept
  std::vector<float> losses = {};             // of each step, at least one
  std::vector<double> dev_losses = {};        // of each evaluation
  std::string progress = {};                  // UTF-8 that nobody here looks into
};

constexpr int64_t kMaxCheckpointSteps = 1'000'000'000;
constexpr size_t kMaxProgressBytes = 1 << 14;

// Throws ArgumentError unless everything is valid, agrees with the sizes, and is finite.
void check_checkpoint(const Checkpoint& checkpoint);

// The same checkpoint gives the same bytes, always.  Throws ArgumentError as check_checkpoint does.
std::string checkpoint_to_bytes(const Checkpoint& checkpoint);

// `name` is what errors call the bytes (a path).  Throws FormatError naming it and the field.
Checkpoint checkpoint_from_bytes(std::string_view bytes, const std::string& name);

// Atomic and durable, as save_model is.  Throws FileError naming the path and the reason.
void save_checkpoint(const std::string& path, const Checkpoint& checkpoint);

// Throws FileError when the file cannot be read, FormatError when its bytes are not a checkpoint.
Checkpoint load_checkpoint(const std::string& path);

}  // namespace makemore
