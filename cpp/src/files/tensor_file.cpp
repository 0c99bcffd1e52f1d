// Writes header and data with a digest over both, and reads only what is written in this way.
#include "files/tensor_file.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <unordered_set>

#include "files/file_io.hpp"
#include "files/json.hpp"
#include "files/sha256.hpp"

namespace makemore {

// The file's numbers are copied to and from memory as they are.
static_assert(std::endian::native == std::endian::little);
static_assert(sizeof(float) == 4 && std::numeric_limits<float>::is_iec559);
static_assert(sizeof(double) == 8 && std::numeric_limits<double>::is_iec559);

namespace {

constexpr size_t kLengthBytes = 8;
constexpr size_t kAlignment = 8;
// Room for a million words, which take some 12 MB; readers of safetensors refuse 100 MB.
constexpr uint64_t kMaxHeaderBytes = 1 << 26;
constexpr size_t kMaxNameBytes = 256;                  // names appear in errors
constexpr int64_t kMaxTensorBytes = int64_t{1} << 40;  // far below an overflow of their sum
constexpr size_t kMaxTensors = 10'000;

constexpr std::string_view kBeforeMetadata = R"({"__metadata__":{"makemore":)";
constexpr std::string_view kBeforeDigest = R"(,"digest":")";
constexpr std::string_view kAfterDigest = R"("})";
// kAfterDigest as it stands in the header, where the metadata are a string and quotes are escaped.
constexpr std::string_view kAfterDigestInHeader = R"(\"}")";

struct NumberType {
  Number number;
  const char* name;
  const char* in_file;
  int64_t bytes;
};
constexpr std::array<NumberType, 5> kTypes{{{Number::float32, "float32", "F32", 4},
                                            {Number::float64, "float64", "F64", 8},
                                            {Number::int32, "int32", "I32", 4},
                                            {Number::int64, "int64", "I64", 8},
                                            {Number::uint8, "uint8", "U8", 1}}};

const NumberType& type_of(Number number) { return kTypes[static_cast<size_t>(number)]; }

[[noreturn]] void fail_in(const Tensor& tensor, const std::string& sentence) {
  throw ArgumentError("the tensor '" + show_text(tensor.name) + "' " + sentence);
}

int64_t tensor_bytes(const Tensor& tensor) {
  int64_t bytes = type_of(tensor.number).bytes;
  for (const int64_t size : tensor.shape) {
    if (size < 0 || __builtin_mul_overflow(bytes, size, &bytes) || bytes > kMaxTensorBytes) {
      fail_in(tensor, "is larger than any file");
    }
  }
  return bytes;
}

// Throws for the first number that is not finite.
template <typename Float>
void check_finite(const Tensor& tensor) {
  const size_t count = tensor.data.size() / sizeof(Float);
  for (size_t i = 0; i < count; ++i) {
    Float value;  // the data of a file need not be aligned
    std::memcpy(&value, tensor.data.data() + i * sizeof(Float), sizeof(Float));
    if (std::isfinite(value)) continue;
    std::string indices;
    auto rest = static_cast<int64_t>(i);
    for (auto size = tensor.shape.rbegin(); size != tensor.shape.rend(); ++size) {
      indices = std::to_string(rest % *size) + (indices.empty() ? "" : ", ") + indices;
      rest /= *size;
    }
    throw ArgumentError(show_text(tensor.name) + "[" + indices + "] is " + std::to_string(value) +
                        ": every number that is saved must be finite");
  }
}

// Throws unless the data have the sizes that the shapes demand, and their floats are finite.
void check_data(const std::vector<Tensor>& tensors) {
  for (const Tensor& tensor : tensors) {
    if (static_cast<int64_t>(tensor.data.size()) != tensor_bytes(tensor)) {
      fail_in(tensor, "has " + std::to_string(tensor.data.size()) +
                          " bytes, and its shape demands " + std::to_string(tensor_bytes(tensor)));
    }
    if (tensor.number == Number::float32) check_finite<float>(tensor);
    if (tensor.number == Number::float64) check_finite<double>(tensor);
  }
}

// Throws unless names and shapes are valid; it needs no data.
void check_names(const std::vector<Tensor>& tensors) {
  std::unordered_set<std::string> names{"__metadata__"};
  if (tensors.size() > kMaxTensors) {
    throw ArgumentError("there are " + std::to_string(tensors.size()) +
                        " tensors, and the limit is " + std::to_string(kMaxTensors));
  }
  for (const Tensor& tensor : tensors) {
    if (tensor.name.empty() || tensor.name.size() > kMaxNameBytes || !is_utf8(tensor.name)) {
      throw ArgumentError("the name of a tensor must be UTF-8 of 1 to " +
                          std::to_string(kMaxNameBytes) + " bytes, got '" +
                          show_text(tensor.name.substr(0, 100)) + "'");
    }
    if (!names.insert(tensor.name).second) fail_in(tensor, "occurs twice");
    tensor_bytes(tensor);
  }
}

void append_integers(std::string& out, const char* key, const std::vector<int64_t>& values) {
  out += key;
  for (size_t i = 0; i < values.size(); ++i) {
    if (i > 0) out += ',';
    out += std::to_string(values[i]);
  }
  out += ']';
}

std::vector<int64_t> read_integers(json::Reader& reader, const char* key) {
  reader.expect(key);
  std::vector<int64_t> values;
  if (reader.accept("]")) return values;
  do {
    values.push_back(reader.size());
  } while (reader.accept(","));
  reader.expect("]");
  return values;
}

constexpr char kDtype[] = R"(:{"dtype":)";
constexpr char kShape[] = R"(,"shape":[)";
constexpr char kOffsets[] = R"(,"data_offsets":[)";

// Returns everything that stands before the data: the length (8 bytes, little-endian), the JSON,
// and the spaces that align the data.  The digest, which begins at `digest_at`, is zeros.
std::string write_header(const TensorFile& file, size_t& digest_at) {
  std::string metadata = file.metadata.substr(0, file.metadata.size() - 1);
  metadata += kBeforeDigest;
  metadata.append(kDigestDigits, '0');
  metadata += kAfterDigest;

  std::string bytes(kLengthBytes, '\0');
  bytes += kBeforeMetadata;
  json::append_string(bytes, metadata);
  digest_at = bytes.size() - kAfterDigestInHeader.size() - kDigestDigits;
  bytes += '}';
  int64_t begin = 0;
  for (const Tensor& tensor : file.tensors) {
    const int64_t end = begin + tensor_bytes(tensor);
    bytes += ',';
    json::append_string(bytes, tensor.name);
    bytes += kDtype;
    json::append_string(bytes, type_of(tensor.number).in_file);
    append_integers(bytes, kShape, tensor.shape);
    append_integers(bytes, kOffsets, {begin, end});
    bytes += '}';
    begin = end;
  }
  bytes += '}';
  while (bytes.size() % kAlignment != 0) bytes += ' ';
  const uint64_t length = bytes.size() - kLengthBytes;
  if (length > kMaxHeaderBytes) {
    throw ArgumentError("the header would have " + std::to_string(length) +
                        " bytes, and the limit is " + std::to_string(kMaxHeaderBytes));
  }
  std::memcpy(bytes.data(), &length, kLengthBytes);
  return bytes;
}

// The SHA-256 of a whole file in which the digest's own digits are replaced by zeros.
std::string digest_of(std::string_view bytes, size_t digest_at) {
  Sha256 sha256;
  sha256.update(bytes.substr(0, digest_at));
  sha256.update(std::string(kDigestDigits, '0'));
  sha256.update(bytes.substr(digest_at + kDigestDigits));
  return sha256.finish();
}

struct Header {
  TensorFile file;  // without data
  size_t digest_at = 0;
  size_t data_at = 0;
  size_t file_bytes = 0;
};

// The JSON of the header, whose length the first bytes state.
std::string_view json_text(std::string_view bytes) {
  uint64_t length = 0;
  if (bytes.size() < kLengthBytes) {
    throw ArgumentError("the file has only " + std::to_string(bytes.size()) +
                        " bytes: it is empty or cut off");
  }
  std::memcpy(&length, bytes.data(), kLengthBytes);
  if (length > kMaxHeaderBytes) {
    throw ArgumentError("it is not a file of makemore_cpp: its first 8 bytes claim a header of " +
                        std::to_string(length) + " bytes, and the limit is " +
                        std::to_string(kMaxHeaderBytes));
  }
  if (length > bytes.size() - kLengthBytes) {
    throw ArgumentError("the file is cut off: it ends after " + std::to_string(bytes.size()) +
                        " bytes, inside a header of " + std::to_string(length) + " bytes");
  }
  return bytes.substr(kLengthBytes, length);
}

// The metadata without their last member, the digest.
std::string without_digest(const std::string& metadata) {
  constexpr size_t kMemberBytes = kBeforeDigest.size() + kDigestDigits + kAfterDigest.size();
  const size_t begin = metadata.size() - std::min(metadata.size(), kMemberBytes);
  const std::string_view member = std::string_view(metadata).substr(begin);
  if (!member.starts_with(kBeforeDigest) || !member.ends_with(kAfterDigest) ||
      !is_digest(member.substr(kBeforeDigest.size(), kDigestDigits))) {
    throw ArgumentError("the metadata do not end with a digest");
  }
  return metadata.substr(0, begin) + "}";
}

Tensor read_tensor(json::Reader& reader, int64_t begin) {
  Tensor tensor;
  tensor.name = reader.string();
  reader.expect(kDtype);
  const std::string dtype = reader.string();
  const auto type = std::ranges::find_if(
      kTypes, [&dtype](const NumberType& known) { return known.in_file == dtype; });
  if (type == kTypes.end()) {
    fail_in(tensor, "holds numbers of another type, '" + show_text(dtype.substr(0, 100)) + "'");
  }
  tensor.number = type->number;
  tensor.shape = read_integers(reader, kShape);
  const std::vector<int64_t> offsets = read_integers(reader, kOffsets);
  reader.expect("}");
  const int64_t bytes = tensor_bytes(tensor);
  if (offsets != std::vector<int64_t>{begin, begin + bytes}) {
    fail_in(tensor, "does not lie where its shape and the tensors before it demand");
  }
  return tensor;
}

// Checks all that can be known from the header; the data may be missing.
Header read_header(std::string_view bytes) {
  const std::string_view text = json_text(bytes);
  json::Reader reader(text, "the header");
  if (!reader.accept(kBeforeMetadata)) {
    throw ArgumentError(
        "it is not a file of makemore_cpp: its header does not begin with the metadata of one");
  }
  Header header;
  header.file.metadata = without_digest(reader.string());
  header.digest_at = kLengthBytes + reader.at() - kAfterDigestInHeader.size() - kDigestDigits;
  reader.expect("}");
  int64_t begin = 0;
  while (reader.accept(",")) {
    header.file.tensors.push_back(read_tensor(reader, begin));
    begin += tensor_bytes(header.file.tensors.back());
    if (header.file.tensors.size() > kMaxTensors) break;  // check_names refuses them
  }
  check_names(header.file.tensors);
  reader.expect("}");
  header.data_at = kLengthBytes + text.size();
  const size_t spaces = text.size() - reader.at();
  if (header.data_at % kAlignment != 0 || spaces >= kAlignment ||
      text.substr(reader.at()) != std::string(spaces, ' ')) {
    throw ArgumentError("the header does not end as it must");
  }
  header.file_bytes = header.data_at + static_cast<size_t>(begin);
  return header;
}

}  // namespace

const char* name_of(Number number) { return type_of(number).name; }

std::optional<Number> number_named(std::string_view name) {
  for (const NumberType& type : kTypes) {
    if (type.name == name) return type.number;
  }
  return std::nullopt;
}

void check(const TensorFile& file) {
  const std::string& metadata = file.metadata;
  if (!metadata.starts_with("{\"") || !metadata.ends_with("}") || !is_utf8(metadata)) {
    throw ArgumentError("the metadata must be the UTF-8 of a JSON object with members");
  }
  check_names(file.tensors);
  check_data(file.tensors);
}

std::string to_bytes(const TensorFile& file) {
  check(file);
  size_t digest_at = 0;
  std::string bytes = write_header(file, digest_at);
  size_t total = bytes.size();
  for (const Tensor& tensor : file.tensors) total += tensor.data.size();
  bytes.reserve(total);
  for (const Tensor& tensor : file.tensors) bytes += tensor.data;
  bytes.replace(digest_at, kDigestDigits, digest_of(bytes, digest_at));
  return bytes;
}

TensorFile tensors_from_bytes(std::string_view bytes) {
  auto [file, digest_at, data_at, file_bytes] = read_header(bytes);
  if (bytes.size() < file_bytes) {
    throw ArgumentError("the file is cut off: it has " + std::to_string(bytes.size()) + " of " +
                        std::to_string(file_bytes) + " bytes");
  }
  if (bytes.size() > file_bytes) {
    throw ArgumentError("the file goes on after the " + std::to_string(file_bytes) +
                        " bytes that its header announces");
  }
  if (digest_of(bytes, digest_at) != bytes.substr(digest_at, kDigestDigits)) {
    throw ArgumentError("the file is damaged: its bytes do not have the digest that it names");
  }
  for (Tensor& tensor : file.tensors) {
    tensor.data = bytes.substr(data_at, static_cast<size_t>(tensor_bytes(tensor)));
    data_at += tensor.data.size();
  }
  check_data(file.tensors);
  return std::move(file);
}

std::string read_tensor_file(const std::string& path) {
  FileReader file(path);
  std::string bytes;
  file.extend(bytes, kLengthBytes + kMaxHeaderBytes);
  const size_t size = read_header(bytes).file_bytes;
  file.extend(bytes, static_cast<int64_t>(size) + 1);
  return bytes;
}

}  // namespace makemore
