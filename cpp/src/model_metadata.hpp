// The text under a model file's metadata key: everything about a model but its parameters.
#pragma once

#include <string>

#include "makemore/model_file.hpp"

namespace makemore {

constexpr size_t kDigestDigits = 64;

// Throws ArgumentError unless sizes, vocabulary and origin are valid and agree.
void check_description(const SavedModel& model);

// Canonical JSON: the same description gives the same text.
std::string write_metadata(const SavedModel& model, const std::string& digest);

struct Description {
  SavedModel model;  // without its parameters
  std::string digest;
};

// Throws ArgumentError naming the field.
Description read_metadata(const std::string& text);

}  // namespace makemore
