// A text has at most as many tokens as bytes: each thread writes its tokens where its bytes would
// begin, and gaps are closed afterwards where tokens are fewer.
#include "text/token_batch.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

#include "base/thread_pool.hpp"
#include "makemore/error.hpp"

namespace makemore {

namespace {

// The range of texts from `first` on, up to `end`, whose bytes follow one another in memory.
Range neighbours_from(std::span<const std::string_view> texts, int64_t first, int64_t end) {
  const auto end_of = [&](int64_t i) {
    const std::string_view text = texts[static_cast<size_t>(i)];
    return text.data() + text.size();
  };
  int64_t next = first + 1;
  while (next < end && texts[static_cast<size_t>(next)].data() == end_of(next - 1)) ++next;
  return {first, next};
}

// Writes the tokens of a part of the texts from `begin` on, and the end of each text, counted from
// `origin`.  Returns the number of the first text that cannot be encoded, or -1.
int64_t encode_part(const Vocabulary& vocabulary, std::span<const std::string_view> texts,
                    Range part, Unknown unknown, const int32_t* origin, int32_t* begin,
                    int64_t* ends) {
  int32_t* out = begin;
  for (int64_t i = part.begin; i < part.end;) {
    // The texts of an Arrow array lie side by side.  Where each of their bytes is a token, one loop
    // encodes all of them, and a text's tokens end where its bytes do.
    const Range side_by_side = neighbours_from(texts, i, part.end);
    const std::string_view last = texts[static_cast<size_t>(side_by_side.end - 1)];
    const char* const bytes = texts[static_cast<size_t>(i)].data();
    const auto size = static_cast<size_t>(last.data() + last.size() - bytes);
    const bool is_plain = vocabulary.encode_ascii_to(out, {bytes, size}) == size;
    for (; i < side_by_side.end; ++i) {
      const std::string_view text = texts[static_cast<size_t>(i)];
      try {
        out = is_plain ? out + text.size() : vocabulary.encode_to(out, text, unknown);
      } catch (const ArgumentError&) {
        return i;
      }
      ends[i] = out - origin;
    }
  }
  return -1;
}

[[noreturn]] void throw_encoding_error(const Vocabulary& vocabulary, std::string_view text,
                                       Unknown unknown, int64_t number) {
  const std::string place = "texts[" + std::to_string(number) + "]";
  std::vector<int32_t> tokens;
  try {
    vocabulary.append(tokens, text, unknown);
  } catch (const ArgumentError& error) {
    throw ArgumentError(place + ": " + error.what());
  }
  throw ArgumentError(place + " changed during the call");
}

}  // namespace

void TokenBatch::encode(const Vocabulary& vocabulary, std::span<const std::string_view> texts,
                        Unknown unknown, int threads, int64_t first) {
  constexpr int64_t kMinBytes = 1 << 14;  // fewer do not pay for waking a thread
  constexpr int64_t kMaxParts = 16;
  const int64_t n = std::ssize(texts);
  offsets_.resize(static_cast<size_t>(n) + 1);
  offsets_[0] = 0;
  for (int64_t i = 0; i < n; ++i) {
    const auto at = static_cast<size_t>(i);
    offsets_[at + 1] = offsets_[at] + std::ssize(texts[at]);
  }
  const int64_t bytes = offsets_.back();
  tokens_.shrink(0);
  int32_t* const tokens = tokens_.grow(bytes);

  const int64_t parts = std::clamp(bytes / kMinBytes, int64_t{1}, kMaxParts);
  std::array<int64_t, kMaxParts> begins{}, bad{};
  for (int64_t p = 0; p < parts; ++p) {
    begins[static_cast<size_t>(p)] = offsets_[static_cast<size_t>(share_of(n, p, parts).begin)];
  }
  for_each_block(parts, checked_threads(threads), [&](int64_t p) {
    const auto at = static_cast<size_t>(p);
    bad[at] = encode_part(vocabulary, texts, share_of(n, p, parts), unknown, tokens,
                          tokens + begins[at], offsets_.data() + 1);
  });

  int64_t end = 0;
  for (int64_t p = 0; p < parts; ++p) {
    const int64_t begin = begins[static_cast<size_t>(p)], bad_text = bad[static_cast<size_t>(p)];
    if (bad_text >= 0) {
      throw_encoding_error(vocabulary, texts[static_cast<size_t>(bad_text)], unknown,
                           first + bad_text);
    }
    const Range part = share_of(n, p, parts);
    if (part.begin == part.end) continue;
    const int64_t count = offsets_[static_cast<size_t>(part.end)] - begin;
    if (begin > end) {
      std::memmove(tokens + end, tokens + begin, static_cast<size_t>(count) * sizeof(int32_t));
      for (int64_t i = part.begin; i < part.end; ++i) {
        offsets_[static_cast<size_t>(i) + 1] -= begin - end;
      }
    }
    end += count;
  }
  tokens_.shrink(end);
}

}  // namespace makemore
