// The mode in which floating-point numbers are computed: how they are rounded, and whether the
// smallest are kept.  The caller's may be another one than that of our threads.
#pragma once

#include <cfenv>
#include <cstdint>

namespace makemore {

// While it lives, this thread rounds to nearest, keeps subnormal numbers and traps nothing; then
// the thread has the mode again that it had.  Every function of ours whose numbers the mode could
// change makes one, and so does each thread of a job.
class PlainFloatingPoint {
 public:
  PlainFloatingPoint() {
#if defined(__x86_64__)
    asm volatile("stmxcsr %0" : "=m"(before_) : : "memory");
    constexpr uint32_t kPlain = 0x1f80;  // all exceptions masked
    asm volatile("ldmxcsr %0" : : "m"(kPlain) : "memory");
#elif defined(__aarch64__)
    asm volatile("mrs %0, fpcr" : "=r"(before_) : : "memory");
    asm volatile("msr fpcr, %0" : : "r"(uint64_t{0}) : "memory");
#else
    std::fegetenv(&before_);
    std::fesetenv(FE_DFL_ENV);
#endif
  }
  ~PlainFloatingPoint() {
#if defined(__x86_64__)
    asm volatile("ldmxcsr %0" : : "m"(before_) : "memory");
#elif defined(__aarch64__)
    asm volatile("msr fpcr, %0" : : "r"(before_) : "memory");
#else
    std::fesetenv(&before_);
#endif
  }

  // The value, computed from what is in no memory: compilers know of no mode, and move that about.
  template <typename T>
  T here(T value) const {
    asm volatile("" : "+m"(value) : : "memory");
    return value;
  }

  PlainFloatingPoint(const PlainFloatingPoint&) = delete;
  PlainFloatingPoint& operator=(const PlainFloatingPoint&) = delete;

 private:
#if defined(__x86_64__)
  uint32_t before_;
#elif defined(__aarch64__)
  uint64_t before_;
#else
  std::fenv_t before_;
#endif
};

}  // namespace makemore
