// exp and log within 2 ulp (units in the last place) and tanh within 7 ulp over their stated
// ranges, on vectors; tests/cpp/test_kernels.cpp walks through the ranges.  The coefficients are
// our own least-squares fits, reweighted until the relative error levels out; the relative error of
// each fit stands beside it.
#pragma once

#include "vector.hpp"

namespace makemore::MAKEMORE_ISA {

// e^x for x <= 88.  Below -87.33, where the result would not be a normal float, it is 0.
inline Vector exp_of(Vector x) {
  const Vector shift = broadcast(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer
  const Vector clamped = at_least(x, broadcast(-87.33f));
  const Vector shifted = fma(clamped, broadcast(1.44269504f), shift);
  const Vector n = shifted - shift;
  // r = x - n ln 2, with ln 2 in two parts so that the first product is exact.
  Vector r = fma(n, broadcast(-0.693359375f), clamped);
  r = fma(n, broadcast(2.12194440e-4f), r);
  // e^r = 1 + r + r^2 q(r) on |r| <= ln 2 / 2, within 0.06 * 2^-24.
  Vector q = broadcast(0.00138146f);
  q = fma(q, r, broadcast(0.00836873f));
  q = fma(q, r, broadcast(0.04166839f));
  q = fma(q, r, broadcast(0.16666521f));
  q = fma(q, r, broadcast(0.49999993f));
  const Vector power = fma(q, r * r, r) + broadcast(1.0f);
  const Vector two_to_n = float_of_bits((bits_of(shifted) << 23) + bits_of(broadcast(1.0f)));
  const Vector result = power * two_to_n;
  return x < broadcast(-87.33f) ? Vector{} : result;
}

// ln x for normal x > 0: x = m 2^e with m in [sqrt(1/2), sqrt(2)), ln m = 2 atanh((m-1)/(m+1)).
inline Vector log_of(Vector x) {
  const Integers root_half = bits_of(broadcast(0.70710678f));
  const Integers e = (bits_of(x) - root_half) >> 23;
  const Vector m = float_of_bits(bits_of(x) - (e << 23));
  const Vector s = (m - broadcast(1.0f)) / (m + broadcast(1.0f));
  const Vector z = s * s;
  Vector series = broadcast(1.0f / 9);
  series = fma(series, z, broadcast(1.0f / 7));
  series = fma(series, z, broadcast(1.0f / 5));
  series = fma(series, z, broadcast(1.0f / 3));
  const Vector twice = s + s;
  const Vector ln_m = fma(twice, series * z, twice);
  const Vector exponent = to_float(e);
  const Vector tail = fma(exponent, broadcast(-2.12194440e-4f), ln_m);
  const Vector result = fma(exponent, broadcast(0.693359375f), tail);
  return x == x ? result : x;
}

// tanh x = x p(x^2) / q(x^2) on |x| <= 9.02, within 0.36 * 2^-24; beyond, tanh rounds to +-1.
inline Vector tanh_of(Vector x) {
  const Vector limit = broadcast(9.02f);
  const Vector clamped = at_least(at_most(x, limit), -limit);
  const Vector z = clamped * clamped;
  Vector p = broadcast(1.33193995e-08f);
  p = fma(p, z, broadcast(2.05837583e-05f));
  p = fma(p, z, broadcast(3.49405314e-03f));
  p = fma(p, z, broadcast(1.33797342e-01f));
  p = fma(p, z, broadcast(1.0f));
  Vector q = broadcast(7.76216560e-07f);
  q = fma(q, z, broadcast(3.28312199e-04f));
  q = fma(q, z, broadcast(2.58711458e-02f));
  q = fma(q, z, broadcast(4.67130496e-01f));
  q = fma(q, z, broadcast(1.0f));
  const Vector y = clamped * p / q;
  return at_least(at_most(y, broadcast(1.0f)), broadcast(-1.0f));
}

}  // namespace makemore::MAKEMORE_ISA
