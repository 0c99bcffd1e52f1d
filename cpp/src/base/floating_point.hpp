// The mode in which a thread computes floating-point numbers: how it rounds them, and whether it
// keeps the smallest.  The mode of a caller's thread may differ from that of the pool's threads.
#pragma once

#include <cfenv>
#include <cstdint>

namespace makemore {

// While an object of this class lives, its thread rounds to nearest, keeps subnormal numbers and
// traps nothing; after that the thread has its former mode again.  Every function of the library
// whose numbers the mode could change makes such an object, and so does each thread of a job.
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

  // Returns the value, and has it computed while this object lives.  Compilers do not know of the
  // mode: they may move arithmetic that touches no memory out of the object's life.
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
