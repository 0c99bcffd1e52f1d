// Memory for the inner loops.  Each buffer has its own pages, so that two threads never share a
// prefetched line.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

namespace makemore {

constexpr std::size_t kPage = 4096;

// n zeros (floats or integers) on pages of their own, which take no memory before they are written.
template <typename T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(int64_t n)
      : memory_(std::calloc(static_cast<std::size_t>(n) + 2 * kPage / sizeof(T), sizeof(T))) {
    if (!memory_) throw std::bad_alloc();
    const auto address = reinterpret_cast<std::uintptr_t>(memory_.get());
    data_ = reinterpret_cast<T*>((address + kPage - 1) / kPage * kPage);
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
