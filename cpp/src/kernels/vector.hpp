// A vector of floats as wide as the instruction set that this text is compiled for, and the few
// operations on it that the kernels need.
//
// Included by kernels.cpp only, once per instruction set; everything lives in a namespace named
// after the instruction set, so that no function compiled for one can stand in for another.
#pragma once

#include <stdint.h>

#if defined(__SSE2__)
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
typedef uint32_t Words __attribute__((vector_size(4 * kLanes)));
typedef uint64_t WideWords __attribute__((vector_size(4 * kLanes)));  // half as many lanes
// A Vector at any address.
typedef float UnalignedVector __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));

inline Vector load(const float* p) { return *reinterpret_cast<const UnalignedVector*>(p); }
inline void store(float* p, Vector x) { *reinterpret_cast<UnalignedVector*>(p) = x; }
inline Vector broadcast(float x) { return x - Vector{}; }  // x - 0 is x, also for -0

#if defined(MAKEMORE_ISA_avx2)
// A mask with all bits of the first `count` lanes set.
inline __m256i first_lanes(int64_t count) {
  const int32_t n = static_cast<int32_t>(count);
  return reinterpret_cast<__m256i>(Integers{0, 1, 2, 3, 4, 5, 6, 7} < (Integers{} + n));
}
#endif

// Loads the first `count` floats at p, 0 < count < kLanes, into the first lanes and zeros into the
// others; touches nothing beyond those floats.
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

// Does the same with the lanes of `filler` instead of zeros.
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

// a*b + c, rounded once; baseline x86-64 has no such instruction and rounds twice.
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

// The smaller of x and limit in each lane, NaN where x is NaN: an error must not vanish in a clamp.
inline Vector at_most(Vector x, Vector limit) {
#if defined(MAKEMORE_ISA_avx512)
  return _mm512_maskz_min_ps(kAllLanes, limit, x);  // gives the second operand where one is NaN
#elif defined(MAKEMORE_ISA_avx2)
  return _mm256_min_ps(limit, x);
#else
  return x > limit ? limit : x;
#endif
}

// The greater of x and limit in each lane, NaN where x is NaN.
inline Vector at_least(Vector x, Vector limit) {
#if defined(MAKEMORE_ISA_avx512)
  return _mm512_maskz_max_ps(kAllLanes, limit, x);
#elif defined(MAKEMORE_ISA_avx2)
  return _mm256_max_ps(limit, x);
#else
  return x < limit ? limit : x;
#endif
}

// -- operations across lanes ----------------------------------------------------------------------

template <int... I>
struct Indices {};
template <int N, int... I>
struct IndicesTo : IndicesTo<N - 1, N - 1, I...> {};
template <int... I>
struct IndicesTo<0, I...> {
  using Type = Indices<I...>;
};
using AllLanes = IndicesTo<kLanes>::Type;

// The shuffles below are one instruction on every machine, because they move lanes inside each
// group of four, or whole groups.
constexpr int kGroup = 4;
constexpr int kGroups = kLanes / kGroup;

// The number of the lane, of x and then of y, that becomes lane i where two vectors are zipped
// inside each group: x0 y0 x1 y1, or (second) x2 y2 x3 y3.
constexpr int zipped_lane(int i, bool second) {
  const int within = i % kGroup;
  return i - within + within / 2 + (second ? 2 : 0) + (within % 2) * kLanes;
}
// The same where they are zipped by pairs of lanes: x0 x1 y0 y1, or x2 x3 y2 y3.
constexpr int paired_lane(int i, bool second) {
  const int within = i % kGroup;
  return i - within + within % 2 + (second ? 2 : 0) + (within / 2) * kLanes;
}
// The same where the groups of even (or odd) number of x come first, then those of y.
constexpr int group_lane(int i, bool odd) {
  return 2 * (i - i % kGroup) + i % kGroup + (odd ? kGroup : 0);
}

template <int (*lane)(int, bool), bool second, int... I>
inline Vector shuffle(Vector x, Vector y, Indices<I...>) {
  return __builtin_shufflevector(x, y, lane(I, second)...);
}
template <int (*lane)(int, bool), bool second>
inline Vector shuffle(Vector x, Vector y) {
  return shuffle<lane, second>(x, y, AllLanes{});
}

// x[i] becomes the sum of the two shuffles of x[2i] and x[2i+1], for i < n/2.
template <int (*lane)(int, bool), int n>
inline void add_pairs(Vector* x) {
  MAKEMORE_UNROLL
  for (int i = 0; i < n / 2; ++i) {
    x[i] =
        shuffle<lane, false>(x[2 * i], x[2 * i + 1]) + shuffle<lane, true>(x[2 * i], x[2 * i + 1]);
  }
}

// Returns the vector whose lane i is the sum of the lanes of x[i], added as a binary tree; x holds
// kLanes vectors and is overwritten.
inline Vector sums_of_lanes(Vector* x) {
  add_pairs<zipped_lane, kLanes>(x);
  add_pairs<paired_lane, kLanes / 2>(x);
  if constexpr (kGroups >= 2) add_pairs<group_lane, kGroups>(x);
  if constexpr (kGroups >= 4) add_pairs<group_lane, kGroups / 2>(x);
  return x[0];
}

// Transposes the groups of x[0], x[stride], ... x[(n-1) stride].
template <int n, int stride>
inline void transpose_groups(Vector* x) {
  if constexpr (n > 1) {
    Vector even[n / 2], odd[n / 2];
    MAKEMORE_UNROLL
    for (int i = 0; i < n / 2; ++i) {
      const Vector a = x[2 * i * stride], b = x[(2 * i + 1) * stride];
      even[i] = shuffle<group_lane, false>(a, b);
      odd[i] = shuffle<group_lane, true>(a, b);
    }
    transpose_groups<n / 2, 1>(even);
    transpose_groups<n / 2, 1>(odd);
    MAKEMORE_UNROLL
    for (int i = 0; i < n / 2; ++i) {
      x[2 * i * stride] = even[i];
      x[(2 * i + 1) * stride] = odd[i];
    }
  }
}

// x[i][j] becomes x[j][i]: first inside squares of four by four lanes, then the squares change
// places.
inline void transpose_lanes(Vector* x) {
  MAKEMORE_UNROLL
  for (int i = 0; i < kLanes; i += kGroup) {
    const Vector a = shuffle<zipped_lane, false>(x[i], x[i + 1]);
    const Vector b = shuffle<zipped_lane, true>(x[i], x[i + 1]);
    const Vector c = shuffle<zipped_lane, false>(x[i + 2], x[i + 3]);
    const Vector d = shuffle<zipped_lane, true>(x[i + 2], x[i + 3]);
    x[i] = shuffle<paired_lane, false>(a, c);
    x[i + 1] = shuffle<paired_lane, true>(a, c);
    x[i + 2] = shuffle<paired_lane, false>(b, d);
    x[i + 3] = shuffle<paired_lane, true>(b, d);
  }
  MAKEMORE_UNROLL
  for (int j = 0; j < kGroup; ++j) transpose_groups<kGroups, kGroup>(x + j);
}

// x with each two neighbouring runs of `run` lanes exchanged.
template <int run, int... I>
inline Vector swapped(Vector x, Indices<I...>) {
  return __builtin_shufflevector(x, x, (I ^ run)...);
}

// The sum, or the greatest, of the lanes of x, in every lane of the result.
template <int run = kLanes / 2>
inline Vector sum_everywhere(Vector x) {
  if constexpr (run == 0) {
    return x;
  } else {
    return sum_everywhere<run / 2>(x + swapped<run>(x, AllLanes{}));
  }
}
template <int run = kLanes / 2>
inline Vector max_everywhere(Vector x) {
  if constexpr (run == 0) {
    return x;
  } else {
    return max_everywhere<run / 2>(at_least(x, swapped<run>(x, AllLanes{})));
  }
}

inline Vector sqrt_of(Vector x) {
#if defined(MAKEMORE_ISA_avx512)
  return _mm512_maskz_sqrt_ps(kAllLanes, x);
#elif defined(MAKEMORE_ISA_avx2)
  return _mm256_sqrt_ps(x);
#elif defined(MAKEMORE_ISA_neon)
  return vsqrtq_f32(x);
#elif defined(__SSE2__)
  return _mm_sqrt_ps(x);
#else
  for (int i = 0; i < kLanes; ++i) x[i] = __builtin_sqrtf(x[i]);
  return x;
#endif
}

// The products of the low halves of a's and b's elements, whatever their high halves hold.
inline WideWords multiply_low_halves(WideWords a, WideWords b) {
#if defined(MAKEMORE_ISA_avx512)
  return reinterpret_cast<WideWords>(
      _mm512_maskz_mul_epu32(0xff, reinterpret_cast<__m512i>(a), reinterpret_cast<__m512i>(b)));
#elif defined(MAKEMORE_ISA_avx2)
  return reinterpret_cast<WideWords>(
      _mm256_mul_epu32(reinterpret_cast<__m256i>(a), reinterpret_cast<__m256i>(b)));
#elif defined(__SSE2__)
  return reinterpret_cast<WideWords>(
      _mm_mul_epu32(reinterpret_cast<__m128i>(a), reinterpret_cast<__m128i>(b)));
#else
  return (a & 0xffffffffu) * (b & 0xffffffffu);
#endif
}

inline Integers bits_of(Vector x) { return reinterpret_cast<Integers>(x); }
inline Vector float_of_bits(Integers x) { return reinterpret_cast<Vector>(x); }
inline Vector to_float(Integers x) { return __builtin_convertvector(x, Vector); }

}  // namespace makemore::MAKEMORE_ISA
