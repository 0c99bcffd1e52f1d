// Memory that grows at its end, for results whose size is not known before.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <type_traits>
#include <utility>

namespace makemore {

// An array of plain values.  Where they are many, growing moves their pages without a copy and
// takes no second memory; pages that are not written yet take no memory at all.
template <typename T>
class GrowingBuffer {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  GrowingBuffer() = default;
  ~GrowingBuffer() { std::free(data_); }
  GrowingBuffer(GrowingBuffer&& other) noexcept { *this = std::move(other); }
  GrowingBuffer& operator=(GrowingBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
    return *this;
  }

  int64_t size() const { return size_; }
  T* data() { return data_; }
  const T* data() const { return data_; }
  T& operator[](int64_t i) { return data_[i]; }
  const T& operator[](int64_t i) const { return data_[i]; }

  // Makes room for n more values, which are not initialised, and returns the first of them.
  T* grow(int64_t n) {
    if (n > capacity_ - size_) {
      const int64_t wanted = std::max({size_ + n, capacity_ + capacity_ / 2, int64_t{64}});
      void* const moved = std::realloc(data_, static_cast<size_t>(wanted) * sizeof(T));
      if (moved == nullptr) throw std::bad_alloc();
      data_ = static_cast<T*>(moved);
      capacity_ = wanted;
    }
    size_ += n;
    return data_ + (size_ - n);
  }

  // Only the first n values stay; their memory does, too.
  void shrink(int64_t n) { size_ = n; }

  // Gives the memory away, to be freed by std::free; null where there is none.
  T* give_away() {
    size_ = capacity_ = 0;
    return std::exchange(data_, nullptr);
  }

 private:
  T* data_ = nullptr;
  int64_t size_ = 0, capacity_ = 0;
};

}  // namespace makemore
