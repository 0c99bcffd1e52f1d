// Memory for the inner loops.  Each buffer has its own pages, so that two threads never share a
// prefetched line.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace makemore {

constexpr std::size_t kPage = 4096, kHugePage = 2 << 20;

// Asks for huge pages, since making 4,000 small ones takes as long as two steps: with 17,000 tokens
// and AdamW a call of one step took 33 ms on small pages and 22 ms on huge ones.
inline void use_huge_pages([[maybe_unused]] void* data, [[maybe_unused]] std::size_t bytes) {
#ifdef __linux__
  madvise(data, bytes, MADV_HUGEPAGE);  // where the kernel has none, pages stay small
#endif
}

// n zeros (floats or integers) on pages of their own, which take no memory before they are written.
template <typename T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(int64_t n) {
    const auto count = static_cast<std::size_t>(n);
    const bool is_large = count >= kHugePage / 2 / sizeof(T);
    const std::size_t page = is_large ? kHugePage : kPage;
    const auto whole_pages = [&](std::uintptr_t bytes) { return (bytes + page - 1) / page * page; };
    memory_.reset(std::calloc(count + 2 * page / sizeof(T), sizeof(T)));
    if (!memory_) throw std::bad_alloc();
    const auto address = whole_pages(reinterpret_cast<std::uintptr_t>(memory_.get()));
    data_ = reinterpret_cast<T*>(address);
    if (is_large) use_huge_pages(data_, whole_pages(count * sizeof(T)));
  }
  T* get() { return data_; }
  const T* get() const { return data_; }
  T& operator[](int64_t i) { return data_[i]; }
  const T& operator[](int64_t i) const { return data_[i]; }

 private:
  struct Free {
    void operator()(void* p) const { std::free(p); }
  };
  std::unique_ptr<void, Free> memory_;
  T* data_ = nullptr;
};

// Rows of packed arrays are padded with zeros to whole 64-byte lines, the widest vector of all
// instruction sets, so that a cut is the same on every machine.
constexpr int64_t kUnit = 16;
inline int64_t padded(int64_t n) { return (n + kUnit - 1) / kUnit * kUnit; }

}  // namespace makemore
