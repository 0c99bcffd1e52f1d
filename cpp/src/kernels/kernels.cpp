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

void transpose(float* out, int64_t ld_out, const float* in, int64_t ld_in, int64_t m, int64_t n) {
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) out[j * ld_out + i] = in[i * ld_in + j];
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

void tanh_backward_scatter(float* dtable, float* db1, const float* dh, const float* h,
                           const int32_t* rows, int64_t ld, int64_t B, int64_t T, int64_t n) {
  for (int64_t b = 0; b < B; ++b) {
    for_each_vector(n, [=](int64_t i, auto load, auto store) {
      const Vector dz = load(dh + b * ld + i) * tanh_slope(load(h + b * ld + i));
      store(db1 + i, load(db1 + i) + dz);
      for (int64_t t = 0; t < T; ++t) {
        float* row = dtable + rows[b * T + t] * ld + i;
        store(row, load(row) + dz);
      }
    });
  }
}

float max_of(const float* x, int64_t n) {
  int64_t i = 0;
  float greatest = x[0];
  if (n >= kLanes) {
    Vector most = load(x);
    for (i = kLanes; i + kLanes <= n; i += kLanes) {
      const Vector next = load(x + i);
      most = next > most ? next : most;
    }
    greatest = max_of_lanes(most);
  }
  for (; i < n; ++i) greatest = x[i] > greatest ? x[i] : greatest;
  return greatest;
}

// out = e^(x - shift) when out is not null; returns its sum.
float exp_and_sum(float* out, const float* x, float shift, int64_t n) {
  Vector sum{};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const Vector e = exp_of(load(x + i) - broadcast(shift));
    if (out != nullptr) store(out + i, e);
    sum += e;
  }
  if (const int64_t rest = n - i; rest > 0) {
    const Vector e = exp_of(load_partial(x + i, rest) - broadcast(shift));
    if (out != nullptr) store_partial(out + i, e, rest);
    for (int64_t lane = 0; lane < rest; ++lane) sum[lane] += e[lane];
  }
  return sum_of_lanes(sum);
}

void cross_entropy(float* losses, float* dlogits, const float* logits, int64_t ld, const int32_t* Y,
                   float scale, int64_t m, int64_t n) {
  for (int64_t first = 0; first < m; first += kLanes) {  // one log for as many rows as lanes
    const int64_t rows = m - first < kLanes ? m - first : kLanes;
    Vector sums = broadcast(1.0f), picked{};
    for (int64_t r = 0; r < rows; ++r) {
      const float* x = logits + (first + r) * ld;
      float* dx = dlogits == nullptr ? nullptr : dlogits + (first + r) * ld;
      const int32_t y = Y[first + r];
      const float max = max_of(x, n);  // stability only: the loss does not change
      picked[r] = x[y] - max;
      const float sum = exp_and_sum(dx, x, max, n);
      sums[r] = sum;
      if (dx == nullptr) continue;
      const Vector factor = broadcast(scale / sum);
      for_each_vector(
          n, [=](int64_t i, auto load, auto store) { store(dx + i, load(dx + i) * factor); });
      dx[y] -= scale;
    }
    const Vector loss = log_of(sums) - picked;
    for (int64_t r = 0; r < rows; ++r) losses[first + r] = loss[r];
  }
}

void log_softmax(float* out, int64_t ld_out, const float* logits, int64_t ld, int64_t m,
                 int64_t n) {
  for (int64_t r = 0; r < m; ++r) {
    const float* x = logits + r * ld;
    const float max = max_of(x, n);  // stability only
    const Vector ln_sum = log_of(broadcast(exp_and_sum(nullptr, x, max, n)));
    float* y = out + r * ld_out;
    for_each_vector(n, [=](int64_t i, auto load, auto store) {
      store(y + i, load(x + i) - broadcast(max) - ln_sum);
    });
  }
}

int sgd_update(float* w, const float* dw, float lr, float weight_decay, int64_t n) {
  const Vector minus_lr = broadcast(-lr), decay = broadcast(weight_decay);
  Vector check{};  // w * 0 is 0 when w is finite, else NaN
  for_each_vector(n, [&](int64_t i, auto load, auto store) {
    const Vector old = load(w + i);
    const Vector updated = fma(minus_lr, fma(decay, old, load(dw + i)), old);
    check = fma(updated, Vector{}, check);
    store(w + i, updated);
  });
  return sum_of_lanes(check) == 0;
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
    MAKEMORE_NAME(MAKEMORE_ISA),
    matmul,
    matmul_transposed,
    transpose,
    add,
    sum_rows,
    tanh,
    tanh_backward,
    gather_tanh,
    tanh_backward_scatter,
    cross_entropy,
    log_softmax,
    sgd_update,
    exp,
    log,
};

}  // namespace makemore::MAKEMORE_ISA
