// The text under a file's metadata key: what kind of file it is, everything about a model but its
// parameters, and a digest.
#pragma once

#include <string>

#include "json_fields.hpp"
#include "makemore/model_file.hpp"

namespace makemore {

// The kinds of files that hold a model, and how errors call one.
struct FileKind {
  const char* name;
  const char* format;
  uint64_t version;
};
constexpr FileKind kModelFile{"a model", "makemore_cpp", 1};
constexpr FileKind kCheckpointFile{"the checkpoint of a training run", "makemore_cpp checkpoint",
                                   1};

// Throws ArgumentError unless sizes, vocabulary and origin are valid and agree.
void check_description(const SavedModel& model);

// The members that describe a model, and the model that they describe, without its parameters.
json::Object model_members(const SavedModel& model);
SavedModel take_model(Fields& metadata);

// Canonical JSON, the same members giving the same text: format and version, the members, digest.
std::string write_metadata(const FileKind& kind, json::Object members, const std::string& digest);

// The fields of such a text behind format and version.  Throws ArgumentError naming the field.
Fields read_metadata(const FileKind& kind, const std::string& text);

}  // namespace makemore
