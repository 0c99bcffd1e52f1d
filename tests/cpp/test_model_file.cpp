// The model file and the parts it is made of: SHA-256, JSON, files that are replaced atomically.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include "check.hpp"
#include "files/file_io.hpp"
#include "files/json.hpp"
#include "files/sha256.hpp"
#include "files/tensor_file.hpp"
#include "makemore/error.hpp"
#include "makemore/model_file.hpp"

namespace fs = std::filesystem;
namespace json = makemore::json;
using makemore::ArgumentError;
using makemore::FileError;
using makemore::FormatError;
using makemore::SavedModel;
using makemore::Sizes;
using makemore::Vocabulary;

namespace {

std::string sha256(std::string_view bytes) {
  makemore::Sha256 sha256;
  sha256.update(bytes);
  return sha256.finish();
}

SavedModel small_model() {
  const Sizes sizes{.block_size = 2, .n_embd = 1, .n_hidden = 3, .vocab_size = 3};
  SavedModel model{.sizes = sizes,
                   .vocabulary = Vocabulary({"a", "\xC3\xA9"}),
                   .parameters = makemore::ParameterArrays(sizes),
                   .data = makemore::DataOrigin{"names.txt", std::string(64, 'a'), 42}};
  float value = -1.5f;
  for (auto* array : model.parameters.all()) {
    for (float& element : *array) element = value += 0.25f;
  }
  return model;
}

bool same(const SavedModel& a, const SavedModel& b) {
  return a.sizes == b.sizes && a.vocabulary == b.vocabulary && a.data == b.data &&
         std::ranges::equal(a.parameters.all(), b.parameters.all(),
                            [](const auto* x, const auto* y) { return *x == *y; });
}

// Whether the bytes are refused with a FormatError.
bool is_refused(std::string_view bytes) {
  try {
    makemore::model_from_bytes(bytes, "some.file");
  } catch (const FormatError& error) {
    return std::string(error.what()).starts_with("some.file: ");
  }
  return false;
}

// A folder of this process, removed with its contents at the end of the scope.
struct Folder {
  fs::path path = fs::temp_directory_path() / ("makemore-test-" + std::to_string(::getpid()));
  Folder() { fs::create_directory(path); }
  ~Folder() { fs::remove_all(path); }
  std::string file(const std::string& name) const { return (path / name).string(); }
  long count() const {
    return std::distance(fs::directory_iterator(path), fs::directory_iterator());
  }
};

}  // namespace

// The digests are the examples that NIST publishes with FIPS 180-4.
TEST_CASE("SHA-256 of the standard's examples") {
  EXPECT(sha256("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT(sha256("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT(sha256(std::string(1'000'000, 'a')) ==
         "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_CASE("SHA-256 does not depend on the pieces") {
  const std::string text(300, 'x');
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    makemore::Sha256 pieces;
    pieces.update(std::string_view(text).substr(0, cut));
    pieces.update(std::string_view(text).substr(cut));
    EXPECT(pieces.finish() == sha256(text));
  }
}

TEST_CASE("JSON is written and read in one form") {
  const std::string content("\xC3\xA9\xF0\x9F\x98\x80/\b\f\n\r\t\"\\\0\x1f", 16);
  std::string text;
  json::append_string(text, content);
  EXPECT_THAT(text == "\"\xC3\xA9\xF0\x9F\x98\x80/\\b\\f\\n\\r\\t\\\"\\\\\\u0000\\u001f\"", text);
  const std::string longer = text + "18446744073709551615";
  json::Reader reader(longer, "text");
  EXPECT(reader.string() == content);
  EXPECT(reader.at() == text.size());
  EXPECT(reader.size() == std::numeric_limits<int64_t>::max());
  reader.expect_end();
  for (int c = 0; c < 128; ++c) {
    std::string one;
    json::append_string(one, std::string(1, static_cast<char>(c)));
    EXPECT(json::Reader(one, "text").string() == std::string(1, static_cast<char>(c)));
  }
}

TEST_CASE("a string in another form is refused by byte") {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"", "text, byte 0: expected '\"'"},
      {"x", "found 'x'"},
      {"\"\n\"", "byte 1: a control character"},
      {"\"\\x\"", "an escape that the canonical form does not have"},
      {"\"\\", "an escape that"},
      {"\"\\/\"", "an escape that"},
      {"\"\\u00\"", "an escape that"},
      {"\"\\u000a\"", "an escape that"},
      {"\"\\u001F\"", "an escape that"},
      {"\"\\u0041\"", "an escape that"},
      {"\"\\ud83d\\ude00\"", "an escape that"},
      {"\"\xC0\x80\"", "UTF-8"},
      {"\"\xED\xA0\x80\"", "UTF-8"},
      {"\"abc", "byte 4: the text ends inside a string"},
  };
  for (const auto& [text, part] : cases) {
    EXPECT_THROWS(json::Reader(text, "text").string(), ArgumentError, part);
  }
}

TEST_CASE("an integer in another form is refused by byte") {
  const std::vector<std::pair<std::string, std::string>> cases{{"", "expected an integer"},
                                                               {"-1", "expected an integer"},
                                                               {"true", "expected an integer"},
                                                               {"01", "leading zeros"},
                                                               {"00", "leading zeros"},
                                                               {" 1", "expected an integer"},
                                                               {"18446744073709551616", "64 bits"}};
  for (const auto& [text, part] : cases) {
    EXPECT_THROWS(json::Reader(text, "text").integer(), ArgumentError, part);
  }
  for (const char* const text : {"1.5", "1e5", "1 "}) {  // what follows is refused by the next part
    json::Reader reader(text, "text");
    EXPECT(reader.integer() == 1);
    EXPECT_THROWS(reader.expect_end(), ArgumentError, "goes on");
  }
}

TEST_CASE("a file of tensors comes back, whatever their types and shapes") {
  const std::vector<double> doubles = {0.1, -2e300};
  const std::vector<float> floats = {1.5f};
  const std::vector<int64_t> integers = {-1, std::numeric_limits<int64_t>::max()};
  const std::vector<int32_t> small = {7, 8, 9, 10};
  const makemore::TensorFile file{
      R"({"format":"x","n":1.5})",
      {{"a", makemore::Number::float32, {1}, makemore::bytes_of(floats)},
       {"b.\xC3\xA9\"", makemore::Number::float64, {1, 2}, makemore::bytes_of(doubles)},
       {"", makemore::Number::uint8, {0, 5}, {}},
       {"d", makemore::Number::int64, {2}, makemore::bytes_of(integers)},
       {"e", makemore::Number::int32, {2, 1, 2}, makemore::bytes_of(small)}}};
  EXPECT_THROWS(makemore::to_bytes(file), ArgumentError, "1 to 256 bytes, got ''");
  makemore::TensorFile named = file;
  named.tensors[2].name = "c";
  const std::string bytes = makemore::to_bytes(named);
  const makemore::TensorFile found = makemore::tensors_from_bytes(bytes);
  EXPECT(found.metadata == named.metadata);
  EXPECT(found.tensors.size() == 5);
  for (size_t i = 0; i < 5; ++i) {
    EXPECT(found.tensors[i].name == named.tensors[i].name);
    EXPECT(found.tensors[i].number == named.tensors[i].number);
    EXPECT(found.tensors[i].shape == named.tensors[i].shape);
    EXPECT(found.tensors[i].data == named.tensors[i].data);
  }
  EXPECT(makemore::to_bytes(found) == bytes);
}

TEST_CASE("a file of tensors that cannot be read again is not written") {
  const std::vector<float> floats = {1.5f, std::numeric_limits<float>::quiet_NaN()};
  const std::vector<double> doubles = {1.5, std::numeric_limits<double>::infinity()};
  const auto one = [](makemore::Tensor tensor) {
    return makemore::TensorFile{R"({"a":1})", {std::move(tensor)}};
  };
  using makemore::bytes_of;
  using makemore::Number;
  EXPECT_THROWS(to_bytes(one({"x", Number::float32, {1, 2}, bytes_of(floats)})), ArgumentError,
                "x[0, 1] is nan: every number that is saved must be finite");
  EXPECT_THROWS(to_bytes(one({"x", Number::float64, {2}, bytes_of(doubles)})), ArgumentError,
                "x[1] is inf");
  EXPECT_THROWS(to_bytes(one({"x", Number::int32, {3}, bytes_of(floats)})), ArgumentError,
                "the tensor 'x' has 8 bytes, and its shape demands 12");
  EXPECT_THROWS(to_bytes(one({"x", Number::int32, {-1}, {}})), ArgumentError, "larger than any");
  EXPECT_THROWS(to_bytes(one({"__metadata__", Number::int32, {0}, {}})), ArgumentError, "twice");
  EXPECT_THROWS(to_bytes(one({std::string(257, 'x'), Number::int32, {0}, {}})), ArgumentError,
                "1 to 256 bytes");
  EXPECT_THROWS(to_bytes(one({"\xFF", Number::int32, {0}, {}})), ArgumentError, "UTF-8");
  for (const char* const metadata : {"", "{}", "[1]", "{\"a\":1", "{\"\xFF\":1}"}) {
    EXPECT_THROWS(makemore::to_bytes({metadata, {}}), ArgumentError, "a JSON object with members");
  }
  const std::string large = "{\"a\":\"" + std::string(1 << 26, 'x') + "\"}";
  EXPECT_THROWS(makemore::to_bytes({large, {}}), ArgumentError, "the limit is 67108864");
}

TEST_CASE("a model survives its bytes, and the same model gives the same bytes") {
  SavedModel model = small_model();
  const std::string bytes = model_to_bytes(model);
  EXPECT(same(makemore::model_from_bytes(bytes, "bytes"), model));
  EXPECT(model_to_bytes(makemore::model_from_bytes(bytes, "bytes")) == bytes);
  model.data->split_seed = std::nullopt;
  EXPECT(same(makemore::model_from_bytes(model_to_bytes(model), "bytes"), model));
  model.data = std::nullopt;
  EXPECT(same(makemore::model_from_bytes(model_to_bytes(model), "bytes"), model));
}

TEST_CASE("no truncation, no longer file and no flipped bit is accepted") {
  const std::string bytes = model_to_bytes(small_model());
  for (size_t length = 0; length < bytes.size(); ++length) {
    // An exact copy, so that a sanitizer sees a read past the end.
    const std::vector<char> cut(bytes.begin(), bytes.begin() + static_cast<long>(length));
    EXPECT(is_refused({cut.data(), cut.size()}));
  }
  EXPECT(is_refused(bytes + '\0'));
  EXPECT(is_refused(bytes + bytes));
  for (size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    EXPECT_THAT(is_refused(flipped), "accepted with bit " + std::to_string(bit) + " flipped");
  }
}

TEST_CASE("a model that contradicts itself is not written") {
  SavedModel model = small_model();
  model.parameters.W1[4] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THROWS(model_to_bytes(model), ArgumentError, "W1[1, 1] is nan");
  model = small_model();
  model.parameters.b2[2] = -std::numeric_limits<float>::infinity();
  EXPECT_THROWS(model_to_bytes(model), ArgumentError, "b2[2] is -inf");
  model = small_model();
  model.parameters.C.pop_back();
  EXPECT_THROWS(model_to_bytes(model), ArgumentError, "C has 2 elements");
  model = small_model();
  model.sizes.vocab_size = 4;
  EXPECT_THROWS(model_to_bytes(model), ArgumentError, "the vocabulary has 3 tokens");
  model = small_model();
  model.data->sha256 = std::string(64, 'A');
  EXPECT_THROWS(model_to_bytes(model), ArgumentError, "64 lower-case hexadecimal digits");
  model = small_model();
  model.data->name = "\xFF";
  EXPECT_THROWS(model_to_bytes(model), ArgumentError, "must be UTF-8");
}

TEST_CASE("sizes are checked by name before they are multiplied") {
  constexpr int64_t kHuge = std::numeric_limits<int64_t>::max();
  EXPECT_THROWS(makemore::check_sizes({0, 1, 1, 2}), ArgumentError, "block_size must be");
  EXPECT_THROWS(makemore::check_sizes({1, -1, 1, 2}), ArgumentError, "got -1");
  EXPECT_THROWS(makemore::check_sizes({1, 1, kHuge, 2}), ArgumentError, "n_hidden must be");
  EXPECT_THROWS(makemore::parameter_counts({1, 1, 1, kHuge}), ArgumentError, "vocab_size must be");
  EXPECT_THROWS(makemore::ParameterArrays({1 << 16, 1 << 16, 1 << 20, 2}), ArgumentError,
                "more than the limit of " + std::to_string(makemore::kMaxParameters));
  EXPECT(makemore::parameter_count({3, 10, 200, 27}) == 11'897);
  EXPECT(makemore::parameter_count({3, 2, 100, 27}) == 3'481);
}

TEST_CASE("a saved model is loaded, and an old one is replaced by nothing but a whole new one") {
  const Folder folder;
  const std::string path = folder.file("model.safetensors");
  SavedModel model = small_model();
  save_model(path, model);
  EXPECT(same(makemore::load_model(path), model));
  model.parameters.C[0] = 7;
  save_model(path, model);
  EXPECT(same(makemore::load_model(path), model));
  SavedModel bad = small_model();
  bad.parameters.C[0] = std::numeric_limits<float>::infinity();
  EXPECT_THROWS(save_model(path, bad), ArgumentError, "C[0, 0] is inf");
  EXPECT(same(makemore::load_model(path), model));
  EXPECT(folder.count() == 1);
}

TEST_CASE("a wrong path is refused by name and reason") {
  const Folder folder;
  const SavedModel model = small_model();
  EXPECT_THROWS(makemore::load_model(folder.file("none")), FileError, "none': No such file");
  EXPECT_THROWS(makemore::load_model(folder.path.string()), FileError, "it is a folder");
  EXPECT_THROWS(makemore::load_model(""), FileError, "No such file");
  EXPECT_THROWS(makemore::load_model(std::string("a\0b", 3)), FileError, "zero byte");
  EXPECT_THROWS(save_model(folder.path.string(), model), FileError, "it is a folder");
  EXPECT_THROWS(save_model(folder.path.string() + "/", model), FileError, "name of a file");
  EXPECT_THROWS(save_model(folder.file("none/x"), model), FileError, "No such file");
  EXPECT_THROWS(save_model("/dev/null", model), FileError, "not a regular file");

  const std::string pipe = folder.file("pipe");
  EXPECT(::mkfifo(pipe.c_str(), 0600) == 0);
  EXPECT_THROWS(makemore::load_model(pipe), FileError, "not a regular file");
  EXPECT_THROWS(save_model(pipe, model), FileError, "not a regular file");
  EXPECT(folder.count() == 1);
}

TEST_CASE("a file is read up to a bound and then on, whatever its size says") {
  const Folder folder;
  const std::string path = folder.file("file");
  for (const size_t size : {size_t{0}, size_t{1}, size_t{1} << 20, size_t{3'000'001}}) {
    std::string content(size, 'z');
    if (size > 1000) content[1000] = 'a';
    makemore::write_file_atomically(path, content);
    makemore::FileReader file(path);
    std::string bytes;
    for (const int64_t bound : {1000, 10, 1001, 2'000'000, 4'000'000}) {
      const size_t before = bytes.size();
      file.extend(bytes, bound);
      EXPECT(bytes == content.substr(0, std::max(before, static_cast<size_t>(bound))));
    }
  }
  std::string status;
  makemore::FileReader("/proc/self/status").extend(status, 1 << 20);  // says that it has 0 bytes
  EXPECT(!status.empty());
}

TEST_CASE("a file that is replaced while it is read stays one file") {
  const Folder folder;
  const std::string path = folder.file("file");
  makemore::write_file_atomically(path, "old and long");
  makemore::FileReader file(path);
  std::string bytes;
  file.extend(bytes, 3);
  makemore::write_file_atomically(path, "new");
  file.extend(bytes, 100);
  EXPECT(bytes == "old and long");
}

TEST_CASE("a huge sparse file is refused without being read") {
  const Folder folder;
  const std::string path = folder.file("sparse");
  std::ofstream(path) << model_to_bytes(small_model());
  fs::resize_file(path, uintmax_t{1} << 40);
  EXPECT_THROWS(makemore::load_model(path), FormatError, "goes on after");
}

int main() { return check::run(); }
