// The checkpoint's bytes: written and read again, damaged, forged, and confused with a model's.
#include <filesystem>
#include <fstream>
#include <limits>
#include <random>
#include <string>

#include "check.hpp"
#include "makemore/checkpoint.hpp"
#include "makemore/error.hpp"
#include "sha256.hpp"

namespace fs = std::filesystem;
using makemore::ArgumentError;
using makemore::Checkpoint;
using makemore::FileError;
using makemore::FormatError;
using makemore::Optimizer;
using makemore::ParameterArrays;
using makemore::Sizes;
using makemore::Vocabulary;

namespace {

constexpr Sizes kSizes{.block_size = 2, .n_embd = 1, .n_hidden = 3, .vocab_size = 3};

ParameterArrays some_arrays(float value) {
  ParameterArrays arrays(kSizes);
  for (auto* array : {&arrays.C, &arrays.W1, &arrays.b1, &arrays.W2, &arrays.b2}) {
    for (float& element : *array) element = value += 0.25f;
  }
  return arrays;
}

Checkpoint some_checkpoint(Optimizer optimizer, bool has_best) {
  const makemore::SavedModel model{.sizes = kSizes,
                                   .vocabulary = Vocabulary({"a", "\xC3\xA9"}),
                                   .parameters = some_arrays(-1.5f),
                                   .data = makemore::DataOrigin{"n.txt", std::string(64, 'a'), 42}};
  Checkpoint checkpoint{.model = model};
  checkpoint.optimizer = optimizer;
  for (const std::string& moment : makemore::moments_of(optimizer)) {
    checkpoint.moments.push_back(some_arrays(static_cast<float>(moment.size())));
  }
  if (has_best) checkpoint.best = some_arrays(7.0f);
  checkpoint.losses = {3.0f, 2.5f, 2.25f};
  checkpoint.dev_losses = {3.125};
  checkpoint.progress = "{\"what\":\"\xC3\xA9 \\\"quoted\\\"\"}";
  return checkpoint;
}

// All parts and kinds of tensors at once.
Checkpoint full_checkpoint() { return some_checkpoint(Optimizer::adam, true); }

// FormatError with a sentence that begins with the name.
bool is_refused(std::string_view bytes) {
  try {
    makemore::checkpoint_from_bytes(bytes, "some.file");
  } catch (const FormatError& error) {
    return std::string(error.what()).starts_with("some.file: ");
  }
  return false;
}

// Puts the right digest into forged bytes, where they still have a place for one.
std::string sign(std::string bytes) {
  const std::string before = R"(\"digest\":\")";
  const size_t found = bytes.find(before);
  if (found == std::string::npos || found + before.size() + 64 > bytes.size()) return bytes;
  bytes.replace(found + before.size(), 64, std::string(64, '0'));
  makemore::Sha256 sha256;
  sha256.update(bytes);
  return bytes.replace(found + before.size(), 64, sha256.finish());
}

std::string replaced(std::string text, const std::string& old, const std::string& wanted) {
  const size_t found = text.find(old);
  EXPECT_THAT(found != std::string::npos, "the bytes lack " + old);
  return found == std::string::npos ? text : text.replace(found, old.size(), wanted);
}

}  // namespace

TEST_CASE("what is written is read again, in the same bytes") {
  for (const auto optimizer :
       {Optimizer::sgd, Optimizer::momentum, Optimizer::adam, Optimizer::adamw}) {
    for (const bool has_best : {false, true}) {
      const Checkpoint a = some_checkpoint(optimizer, has_best);
      const std::string bytes = makemore::checkpoint_to_bytes(a);
      const Checkpoint b = makemore::checkpoint_from_bytes(bytes, "some.file");
      EXPECT(makemore::checkpoint_to_bytes(b) == bytes);
      EXPECT(b.optimizer == optimizer);
      EXPECT(b.model.parameters.W2 == a.model.parameters.W2);
      EXPECT(b.moments.size() == a.moments.size());
      EXPECT(a.moments.empty() || b.moments.back().b2 == a.moments.back().b2);
      EXPECT(b.best.has_value() == has_best);
      EXPECT(b.losses == a.losses);
      EXPECT(b.dev_losses == a.dev_losses);
      EXPECT(b.progress == a.progress);
      EXPECT(sign(bytes) == bytes);
    }
  }
}

TEST_CASE("every truncation and every flipped bit is refused") {
  const std::string bytes = makemore::checkpoint_to_bytes(full_checkpoint());
  for (size_t length = 0; length < bytes.size(); ++length) {
    EXPECT(is_refused(std::string_view(bytes).substr(0, length)));
  }
  EXPECT(is_refused(bytes + '\0'));
  for (size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    EXPECT(is_refused(flipped));
  }
}

// With a right digest a change of a number or a letter makes another checkpoint, which is as good
// as any; whatever is accepted must be canonical.
TEST_CASE("random changes with a right digest are refused, or make another good checkpoint") {
  const std::string bytes = makemore::checkpoint_to_bytes(full_checkpoint());
  std::mt19937 random(1);
  const auto below = [&random](size_t n) { return random() % n; };
  int accepted = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string changed = bytes;
    for (size_t changes = 1 + below(3); changes > 0; --changes) {
      const size_t place = below(changed.size());
      const size_t count = 1 + below(8);
      if (below(3) == 0) {
        changed.erase(place, count);
      } else if (below(2) == 0) {
        changed.insert(place, changed.substr(below(changed.size()), count));
      } else {
        changed[place] = static_cast<char>(below(256));
      }
      if (changed.empty()) break;
    }
    EXPECT(changed == bytes || is_refused(changed));
    const std::string forged = sign(changed);
    if (is_refused(forged)) continue;
    const Checkpoint read = makemore::checkpoint_from_bytes(forged, "some.file");
    EXPECT(makemore::checkpoint_to_bytes(read) == forged);
    ++accepted;
  }
  EXPECT_THAT(accepted > 100, "the digests must have been right");
}

TEST_CASE("forged headers are refused by name") {
  const std::string bytes = makemore::checkpoint_to_bytes(full_checkpoint());
  const auto forged = [&bytes](const std::string& old, const std::string& wanted) {
    EXPECT(old.size() == wanted.size());
    return sign(replaced(bytes, old, wanted));
  };
  const auto read = [](const std::string& bytes) {
    return makemore::checkpoint_from_bytes(bytes, "some.file");
  };
  const std::string q = R"(\")";
  EXPECT_THROWS(read(forged("checkpoint" + q + ",", "checkpoinT" + q + ",")), FormatError,
                "not the checkpoint of a training run of makemore_cpp");
  EXPECT_THROWS(read(forged(q + "version" + q + ":1", q + "version" + q + ":2")), FormatError,
                "newer release");
  EXPECT_THROWS(read(forged("adam", "adan")), FormatError, "optimizer = 'adan' is not one of");
  EXPECT_THROWS(read(forged("steps" + q + ":3", "steps" + q + ":4")), FormatError,
                "the tensor losses is not described");
  EXPECT_THROWS(read(forged("steps" + q + ":3", "steps" + q + ":0")), FormatError,
                "the number of losses = 0 is below 1");
  EXPECT_THROWS(read(forged("evaluations" + q + ":1", "evaluations" + q + ":9")), FormatError,
                "the tensor dev_losses is not described");
  EXPECT_THROWS(read(forged("best" + q + ":1", "best" + q + ":0")), FormatError,
                "unknown tensor 'best.C'");
  EXPECT_THROWS(read(forged("best" + q + ":1", "best" + q + ":2")), FormatError,
                "best = 2 is above 1");
  EXPECT_THROWS(read(forged("\"F64\"", "\"F32\"")), FormatError, "the tensor dev_losses");
  EXPECT_THROWS(read(forged("\"m.W1\"", "\"m.W2\"")), FormatError, "occurs twice");
  EXPECT_THROWS(read(forged("\"v.W1\"", "\"x.W1\"")), FormatError, "the tensor v.W1 is missing");
  EXPECT_THROWS(read(forged("n.txt", "n.tx\xff")), FormatError, "not valid UTF-8");
}

TEST_CASE("numbers that are not finite are neither written nor read") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const double inf = std::numeric_limits<double>::infinity();
  const auto refused = [](const Checkpoint& checkpoint, const std::string& sentence) {
    EXPECT_THROWS(makemore::checkpoint_to_bytes(checkpoint), ArgumentError, sentence);
  };
  Checkpoint checkpoint = full_checkpoint();
  checkpoint.model.parameters.W1[4] = nan;
  refused(checkpoint, "W1[1, 1] is nan");
  checkpoint = full_checkpoint();
  checkpoint.moments[1].b1[2] = nan;
  refused(checkpoint, "v.b1[2] is nan");
  checkpoint = full_checkpoint();
  checkpoint.best->C[0] = nan;
  refused(checkpoint, "best.C[0, 0] is nan");
  checkpoint = full_checkpoint();
  checkpoint.losses[1] = nan;
  refused(checkpoint, "losses[1] is nan");
  checkpoint = full_checkpoint();
  checkpoint.dev_losses[0] = inf;
  refused(checkpoint, "dev_losses[0] is inf");

  std::string bytes = makemore::checkpoint_to_bytes(full_checkpoint());
  bytes.replace(bytes.size() - sizeof nan, sizeof nan,
                std::string(reinterpret_cast<const char*>(&nan), sizeof nan));
  EXPECT_THROWS(makemore::checkpoint_from_bytes(sign(bytes), "some.file"), FormatError,
                "best.b2[2] is nan");
}

TEST_CASE("parts that do not fit are refused") {
  const auto refused = [](const Checkpoint& checkpoint, const std::string& sentence) {
    EXPECT_THROWS(makemore::check_checkpoint(checkpoint), ArgumentError, sentence);
  };
  Checkpoint checkpoint = full_checkpoint();
  checkpoint.moments.pop_back();
  refused(checkpoint, "the state has 1 moments, which is not what the optimizer 'adam' remembers");
  checkpoint = full_checkpoint();
  checkpoint.moments[0].W2.pop_back();
  refused(checkpoint, "m.W2 has 8 elements");
  checkpoint = full_checkpoint();
  checkpoint.losses.clear();
  refused(checkpoint, "the number of losses = 0 is below 1");
  checkpoint = full_checkpoint();
  checkpoint.progress = std::string(makemore::kMaxProgressBytes + 1, 'x');
  refused(checkpoint, "progress must be UTF-8 of at most 16384 bytes, got 16385 bytes");
  checkpoint.progress = "\xff";
  refused(checkpoint, "progress must be UTF-8");
}

TEST_CASE("a model and a checkpoint are not taken for each other") {
  const Checkpoint checkpoint = full_checkpoint();
  EXPECT_THROWS(makemore::model_from_bytes(makemore::checkpoint_to_bytes(checkpoint), "some.file"),
                FormatError, "some.file: it is the checkpoint of a training run, not a model");
  EXPECT_THROWS(
      makemore::checkpoint_from_bytes(makemore::model_to_bytes(checkpoint.model), "some.file"),
      FormatError, "some.file: it is a model, not the checkpoint of a training run");
}

TEST_CASE("files are saved, replaced and loaded") {
  const fs::path folder = fs::temp_directory_path() / "makemore_test_checkpoint";
  fs::remove_all(folder);
  fs::create_directory(folder);
  const std::string path = folder / "checkpoint.safetensors";
  EXPECT_THROWS(makemore::load_checkpoint(path), FileError, path);
  Checkpoint checkpoint = full_checkpoint();
  makemore::save_checkpoint(path, checkpoint);
  checkpoint.losses.push_back(1.5f);
  makemore::save_checkpoint(path, checkpoint);
  EXPECT(makemore::load_checkpoint(path).losses == checkpoint.losses);
  checkpoint.losses[0] = std::numeric_limits<float>::infinity();
  EXPECT_THROWS(makemore::save_checkpoint(path, checkpoint), ArgumentError, "losses[0]");
  EXPECT(makemore::load_checkpoint(path).losses.size() == 4);
  EXPECT(std::distance(fs::directory_iterator(folder), fs::directory_iterator()) == 1);
  std::ofstream(path, std::ios::app) << 'x';
  EXPECT_THROWS(makemore::load_checkpoint(path), FormatError, path);
  fs::remove_all(folder);
}

int main() { return check::run(); }
