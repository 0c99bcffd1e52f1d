// Something costly that one thread makes and all threads share.
#pragma once

#include <atomic>
#include <memory>

namespace makemore {

// While one thread makes the object, the others get null and do without: nobody waits, not even the
// child of a process that forked in the middle.
template <typename T>
class MadeOnce {
 public:
  MadeOnce() = default;
  MadeOnce(const MadeOnce&) = delete;
  MadeOnce& operator=(const MadeOnce&) = delete;
  ~MadeOnce() { delete made_.load(std::memory_order_relaxed); }

  // Returns the object, or null while it is not made.
  const T* get() const { return made_.load(std::memory_order_acquire); }

  // Returns the object, made by make(), which returns a T; null while another thread makes it.
  // What make() throws is rethrown, and the next thread tries again.
  template <typename Make>
  const T* get_or_make(const Make& make) {
    const T* const made = get();
    if (made != nullptr || being_made_.exchange(true)) return made;
    try {
      if (get() == nullptr) made_.store(new T(make()), std::memory_order_release);
    } catch (...) {
      being_made_.store(false);
      throw;
    }
    being_made_.store(false);
    return get();
  }

 private:
  std::atomic<const T*> made_{nullptr};
  std::atomic<bool> being_made_{false};
};

}  // namespace makemore
