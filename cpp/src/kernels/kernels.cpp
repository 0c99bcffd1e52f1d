// The text of all kernels but the matrix products, and the table of this instruction set.
#include "kernels.hpp"

#include "math.hpp"
#include "matmul.hpp"
#include "vector.hpp"

namespace makemore::MAKEMORE_ISA {
namespace {

// Calls body(i, load, store) for every vector of n floats; load and store handle the tail.
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

// A strip of C vectors that stay in registers; only `last` lanes of the last one exist.
template <int C>
struct Strip {
  int64_t last;

  Vector load_at(const float* p, int j) const {
    return is_whole(j) ? load(p + j * kLanes) : load_partial(p + j * kLanes, last);
  }
  void store_at(float* p, int j, Vector x) const {
    return is_whole(j) ? store(p + j * kLanes, x) : store_partial(p + j * kLanes, x, last);
  }
  bool is_whole(int j) const { return j < C - 1 || last == kLanes; }
};

template <int C, typename Body>
inline void call_with_strip(int64_t i, int64_t lanes, const Body& body) {
  if constexpr (C > 1) {
    if (lanes <= (C - 1) * kLanes) return call_with_strip<C - 1>(i, lanes, body);
  }
  body(i, Strip<C>{lanes - (C - 1) * kLanes});
}

// Calls body(i, strip) for every strip of n floats.  A strip is as wide as registers allow, so that
// a loop over scattered rows computes the address of each row only once for a strip.
template <typename Body>
inline void for_each_strip(int64_t n, const Body& body) {
  constexpr int kWidest = kRegisters == 32 ? 8 : 4;
  for (int64_t i = 0; i < n; i += kWidest * kLanes) {
    const int64_t lanes = n - i < kWidest * kLanes ? n - i : kWidest * kLanes;
    call_with_strip<kWidest>(i, lanes, body);
  }
}

void gather_tanh(float* h, const float* table, const int32_t* rows, const float* b1, int64_t ld,
                 int64_t B, int64_t T, int64_t n) {
  for (int64_t b = 0; b < B; ++b) {
    for_each_strip(n, [=]<int C>(int64_t i, Strip<C> strip) {
      Vector z[C];
      MAKEMORE_UNROLL
      for (int j = 0; j < C; ++j) z[j] = strip.load_at(b1 + i, j);
      for (int64_t t = 0; t < T; ++t) {
        const float* row = table + rows[b * T + t] * ld + i;
        MAKEMORE_UNROLL
        for (int j = 0; j < C; ++j) z[j] += strip.load_at(row, j);
      }
      MAKEMORE_UNROLL
      for (int j = 0; j < C; ++j) strip.store_at(h + b * ld + i, j, tanh_of(z[j]));
    });
  }
}

void scatter_tanh_backward(float* dtable, const float* dh, const float* h, const int32_t* rows,
                           int64_t ld, int64_t B, int64_t T, int64_t n) {
  for (int64_t b = 0; b < B; ++b) {
    for_each_strip(n, [=]<int C>(int64_t i, Strip<C> strip) {
      const int64_t place = b * ld + i;
      Vector dz[C];
      MAKEMORE_UNROLL
      for (int j = 0; j < C; ++j) {
        dz[j] = strip.load_at(dh + place, j) * tanh_slope(strip.load_at(h + place, j));
      }
      for (int64_t t = 0; t < T; ++t) {
        float* row = dtable + rows[b * T + t] * ld + i;
        MAKEMORE_UNROLL
        for (int j = 0; j < C; ++j) strip.store_at(row, j, strip.load_at(row, j) + dz[j]);
      }
    });
  }
}

// This is a function because a constant would be set when the library is loaded, by instructions
// that the machine may not have.
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
    const Vector e = exp_of(load_partial(x + i, rest, minus_infinity()) - shift);  // 0 in the rest
    body(i, e, [rest](float* p, Vector y) { store_partial(p, y, rest); });
    sum += e;
  }
  return sum_everywhere(sum);
}

void cross_entropy(float* losses, float* dlogits, const float* logits, int64_t ld,
                   const int32_t* starts, const int32_t* Y, float scale, int64_t m, int64_t n) {
  const auto start = [starts](int64_t i) { return starts == nullptr ? i : starts[i]; };
  for (int64_t first = 0; first < m; first += kLanes) {  // one log for as many rows as lanes
    const int64_t end = m - first < kLanes ? m : first + kLanes;
    float sums[kLanes] = {};
    for (int64_t i = first; i < end; ++i) {
      const float* x = logits + i * ld;
      const Vector max = max_of(x, n);  // subtracted for stability: the loss does not change
      for (int64_t k = start(i); k < start(i + 1); ++k) losses[k] = max[0] - x[Y[k]];
      if (dlogits == nullptr) {
        sums[i - first] = exp_and_sum(x, max, n, [](int64_t, Vector, auto) {})[0];
        continue;
      }
      float* dx = dlogits + i * ld;
      const Vector sum =
          exp_and_sum(x, max, n, [dx](int64_t j, Vector e, auto store) { store(dx + j, e); });
      sums[i - first] = sum[0];
      const auto multiply_row = [=](Vector factor) {
        for_each_vector(
            n, [=](int64_t j, auto load, auto store) { store(dx + j, load(dx + j) * factor); });
      };
      const auto count = static_cast<float>(start(i + 1) - start(i));
      if (count == 1) {
        multiply_row(broadcast(scale) / sum);
        dx[Y[start(i)]] -= scale;
      } else {  // subtracting ones is exact; many small scales would round the same way each time
        multiply_row(broadcast(count) / sum);
        for (int64_t k = start(i); k < start(i + 1); ++k) dx[Y[k]] -= 1;
        multiply_row(broadcast(scale));
      }
    }
    float ln_sums[kLanes];
    store(ln_sums, log_of(load(sums)));
    for (int64_t i = first; i < end; ++i) {
      for (int64_t k = start(i); k < start(i + 1); ++k) losses[k] += ln_sums[i - first];
    }
  }
}

void log_softmax(float* out, int64_t ld_out, const float* logits, int64_t ld, int64_t m,
                 int64_t n) {
  for (int64_t r = 0; r < m; ++r) {
    const float* x = logits + r * ld;
    const Vector max = max_of(x, n);  // subtracted for stability
    const Vector ln_sum = log_of(exp_and_sum(x, max, n, [](int64_t, Vector, auto) {}));
    float* y = out + r * ld_out;
    for_each_vector(
        n, [=](int64_t i, auto load, auto store) { store(y + i, load(x + i) - max - ln_sum); });
  }
}

// Vectors of columns of a softmax tile that stay in registers together: 16 columns on any machine.
constexpr int kColumns = 16 / kLanes;

void softmax_tile(float* x, int64_t ld, float* max, float* sum, int64_t m, int64_t n) {
  for (int64_t j = 0; j < n; j += kColumns * kLanes) {
    Vector most[kColumns], earlier[kColumns], total[kColumns];
    MAKEMORE_UNROLL
    for (int c = 0; c < kColumns; ++c) most[c] = load(max + j + c * kLanes);
    for (int64_t i = 0; i < m; ++i) {
      MAKEMORE_UNROLL
      for (int c = 0; c < kColumns; ++c) {
        most[c] = at_least(load(x + i * ld + j + c * kLanes), most[c]);
      }
    }
    MAKEMORE_UNROLL
    for (int c = 0; c < kColumns; ++c) {
      const int64_t at = j + c * kLanes;
      earlier[c] = load(sum + at) * exp_of(load(max + at) - most[c]);
      total[c] = Vector{};
    }
    for (int64_t i = 0; i < m; ++i) {
      MAKEMORE_UNROLL
      for (int c = 0; c < kColumns; ++c) {
        float* const at = x + i * ld + j + c * kLanes;
        const Vector e = exp_of(load(at) - most[c]);
        store(at, e);
        total[c] += e;
      }
    }
    MAKEMORE_UNROLL
    for (int c = 0; c < kColumns; ++c) {
      store(max + j + c * kLanes, most[c]);
      store(sum + j + c * kLanes, earlier[c] + total[c]);
    }
  }
}

void scale_columns(float* out, float* sums, const float* x, const float* factor, int64_t ld,
                   int64_t m, int64_t n) {
  for (int64_t i = 0; i < m; ++i) {
    Vector sum{};
    for (int64_t j = 0; j < n; j += kLanes) {
      const Vector product = load(x + i * ld + j) * load(factor + j);
      store(out + i * ld + j, product);
      sum += product;
    }
    sums[i] += sum_everywhere(sum)[0];
  }
}

// x * 0 is 0 when x is finite, else NaN: the sum of such products tells whether all x were finite.
inline Vector add_check(Vector check, Vector x) { return fma(x, Vector{}, check); }

int sgd_update(float* w, const float* dw, float lr, float weight_decay, int64_t n) {
  const Vector minus_lr = broadcast(-lr), decay = broadcast(weight_decay);
  Vector check[4] = {};  // four sums, since each addition to a single one would wait for the last
  const auto update = [&](int64_t i, Vector& sum, auto load, auto store) {
    const Vector old = load(w + i);
    const Vector updated = fma(minus_lr, fma(decay, old, load(dw + i)), old);
    sum = add_check(sum, updated);
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

int momentum_update(float* w, float* v, const float* dw, float lr, float momentum,
                    float weight_decay, int64_t n) {
  const Vector minus_lr = broadcast(-lr), decay = broadcast(weight_decay);
  const Vector factor = broadcast(momentum);
  Vector check{};
  for_each_vector(n, [&](int64_t i, auto load, auto store) {
    const Vector old = load(w + i);
    const Vector velocity = fma(factor, load(v + i), fma(decay, old, load(dw + i)));
    const Vector updated = fma(minus_lr, velocity, old);
    check = add_check(check, updated);
    store(v + i, velocity);
    store(w + i, updated);
  });
  return sum_everywhere(check)[0] == 0;
}

int adam_update(float* w, float* m, float* v, const float* dw, const AdamStep* step, int64_t n) {
  const AdamStep s = *step;
  const Vector minus_lr = broadcast(-s.lr), epsilon = broadcast(s.epsilon);
  const Vector beta1 = broadcast(s.beta1), beta1_rest = broadcast(s.beta1_rest);
  const Vector beta2 = broadcast(s.beta2), beta2_rest = broadcast(s.beta2_rest);
  const Vector decay = broadcast(s.weight_decay), decoupled = broadcast(s.decoupled_decay);
  const Vector v_scale = broadcast(s.v_scale);
  Vector check{};
  for_each_vector(n, [&](int64_t i, auto load, auto store) {
    const Vector old = load(w + i);
    const Vector g = fma(decay, old, load(dw + i));
    const Vector mean = fma(beta1, load(m + i), beta1_rest * g);
    const Vector square = fma(beta2, load(v + i), beta2_rest * g * g);
    const Vector direction = fma(decoupled, old, mean / fma(sqrt_of(square), v_scale, epsilon));
    const Vector updated = fma(minus_lr, direction, old);
    check = add_check(add_check(check, updated), square);
    store(m + i, mean);
    store(v + i, square);
    store(w + i, updated);
  });
  return sum_everywhere(check)[0] == 0;
}

void multiply(float* out, const float* a, const float* b, int64_t n) {
  for_each_vector(
      n, [=](int64_t i, auto load, auto store) { store(out + i, load(a + i) * load(b + i)); });
}

// Philox4x32-10, as in base/random.cpp, on vectors: counter becomes the four words of the blocks
// whose numbers are given, one word in each low half; the high halves hold nothing of use.
inline void philox_blocks(WideWords (&counter)[4], WideWords block, const DropoutWords& words) {
  counter[0] = block;
  counter[1] = WideWords{} + words.purpose;
  counter[2] = WideWords{} + words.step[0];
  counter[3] = WideWords{} + words.step[1];
  uint32_t key0 = words.seed[0], key1 = words.seed[1];
  for (int round = 0; round < 10; ++round) {
    const WideWords product0 = multiply_low_halves(counter[0], WideWords{} + uint64_t{0xD2511F53u});
    const WideWords product1 = multiply_low_halves(counter[2], WideWords{} + uint64_t{0xCD9E8D57u});
    counter[0] = (product1 >> 32) ^ counter[1] ^ key0;
    counter[1] = product1;
    counter[2] = (product0 >> 32) ^ counter[3] ^ key1;
    counter[3] = product0;
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
}

void dropout_mask(float* mask, int64_t ld, const DropoutWords* words, uint32_t threshold,
                  float scale, int64_t first_row, int64_t begin, int64_t B, int64_t n) {
  // The words of 16 blocks decide on a group of 64 units: word i of them on the i-th line of 16.
  constexpr int64_t kGroupUnits = 64, kLineUnits = 16;
  const Vector kept = broadcast(scale);
  WideWords even_lanes{};
  for (int i = 0; i < kLanes / 2; ++i) even_lanes[i] = static_cast<uint64_t>(2 * i);
  for (int64_t b = 0; b < B; ++b) {
    const auto row_block = static_cast<uint32_t>(first_row + b) * words->blocks_per_row;
    for (int64_t group = begin / kGroupUnits; group * kGroupUnits < begin + n; ++group) {
      for (int64_t part = 0; part < kLineUnits; part += kLanes) {
        // Blocks of even and of odd number are computed apart.  Their words come to lie side by
        // side on a little-endian machine, which all are that this is compiled for.
        const uint32_t block = row_block + static_cast<uint32_t>(group * kLineUnits + part);
        WideWords even[4], odd[4];
        philox_blocks(even, even_lanes + block, *words);
        philox_blocks(odd, even_lanes + (block + 1), *words);
        MAKEMORE_UNROLL
        for (int i = 0; i < 4; ++i) {
          const int64_t unit = group * kGroupUnits + i * kLineUnits - begin;
          if (unit < 0 || unit >= n) continue;
          const WideWords both = (even[i] & 0xffffffffu) | (odd[i] << 32);
          const Words word = reinterpret_cast<Words>(both);
          store(mask + b * ld + unit + part, word < threshold ? Vector{} : kept);
        }
      }
    }
  }
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
    .scatter_tanh_backward = scatter_tanh_backward,
    .cross_entropy = cross_entropy,
    .log_softmax = log_softmax,
    .softmax_tile = softmax_tile,
    .scale_columns = scale_columns,
    .sgd_update = sgd_update,
    .momentum_update = momentum_update,
    .adam_update = adam_update,
    .multiply = multiply,
    .dropout_mask = dropout_mask,
    .peak = peak,
    .exp = exp,
    .log = log,
};

}  // namespace makemore::MAKEMORE_ISA
