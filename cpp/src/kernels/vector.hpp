// A vector of floats as wide as the instruction set that this text is compiled for, and the few
// operations on it that the kernels need.
//
// Included by kernels.cpp only, once per instruction set; everything lives in a namespace named
// after the instruction set, so that no function compiled for one can stand in for another.
#pragma once

#include <stdint.h>

#if defined(MAKEMORE_ISA_avx512) || defined(MAKEMORE_ISA_avx2)
#include <immintrin.h>
#elif defined(MAKEMORE_ISA_neon)
#include <arm_neon.h>
#endif

#define MAKEMORE_UNROLL _Pragma("GCC unroll 32")

namespace makemore::MAKEMORE_ISA {

#if defined(MAKEMORE_ISA_avx512)
constexpr int kLanes = 16;
constexpr int kRegisters = 32;
#elif defined(MAKEMORE_ISA_avx2)
constexpr int kLanes = 8;
constexpr int kRegisters = 16;
#elif defined(MAKEMORE_ISA_neon)
constexpr int kLanes = 4;
constexpr int kRegisters = 32;
#else
constexpr int kLanes = 4;
constexpr int kRegisters = 16;
#endif

typedef float Vector __attribute__((vector_size(4 * kLanes)));
typedef int32_t Integers __attribute__((vector_size(4 * kLanes)));
// The same at any address.
typedef float UnalignedVector __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));

inline Vector load(const float* p) { return *reinterpret_cast<const UnalignedVector*>(p); }
inline void store(float* p, Vector x) { *reinterpret_cast<UnalignedVector*>(p) = x; }
inline Vector broadcast(float x) { return x - Vector{}; }  // x - 0 is x, also for -0

// The first `count` floats at p, zeros behind; nothing beyond them is touched. 0 < count < kLanes.
inline Vector load_partial(const float* p, int64_t count) {
#if defined(MAKEMORE_ISA_avx512)
  return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << count) - 1u), p);
#else
  Vector x{};
  for (int64_t i = 0; i < count; ++i) x[i] = p[i];
  return x;
#endif
}

inline void store_partial(float* p, Vector x, int64_t count) {
#if defined(MAKEMORE_ISA_avx512)
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << count) - 1u), x);
#else
  for (int64_t i = 0; i < count; ++i) p[i] = x[i];
#endif
}

// a*b + c, rounded once where the machine has the instruction; the baseline rounds twice.
inline Vector fma(Vector a, Vector b, Vector c) {
#if defined(MAKEMORE_ISA_avx512)
  return _mm512_fmadd_ps(a, b, c);
#elif defined(MAKEMORE_ISA_avx2)
  return _mm256_fmadd_ps(a, b, c);
#elif defined(MAKEMORE_ISA_neon)
  return vfmaq_f32(c, a, b);
#else
  return a * b + c;
#endif
}

// Where x is NaN the result is NaN: an error must not vanish in a clamp.
inline Vector at_most(Vector x, Vector limit) { return x > limit ? limit : x; }
inline Vector at_least(Vector x, Vector limit) { return x < limit ? limit : x; }

// Sums the lanes as a binary tree: (i, i + kLanes/2) first.
inline float sum_of_lanes(Vector x) {
#if defined(MAKEMORE_ISA_avx512)
  const auto half = __builtin_shufflevector(x, x, 0, 1, 2, 3, 4, 5, 6, 7) +
                    __builtin_shufflevector(x, x, 8, 9, 10, 11, 12, 13, 14, 15);
#elif defined(MAKEMORE_ISA_avx2)
  const Vector half = x;
#endif
#if defined(MAKEMORE_ISA_avx512) || defined(MAKEMORE_ISA_avx2)
  const auto quarter = __builtin_shufflevector(half, half, 0, 1, 2, 3) +
                       __builtin_shufflevector(half, half, 4, 5, 6, 7);
#else
  const Vector quarter = x;
#endif
  return (quarter[0] + quarter[2]) + (quarter[1] + quarter[3]);
}

inline float max_of_lanes(Vector x) {
  float greatest = x[0];
  for (int i = 1; i < kLanes; ++i) greatest = x[i] > greatest ? x[i] : greatest;
  return greatest;
}

inline Integers bits_of(Vector x) { return reinterpret_cast<Integers>(x); }
inline Vector float_of_bits(Integers x) { return reinterpret_cast<Vector>(x); }
inline Vector to_float(Integers x) { return __builtin_convertvector(x, Vector); }

}  // namespace makemore::MAKEMORE_ISA
