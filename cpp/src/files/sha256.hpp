// The SHA-256 digest of bytes that arrive in pieces (FIPS 180-4).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace makemore {

constexpr size_t kDigestDigits = 64;

// Whether a text could be a digest: 64 lower-case hexadecimal digits.
bool is_digest(std::string_view text);

class Sha256 {
 public:
  void update(std::string_view bytes);

  // Returns 64 lower-case hexadecimal digits and ends the computation: call it once, and call
  // update no more.
  std::string finish();

 private:
  static constexpr size_t kBlockBytes = 64;

  void compress(const unsigned char* block);

  // The initial hash value: section 5.3.3.
  std::array<uint32_t, 8> state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<unsigned char, kBlockBytes> buffer_{};  // the first `buffered_` are in use
  size_t buffered_ = 0;
  uint64_t total_bytes_ = 0;
};

}  // namespace makemore
