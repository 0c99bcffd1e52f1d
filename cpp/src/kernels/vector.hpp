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
constexpr __mmask16 kAllLanes = 0xffff;
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

#if defined(MAKEMORE_ISA_avx2)
// All bits of the first `count` lanes.
inline __m256i first_lanes(int64_t count) {
  const int32_t n = static_cast<int32_t>(count);
  return reinterpret_cast<__m256i>(Integers{0, 1, 2, 3, 4, 5, 6, 7} < (Integers{} + n));
}
#endif

// The first `count` floats at p, zeros behind; nothing beyond them is touched. 0 < count < kLanes.
inline Vector load_partial(const float* p, int64_t count) {
#if defined(MAKEMORE_ISA_avx512)
  return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << count) - 1u), p);
#elif defined(MAKEMORE_ISA_avx2)
  return _mm256_maskload_ps(p, first_lanes(count));
#else
  Vector x{};
  for (int64_t i = 0; i < count; ++i) x[i] = p[i];
  return x;
#endif
}

// The same with `filler` behind.
inline Vector load_partial(const float* p, int64_t count, Vector filler) {
#if defined(MAKEMORE_ISA_avx512)
  return _mm512_mask_loadu_ps(filler, static_cast<__mmask16>((1u << count) - 1u), p);
#elif defined(MAKEMORE_ISA_avx2)
  const __m256i lanes = first_lanes(count);
  return reinterpret_cast<Integers>(lanes) != 0 ? _mm256_maskload_ps(p, lanes) : filler;
#else
  for (int64_t i = 0; i < count; ++i) filler[i] = p[i];
  return filler;
#endif
}

inline void store_partial(float* p, Vector x, int64_t count) {
#if defined(MAKEMORE_ISA_avx512)
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << count) - 1u), x);
#elif defined(MAKEMORE_ISA_avx2)
  _mm256_maskstore_ps(p, first_lanes(count), x);
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
inline Vector at_most(Vector x, Vector limit) {
#if defined(MAKEMORE_ISA_avx512)
  return _mm512_maskz_min_ps(kAllLanes, limit, x);  // the second operand, where one is NaN
#elif defined(MAKEMORE_ISA_avx2)
  return _mm256_min_ps(limit, x);
#else
  return x > limit ? limit : x;
#endif
}

inline Vector at_least(Vector x, Vector limit) {
#if defined(MAKEMORE_ISA_avx512)
  return _mm512_maskz_max_ps(kAllLanes, limit, x);
#elif defined(MAKEMORE_ISA_avx2)
  return _mm256_max_ps(limit, x);
#else
  return x < limit ? limit : x;
#endif
}

// -- across lanes
// ----------------------------------------------------------------------------------

template <int... I>
struct Indices {};
template <int N, int... I>
struct IndicesTo : IndicesTo<N - 1, N - 1, I...> {};
template <int... I>
struct IndicesTo<0, I...> {
  using Type = Indices<I...>;
};
using AllLanes = IndicesTo<kLanes>::Type;

// Lane i of "the first (or second) half of every run of W lanes of x, then that of y, by turns".
template <int W>
constexpr int half_lane(int i, bool second) {
  const int run = i / W * W, within = i % W;
  const int from = within < W / 2 ? run + within : kLanes + run + within - W / 2;
  return second ? from + W / 2 : from;
}

template <int W, int... I>
inline Vector halves(Vector x, Vector y, Indices<I...>, bool second) {
  return second ? __builtin_shufflevector(x, y, half_lane<W>(I, true)...)
                : __builtin_shufflevector(x, y, half_lane<W>(I, false)...);
}
template <int W>
inline Vector first_halves(Vector x, Vector y) {
  return halves<W>(x, y, AllLanes{}, false);
}
template <int W>
inline Vector second_halves(Vector x, Vector y) {
  return halves<W>(x, y, AllLanes{}, true);
}

// Sums the lanes of x[0] ... x[kLanes-1] into one vector, as binary trees that add lanes i and
// i + kLanes/2 first.  x is overwritten.
template <int W = kLanes>
inline Vector sums_of_lanes(Vector* x) {
  if constexpr (W == 1) {
    return x[0];
  } else {
    // Pairs that lie W/2 apart bring the sums out in the order of x.
    MAKEMORE_UNROLL
    for (int i = 0; i < W / 2; ++i) {
      x[i] = first_halves<W>(x[i], x[i + W / 2]) + second_halves<W>(x[i], x[i + W / 2]);
    }
    return sums_of_lanes<W / 2>(x);
  }
}

// x[i][j] becomes x[j][i].
template <int W = kLanes>
inline void transpose_lanes(Vector* x) {
  if constexpr (W > 1) {
    MAKEMORE_UNROLL
    for (int group = 0; group < kLanes; group += W) {
      MAKEMORE_UNROLL
      for (int i = group; i < group + W / 2; ++i) {
        const Vector first = first_halves<W>(x[i], x[i + W / 2]);
        x[i + W / 2] = second_halves<W>(x[i], x[i + W / 2]);
        x[i] = first;
      }
    }
    transpose_lanes<W / 2>(x);
  }
}

// The sum, and the greatest, of the lanes by the same tree, in every lane.
template <int W = kLanes>
inline Vector sum_everywhere(Vector x) {
  if constexpr (W == 1) {
    return x;
  } else {
    return sum_everywhere<W / 2>(first_halves<W>(x, x) + second_halves<W>(x, x));
  }
}
template <int W = kLanes>
inline Vector max_everywhere(Vector x) {
  if constexpr (W == 1) {
    return x;
  } else {
    const Vector a = first_halves<W>(x, x), b = second_halves<W>(x, x);
    return max_everywhere<W / 2>(at_least(a, b));
  }
}

inline Integers bits_of(Vector x) { return reinterpret_cast<Integers>(x); }
inline Vector float_of_bits(Integers x) { return reinterpret_cast<Vector>(x); }
inline Vector to_float(Integers x) { return __builtin_convertvector(x, Vector); }

}  // namespace makemore::MAKEMORE_ISA
