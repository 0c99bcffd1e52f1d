// The checkpoint's bytes: a model file with more tensors, which its metadata determine.
#include "makemore/checkpoint.hpp"

#include <algorithm>

#include "check.hpp"
#include "file_io.hpp"
#include "model_metadata.hpp"
#include "model_tensors.hpp"
#include "tensor_file.hpp"
#include "utf8.hpp"

namespace makemore {

namespace {

// What the metadata say beside the model; it determines which tensors there are.
struct Plan {
  std::string optimizer;
  uint64_t steps;
  uint64_t evaluations;
  uint64_t best;  // 1 where the parameters of the best evaluation are kept, else 0
  std::string progress;
};

Plan plan_of(const Checkpoint& checkpoint) {
  return {.optimizer = name_of(checkpoint.optimizer),
          .steps = checkpoint.losses.size(),
          .evaluations = checkpoint.dev_losses.size(),
          .best = checkpoint.best.has_value(),
          .progress = checkpoint.progress};
}

void check_plan(const Plan& plan) {
  const auto bounded = [](uint64_t value) {  // what does not fit is beyond every limit
    return static_cast<int64_t>(std::min<uint64_t>(value, kMaxCheckpointSteps + 1));
  };
  check_in_range("the number of losses", bounded(plan.steps), 1, kMaxCheckpointSteps);
  check_in_range("the number of dev_losses", bounded(plan.evaluations), 0, kMaxCheckpointSteps);
  check_in_range("best", bounded(plan.best), 0, 1);
  optimizer_named(plan.optimizer);
  if (plan.progress.size() > kMaxProgressBytes || !is_utf8(plan.progress)) {
    throw ArgumentError("progress must be UTF-8 of at most " + std::to_string(kMaxProgressBytes) +
                        " bytes, got " + std::to_string(plan.progress.size()) + " bytes: '" +
                        show_text(plan.progress.substr(0, 100)) + "'");
  }
}

std::string metadata_of(const SavedModel& model, const Plan& plan, const std::string& digest) {
  json::Object members = model_members(model);
  members.push_back({"optimizer", plan.optimizer});
  members.push_back({"steps", plan.steps});
  members.push_back({"evaluations", plan.evaluations});
  members.push_back({"best", plan.best});
  members.push_back({"progress", plan.progress});
  return write_metadata(kCheckpointFile, std::move(members), digest);
}

std::vector<TensorShape> tensors_of(const Sizes& sizes, const Plan& plan) {
  // The eight-byte numbers come first, so that all numbers are aligned.
  std::vector<TensorShape> tensors{
      {"dev_losses", {static_cast<int64_t>(plan.evaluations)}, Number::float64},
      {"losses", {static_cast<int64_t>(plan.steps)}}};
  append_shapes(tensors, sizes, "");
  for (const std::string& moment : moments_of(optimizer_named(plan.optimizer))) {
    append_shapes(tensors, sizes, moment + ".");
  }
  if (plan.best == 1) append_shapes(tensors, sizes, "best.");
  return tensors;
}

std::vector<std::string_view> data_of(const Checkpoint& checkpoint) {
  std::vector<std::string_view> data{bytes_of(checkpoint.dev_losses), bytes_of(checkpoint.losses)};
  append_data(data, checkpoint.model.parameters);
  for (const ParameterArrays& moment : checkpoint.moments) append_data(data, moment);
  if (checkpoint.best) append_data(data, *checkpoint.best);
  return data;
}

std::vector<std::span<char>> writable_data_of(Checkpoint& checkpoint) {
  std::vector<std::span<char>> data{writable_bytes_of(checkpoint.dev_losses),
                                    writable_bytes_of(checkpoint.losses)};
  append_data(data, checkpoint.model.parameters);
  for (ParameterArrays& moment : checkpoint.moments) append_data(data, moment);
  if (checkpoint.best) append_data(data, *checkpoint.best);
  return data;
}

// What the header of a file says; the data are missing.
TensorFile header_of(const SavedModel& model, const Plan& plan) {
  TensorFile file;
  file.metadata = [&model, &plan](const std::string& digest) {
    return metadata_of(model, plan, digest);
  };
  file.tensors = tensors_of(model.sizes, plan);
  return file;
}

struct Start {
  SavedModel model;  // without its parameters
  Plan plan;
  std::string digest;
  int64_t file_bytes;
};

// Checks all that can be known from the header; the data may be missing.
Start read_start(std::string_view bytes) {
  const SafetensorsHeader header = read_safetensors_header(bytes);
  Fields metadata = read_metadata(kCheckpointFile, header.metadata);
  SavedModel model = take_model(metadata);
  Plan plan;
  plan.optimizer = metadata.take<std::string>("optimizer");
  plan.steps = metadata.take<uint64_t>("steps");
  plan.evaluations = metadata.take<uint64_t>("evaluations");
  plan.best = metadata.take<uint64_t>("best");
  plan.progress = metadata.take<std::string>("progress");
  std::string digest = metadata.take<std::string>("digest");
  metadata.check_nothing_left();
  check_plan(plan);
  const int64_t file_bytes = check_start(bytes, header, header_of(model, plan), digest);
  return {.model = std::move(model),
          .plan = std::move(plan),
          .digest = std::move(digest),
          .file_bytes = file_bytes};
}

Checkpoint read_all(std::string_view bytes) {
  Start start = read_start(bytes);
  check_length(bytes, start.file_bytes);
  const Sizes sizes = start.model.sizes;
  Checkpoint checkpoint{.model = std::move(start.model)};
  checkpoint.model.parameters = ParameterArrays(sizes);
  checkpoint.optimizer = optimizer_named(start.plan.optimizer);
  checkpoint.moments.assign(moments_of(checkpoint.optimizer).size(), ParameterArrays(sizes));
  if (start.plan.best == 1) checkpoint.best = ParameterArrays(sizes);
  checkpoint.losses.resize(start.plan.steps);
  checkpoint.dev_losses.resize(start.plan.evaluations);
  copy_data(bytes, writable_data_of(checkpoint));

  TensorFile file = header_of(checkpoint.model, start.plan);
  file.data = data_of(checkpoint);
  check_content(file, start.digest);
  checkpoint.progress = std::move(start.plan.progress);
  return checkpoint;
}

}  // namespace

void check_checkpoint(const Checkpoint& checkpoint) {
  check_description(checkpoint.model);
  const Plan plan = plan_of(checkpoint);
  check_plan(plan);
  if (checkpoint.moments.size() != moments_of(checkpoint.optimizer).size()) {
    throw ArgumentError("the state has " + std::to_string(checkpoint.moments.size()) +
                        " moments, which is not what the optimizer '" + plan.optimizer +
                        "' remembers");
  }
  TensorFile file = header_of(checkpoint.model, plan);
  file.data = data_of(checkpoint);
  check_numbers(file);
}

std::string checkpoint_to_bytes(const Checkpoint& checkpoint) {
  check_checkpoint(checkpoint);
  const Plan plan = plan_of(checkpoint);
  TensorFile file = header_of(checkpoint.model, plan);
  file.data = data_of(checkpoint);
  return to_bytes(file);
}

Checkpoint checkpoint_from_bytes(std::string_view bytes, const std::string& name) {
  return reading(name, [bytes] { return read_all(bytes); });
}

void save_checkpoint(const std::string& path, const Checkpoint& checkpoint) {
  write_file_atomically(path, checkpoint_to_bytes(checkpoint));
}

Checkpoint load_checkpoint(const std::string& path) {
  return reading(path, [&path] {
    return read_all(
        read_bytes(path, [](std::string_view bytes) { return read_start(bytes).file_bytes; }));
  });
}

}  // namespace makemore
