// The text of all kernels but the matrix products, and the table of this instruction set.
#include "kernels.hpp"

#include "math.hpp"
#include "matmul.hpp"
#include "vector.hpp"

namespace makemore::MAKEMORE_ISA {
namespace {

// Calls body(i, load, store) for every vector of n floats; the tail is handled here alone.
template <typename Body>
inline void for_each_vector(int64_t n, Body body) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    body(i, [](const float* p) { return load(p); }, [](float* p, Vector x) { store(p, x); });
  }
  if (const int64_t rest = n - i; rest > 0) {
    body(
        i, [rest](const float* p) { return load_partial(p, rest); },
        [rest](float* p, Vector x) { store_partial(p, x, rest); });
  }
}

void add(float* out, const float* in, int64_t n) {
  for_each_vector(
      n, [=](int64_t i, auto load, auto store) { store(out + i, load(out + i) + load(in + i)); });
}

void sum_rows(float* out, const float* rows, int64_t ld, int64_t m, int64_t n) {
  for_each_vector(n, [=](int64_t i, auto load, auto store) {
    Vector sum{};
    for (int64_t row = 0; row < m; ++row) sum += load(rows + row * ld + i);
    store(out + i, sum);
  });
}

void tanh(float* h, const float* z, int64_t n) {
  for_each_vector(n, [=](int64_t i, auto load, auto store) { store(h + i, tanh_of(load(z + i))); });
}

// 1 - h^2 without the cancellation of rounding h^2 first.
inline Vector tanh_slope(Vector h) { return fma(-h, h, broadcast(1.0f)); }

void tanh_backward(float* dz, const float* dh, const float* h, int64_t n) {
  for_each_vector(n, [=](int64_t i, auto load, auto store) {
    store(dz + i, load(dh + i) * tanh_slope(load(h + i)));
  });
}

void gather_tanh(float* h, const float* table, const int32_t* rows, const float* b1, int64_t ld,
                 int64_t B, int64_t T, int64_t n) {
  for (int64_t b = 0; b < B; ++b) {
    for_each_vector(n, [=](int64_t i, auto load, auto store) {
      Vector z = load(b1 + i);
      for (int64_t t = 0; t < T; ++t) z += load(table + rows[b * T + t] * ld + i);
      store(h + b * ld + i, tanh_of(z));
    });
  }
}

// `lanes` columns of all rows of sum_members, in C vectors that stay in registers: the loop over
// the members, whose length no branch predictor guesses, then runs once for them all.
template <int C>
void sum_members_strip(float* out, const float* rows, const int32_t* starts, const int32_t* members,
                       int64_t ld, int64_t m, int64_t lanes, int accumulate) {
  const int64_t last = lanes - (C - 1) * kLanes;
  const auto load_strip = [=](const float* p, int j) {
    return j < C - 1 || last == kLanes ? load(p + j * kLanes) : load_partial(p + j * kLanes, last);
  };
  for (int64_t r = 0; r < m; ++r) {
    float* sums = out + r * ld;
    Vector sum[C];
    MAKEMORE_UNROLL
    for (int j = 0; j < C; ++j) sum[j] = accumulate ? load_strip(sums, j) : Vector{};
    for (int32_t k = starts[r]; k < starts[r + 1]; ++k) {
      const float* row = rows + members[k] * ld;
      MAKEMORE_UNROLL
      for (int j = 0; j < C; ++j) sum[j] += load_strip(row, j);
    }
    MAKEMORE_UNROLL
    for (int j = 0; j < C - 1; ++j) store(sums + j * kLanes, sum[j]);
    if (last == kLanes) {
      store(sums + (C - 1) * kLanes, sum[C - 1]);
    } else {
      store_partial(sums + (C - 1) * kLanes, sum[C - 1], last);
    }
  }
}

void sum_members(float* out, const float* rows, const int32_t* starts, const int32_t* members,
                 int64_t ld, int64_t m, int64_t n, int accumulate) {
  constexpr decltype(&sum_members_strip<1>) kStrips[] = {
      sum_members_strip<1>, sum_members_strip<2>, sum_members_strip<3>, sum_members_strip<4>,
      sum_members_strip<5>, sum_members_strip<6>, sum_members_strip<7>, sum_members_strip<8>};
  constexpr int64_t kWidest = 8;
  for (int64_t j = 0; j < n; j += kWidest * kLanes) {
    const int64_t lanes = n - j < kWidest * kLanes ? n - j : kWidest * kLanes;
    kStrips[parts_of(lanes, kLanes) - 1](out + j, rows + j, starts, members, ld, m, lanes,
                                         accumulate);
  }
}

// A function and no constant: that would be set when the library is loaded, by instructions that
// the machine may not have.
inline Vector minus_infinity() { return broadcast(-__builtin_inff()); }

// The greatest of n floats, in every lane.
inline Vector max_of(const float* x, int64_t n) {
  Vector most = minus_infinity();
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) most = at_least(load(x + i), most);
  if (i < n) most = at_least(load_partial(x + i, n - i, minus_infinity()), most);
  return max_everywhere(most);
}

// Calls body(i, e, store) with e = e^(x - shift) for every vector of x; returns the sum of all e,
// in every lane.
template <typename Body>
inline Vector exp_and_sum(const float* x, Vector shift, int64_t n, Body body) {
  Vector sum{};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const Vector e = exp_of(load(x + i) - shift);
    body(i, e, [](float* p, Vector y) { store(p, y); });
    sum += e;
  }
  if (const int64_t rest = n - i; rest > 0) {
    const Vector e = exp_of(load_partial(x + i, rest, minus_infinity()) - shift);  // 0 behind
    body(i, e, [rest](float* p, Vector y) { store_partial(p, y, rest); });
    sum += e;
  }
  return sum_everywhere(sum);
}

void cross_entropy(float* losses, float* dlogits, const float* logits, int64_t ld, const int32_t* Y,
                   float scale, int64_t m, int64_t n) {
  for (int64_t first = 0; first < m; first += kLanes) {  // one log for as many rows as lanes
    const int64_t rows = m - first < kLanes ? m - first : kLanes;
    float sums[kLanes] = {}, picked[kLanes] = {};
    for (int64_t r = 0; r < rows; ++r) {
      const float* x = logits + (first + r) * ld;
      const int32_t y = Y[first + r];
      const Vector max = max_of(x, n);  // stability only: the loss does not change
      picked[r] = x[y] - max[0];
      if (dlogits == nullptr) {
        sums[r] = exp_and_sum(x, max, n, [](int64_t, Vector, auto) {})[0];
        continue;
      }
      float* dx = dlogits + (first + r) * ld;
      const Vector sum =
          exp_and_sum(x, max, n, [dx](int64_t i, Vector e, auto store) { store(dx + i, e); });
      sums[r] = sum[0];
      const Vector factor = broadcast(scale) / sum;
      for_each_vector(
          n, [=](int64_t i, auto load, auto store) { store(dx + i, load(dx + i) * factor); });
      dx[y] -= scale;
    }
    float loss[kLanes];
    store(loss, log_of(load(sums)) - load(picked));
    for (int64_t r = 0; r < rows; ++r) losses[first + r] = loss[r];
  }
}

void log_softmax(float* out, int64_t ld_out, const float* logits, int64_t ld, int64_t m,
                 int64_t n) {
  for (int64_t r = 0; r < m; ++r) {
    const float* x = logits + r * ld;
    const Vector max = max_of(x, n);  // stability only
    const Vector ln_sum = log_of(exp_and_sum(x, max, n, [](int64_t, Vector, auto) {}));
    float* y = out + r * ld_out;
    for_each_vector(
        n, [=](int64_t i, auto load, auto store) { store(y + i, load(x + i) - max - ln_sum); });
  }
}

int sgd_update(float* w, const float* dw, float lr, float weight_decay, int64_t n) {
  const Vector minus_lr = broadcast(-lr), decay = broadcast(weight_decay);
  // w * 0 is 0 when w is finite, else NaN.  Four sums, since one would wait for itself.
  Vector check[4] = {};
  const auto update = [&](int64_t i, Vector& sum, auto load, auto store) {
    const Vector old = load(w + i);
    const Vector updated = fma(minus_lr, fma(decay, old, load(dw + i)), old);
    sum = fma(updated, Vector{}, sum);
    store(w + i, updated);
  };
  int64_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
    MAKEMORE_UNROLL
    for (int j = 0; j < 4; ++j) {
      update(
          i + j * kLanes, check[j], [](const float* p) { return load(p); },
          [](float* p, Vector x) { store(p, x); });
    }
  }
  for_each_vector(
      n - i, [&](int64_t rest, auto load, auto store) { update(i + rest, check[0], load, store); });
  return sum_everywhere(check[0] + check[1] + check[2] + check[3])[0] == 0;
}

double peak(float* sink, int64_t rounds) {
  constexpr int kChains = kRegisters == 32 ? 24 : 12;
  Vector sum[kChains];
  for (int i = 0; i < kChains; ++i) sum[i] = broadcast(static_cast<float>(i));
  const Vector factor = broadcast(sink[0]), term = broadcast(sink[1]);
  for (int64_t round = 0; round < rounds; ++round) {
    MAKEMORE_UNROLL
    for (int i = 0; i < kChains; ++i) sum[i] = fma(sum[i], factor, term);
  }
  Vector total{};
  for (int i = 0; i < kChains; ++i) total += sum[i];
  sink[0] = total[0];
  return 2.0 * kChains * kLanes * static_cast<double>(rounds);
}

void exp(float* y, const float* x, int64_t n) {
  for_each_vector(n, [=](int64_t i, auto load, auto store) { store(y + i, exp_of(load(x + i))); });
}

void log(float* y, const float* x, int64_t n) {
  for_each_vector(n, [=](int64_t i, auto load, auto store) { store(y + i, log_of(load(x + i))); });
}

}  // namespace

extern const Kernels kernels;
const Kernels kernels = {
#define MAKEMORE_NAME_(isa) #isa
#define MAKEMORE_NAME(isa) MAKEMORE_NAME_(isa)
    .name = MAKEMORE_NAME(MAKEMORE_ISA),
    .matmul = matmul,
    .matmul_transposed = matmul_transposed,
    .transpose = transpose,
    .add = add,
    .sum_rows = sum_rows,
    .tanh = tanh,
    .tanh_backward = tanh_backward,
    .gather_tanh = gather_tanh,
    .sum_members = sum_members,
    .cross_entropy = cross_entropy,
    .log_softmax = log_softmax,
    .sgd_update = sgd_update,
    .peak = peak,
    .exp = exp,
    .log = log,
};

}  // namespace makemore::MAKEMORE_ISA
