// Every kernel of every instruction set that runs here, against a scalar twin in float64.
//
// Bounds: a float32 sum of n products is off by at most (n + 1) 2^-24 sum |a_i b_i|, whatever its
// order (Higham, "Accuracy and Stability of Numerical Algorithms", section 3.1); exp and log by 2
// ulp and tanh by 7, which the sweeps over their whole ranges measure.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "base/dispatch.hpp"
#include "check.hpp"
#include "makemore/machine.hpp"
#include "makemore/random.hpp"

namespace {

using makemore::Kernels;

constexpr double kHalfUlp = 0x1p-24;
constexpr float kCanary = 12345.0f;

const std::vector<int64_t> kLengths = {1,  2,  3,  4,  5,  7,  8,  9,  15,
                                       16, 17, 31, 32, 33, 47, 49, 64, 65};

void for_each_isa(const std::function<void(const Kernels&)>& body) {
  for (const std::string& isa : makemore::isas_found()) {
    makemore::use_isa(isa);
    EXPECT(makemore::isa_used() == isa);
    body(makemore::kernels());
  }
}

// Random numbers that start `offset` floats behind an aligned address and end in canaries.
struct Floats {
  std::vector<float> memory;
  int64_t offset;
  int64_t size;
  Floats(int64_t n, uint64_t index, int64_t offset = 1)
      : memory(static_cast<size_t>(n + offset + 16), kCanary), offset(offset), size(n) {
    const makemore::RandomStream stream(7, makemore::Purpose::C, index);
    for (int64_t i = 0; i < n; ++i) {
      data()[i] = static_cast<float>(
          makemore::normal_of_word(stream.block(static_cast<uint32_t>(i / 4))[size_t(i % 4)]));
    }
  }
  float* data() { return memory.data() + offset; }
  const float* data() const { return memory.data() + offset; }
  bool canaries_live() const {
    for (int64_t i = 0; i < static_cast<int64_t>(memory.size()); ++i) {
      if ((i < offset || i >= offset + size) && memory[size_t(i)] != kCanary) return false;
    }
    return true;
  }
};

void expect_near(float value, double exact, double bound, const std::string& what) {
  EXPECT_THAT(std::abs(value - exact) <= bound, what + ": " + std::to_string(value) +
                                                    " instead of " + std::to_string(exact) +
                                                    ", bound " + std::to_string(bound));
}

std::string named(const Kernels& kernel, const char* what) {
  return std::string(kernel.name) + " " + what;
}

}  // namespace

TEST_CASE("matmul: sizes around tiles, both layouts of a, each kind of init") {
  for_each_isa([](const Kernels& kernel) {
    for (const int64_t m : {1, 2, 3, 8, 9, 13, 27}) {
      for (const int64_t n : kLengths) {
        for (const int64_t k : {0, 1, 2, 30, 33}) {
          for (const bool transposed : {false, true}) {
            const Floats a(m * k, 1), b(k * n, 2), bias(n, 3), old(m * n, 4);
            const int64_t a_row = transposed ? 1 : k, a_col = transposed ? m : 1;
            for (const int init : {0, 1, 2}) {
              Floats c = old;
              const float* from = init == 0 ? nullptr : init == 1 ? bias.data() : c.data();
              kernel.matmul(c.data(), n, a.data(), a_row, a_col, b.data(), n, from,
                            init == 2 ? n : 0, m, n, k);
              EXPECT(c.canaries_live());
              for (int64_t i = 0; i < m; ++i) {
                for (int64_t j = 0; j < n; ++j) {
                  double exact = init == 0 ? 0 : init == 1 ? bias.data()[j] : old.data()[i * n + j];
                  double absolute = std::abs(exact);
                  for (int64_t l = 0; l < k; ++l) {
                    const double term =
                        double{a.data()[i * a_row + l * a_col]} * b.data()[l * n + j];
                    exact += term;
                    absolute += std::abs(term);
                  }
                  // Two roundings a term where there is no fused multiply-add.
                  expect_near(c.data()[i * n + j], exact, 2.0 * double(k + 1) * kHalfUlp * absolute,
                              named(kernel, "matmul"));
                }
              }
            }
          }
        }
      }
    }
  });
}

TEST_CASE("matmul: an element has the same bits wherever the product is cut, also in blocks") {
  for_each_isa([](const Kernels& kernel) {
    const int64_t m = 300, n = 70, k = 600;  // more than one block of rows and of depth
    const Floats a(m * k, 1), b(k * n, 2);
    Floats whole(m * n, 3), element(1, 4);
    kernel.matmul(whole.data(), n, a.data(), k, 1, b.data(), n, nullptr, 0, m, n, k);
    for (int64_t i = 0; i < m; i += 37) {
      for (int64_t j = 0; j < n; j += 3) {
        kernel.matmul(element.data(), 1, a.data() + i * k, k, 1, b.data() + j, n, nullptr, 0, 1, 1,
                      k);
        EXPECT(element.data()[0] == whole.data()[i * n + j]);
      }
    }
  });
}

TEST_CASE("matmul_transposed: sizes around tiles, and the same bits wherever it is cut") {
  for_each_isa([](const Kernels& kernel) {
    for (const int64_t m : {1, 3, 4, 5, 9}) {
      for (const int64_t n : {1, 2, 5, 6, 11}) {
        for (const int64_t k : kLengths) {
          const Floats a(m * k, 1), b(n * k, 2);
          Floats c(m * n, 3), element(1, 4);
          kernel.matmul_transposed(c.data(), n, a.data(), k, b.data(), k, m, n, k);
          EXPECT(c.canaries_live());
          for (int64_t i = 0; i < m; ++i) {
            for (int64_t j = 0; j < n; ++j) {
              double exact = 0, absolute = 0;
              for (int64_t l = 0; l < k; ++l) {
                const double term = double{a.data()[i * k + l]} * b.data()[j * k + l];
                exact += term;
                absolute += std::abs(term);
              }
              expect_near(c.data()[i * n + j], exact, 2.0 * double(k + 1) * kHalfUlp * absolute,
                          named(kernel, "matmul_transposed"));
              kernel.matmul_transposed(element.data(), 1, a.data() + i * k, k, b.data() + j * k, k,
                                       1, 1, k);
              EXPECT(element.data()[0] == c.data()[i * n + j]);
            }
          }
        }
      }
    }
  });
}

TEST_CASE("transpose, add, sum_rows") {
  for_each_isa([](const Kernels& kernel) {
    for (const int64_t m : {1, 5, 16, 27, 32, 33}) {
      for (const int64_t n : kLengths) {
        const Floats in(m * n, 1);
        Floats out(n * m, 2), sum(n, 3);
        kernel.transpose(out.data(), m, in.data(), n, m, n);
        kernel.sum_rows(sum.data(), in.data(), n, m, n);
        EXPECT(out.canaries_live() && sum.canaries_live());
        for (int64_t j = 0; j < n; ++j) {
          double exact = 0, absolute = 0;
          for (int64_t i = 0; i < m; ++i) {
            EXPECT(out.data()[j * m + i] == in.data()[i * n + j]);
            exact += in.data()[i * n + j];
            absolute += std::abs(in.data()[i * n + j]);
          }
          expect_near(sum.data()[j], exact, double(m) * kHalfUlp * absolute,
                      named(kernel, "sum_rows"));
        }
        Floats added = in;
        kernel.add(added.data(), in.data(), m * n);
        EXPECT(added.canaries_live());
        for (int64_t i = 0; i < m * n; ++i) EXPECT(added.data()[i] == in.data()[i] + in.data()[i]);
      }
    }
  });
}

TEST_CASE("tanh_backward, sgd_update: every length") {
  for_each_isa([](const Kernels& kernel) {
    for (const int64_t n : kLengths) {
      const Floats dh(n, 1), z(n, 2), w_before(n, 3);
      Floats h(n, 4), dz(n, 5), w = w_before;
      kernel.tanh(h.data(), z.data(), n);
      kernel.tanh_backward(dz.data(), dh.data(), h.data(), n);
      EXPECT(kernel.sgd_update(w.data(), dh.data(), 0.1f, 0.01f, n) == 1);
      EXPECT(h.canaries_live() && dz.canaries_live() && w.canaries_live());
      for (int64_t i = 0; i < n; ++i) {
        const double hi = h.data()[i];
        expect_near(dz.data()[i], dh.data()[i] * (1 - hi * hi),
                    4 * kHalfUlp * std::abs(dh.data()[i]), named(kernel, "tanh_backward"));
        const double old = w_before.data()[i], gradient = dh.data()[i] + double{0.01f} * old;
        expect_near(w.data()[i], old - double{0.1f} * gradient,
                    4 * kHalfUlp * (std::abs(old) + std::abs(gradient)),
                    named(kernel, "sgd_update"));
      }
    }
  });
}

TEST_CASE("sgd_update reports a weight that is not finite, in every lane and in the tail") {
  for_each_isa([](const Kernels& kernel) {
    for (const int64_t n : kLengths) {
      for (int64_t bad = 0; bad < n; ++bad) {
        for (const float value : {std::numeric_limits<float>::infinity(),
                                  std::numeric_limits<float>::quiet_NaN(), -3e38f}) {
          Floats w(n, 1);
          const Floats dw(n, 2);
          w.data()[bad] = value;
          std::vector<float> push(static_cast<size_t>(n), 0.0f);
          if (value == -3e38f) push[size_t(bad)] = 3e38f;  // overflows in the update
          EXPECT(kernel.sgd_update(w.data(), push.data(), 1.0f, 0.0f, n) == 0);
        }
      }
    }
  });
}

TEST_CASE("momentum_update, adam_update, multiply: every length") {
  for_each_isa([](const Kernels& kernel) {
    for (const int64_t n : kLengths) {
      const Floats w_before(n, 1), dw(n, 2), first_before(n, 3);
      Floats second_before(n, 4), w = w_before, velocity = first_before, product(n, 5);
      for (int64_t i = 0; i < n; ++i) second_before.data()[i] *= second_before.data()[i];
      EXPECT(kernel.momentum_update(w.data(), velocity.data(), dw.data(), 0.1f, 0.9f, 0.01f, n));
      kernel.multiply(product.data(), dw.data(), w_before.data(), n);
      EXPECT(w.canaries_live() && velocity.canaries_live() && product.canaries_live());
      Floats w_adam = w_before, m = first_before, v = second_before;
      const makemore::AdamStep step{0.2f, 0.9f, 0.1f, 0.99f, 0.01f, 3.0f, 1e-3f, 0.05f, 0.125f};
      EXPECT(kernel.adam_update(w_adam.data(), m.data(), v.data(), dw.data(), &step, n));
      EXPECT(w_adam.canaries_live() && m.canaries_live() && v.canaries_live());
      for (int64_t i = 0; i < n; ++i) {
        const double old = w_before.data()[i], g = dw.data()[i], first = first_before.data()[i];
        EXPECT(product.data()[i] == w_before.data()[i] * dw.data()[i]);
        const double new_velocity = double{0.9f} * first + g + double{0.01f} * old;
        const double size = std::abs(old) + std::abs(g) + std::abs(first);
        expect_near(velocity.data()[i], new_velocity, 6 * kHalfUlp * size,
                    named(kernel, "velocity"));
        expect_near(w.data()[i], old - double{0.1f} * new_velocity, 6 * kHalfUlp * size,
                    named(kernel, "momentum_update"));

        const double decayed = g + double{0.05f} * old;
        const double mean = double{0.9f} * first + double{0.1f} * decayed;
        const double square =
            double{0.99f} * second_before.data()[i] + double{0.01f} * decayed * decayed;
        expect_near(m.data()[i], mean, 6 * kHalfUlp * size, named(kernel, "adam m"));
        expect_near(v.data()[i], square, 12 * kHalfUlp * (square + size * size),
                    named(kernel, "adam v"));
        const double direction = mean / (std::sqrt(square) * 3.0 + double{1e-3f});
        const double moved = old - double{0.2f} * (direction + 0.125 * old);
        const double slack = 20 * kHalfUlp * size / (std::sqrt(square) * 3.0 + 1e-3);
        expect_near(w_adam.data()[i], moved, slack + 8 * kHalfUlp * (size + std::abs(direction)),
                    named(kernel, "adam_update"));
      }
    }
  });
}

TEST_CASE("adam_update loses no small decay: the mean error of many is below what it does") {
  constexpr int64_t n = 1 << 18;
  for_each_isa([](const Kernels& kernel) {
    for (const float decay : {1e-4f, 1e-6f}) {
      constexpr float lr = 1e-4f;
      const Floats dw(n, 1), first(n, 2);
      Floats w(n, 3), m = first;
      std::vector<float> v(n);
      std::vector<double> exact(n);
      for (int64_t i = 0; i < n; ++i) {
        w.data()[i] = 1.5f + w.data()[i] * 0.25f;
        const size_t at = static_cast<size_t>(i);
        v[at] = 1;
        const double g = dw.data()[i];
        const double mean = double{0.9f} * first.data()[i] + double{0.1f} * g;
        const double square = double{0.99f} + double{0.01f} * g * g;
        const double old = w.data()[i];
        exact[at] = old - double{lr} * (mean / std::sqrt(square) + double{decay} * old);
      }
      const makemore::AdamStep step{lr, 0.9f, 0.1f, 0.99f, 0.01f, 1.0f, 0.0f, 0.0f, decay};
      EXPECT(kernel.adam_update(w.data(), m.data(), v.data(), dw.data(), &step, n));
      double error = 0;
      for (int64_t i = 0; i < n; ++i) error += w.data()[i] - exact[static_cast<size_t>(i)];
      // The decay moves each by 1.5 lr decay; rounding moves them too, but to both sides.
      const double slack = 4 * 2 * kHalfUlp / std::sqrt(3.0 * n);
      expect_near(error / n, 0, std::min(slack, 0.1 * 1.5 * lr * 1e-4), named(kernel, "decay"));
    }
  });
}

TEST_CASE("momentum_update and adam_update report what is not finite, in every lane") {
  for_each_isa([](const Kernels& kernel) {
    const makemore::AdamStep step{0.1f, 0.9f, 0.1f, 0.99f, 0.01f, 1.0f, 1e-8f, 0.0f, 0.0f};
    for (const int64_t n : kLengths) {
      for (int64_t bad = 0; bad < n; ++bad) {
        for (const float value : {std::numeric_limits<float>::quiet_NaN(), 1e30f}) {
          Floats w(n, 1), m(n, 2), dw(n, 3);
          std::vector<float> v(static_cast<size_t>(n), 1.0f);
          dw.data()[bad] = value;  // the square of 1e30 is not finite
          EXPECT(!kernel.adam_update(w.data(), m.data(), v.data(), dw.data(), &step, n));
          dw.data()[bad] = value * 1e9f;
          EXPECT(!kernel.momentum_update(w.data(), m.data(), dw.data(), 1.0f, 0.9f, 0.0f, n));
        }
      }
    }
  });
}

TEST_CASE("dropout_mask draws the words of dropout_word") {
  const uint64_t seed = 0x123456789abcdef0u, step = 0x0fedcba987654321u;
  for_each_isa([&](const Kernels& kernel) {
    for (const int64_t H : {16, 64, 80, 208}) {
      const auto blocks_per_row = static_cast<uint32_t>(makemore::dropout_blocks_per_row(H));
      const makemore::DropoutWords words{
          {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)},
          static_cast<uint32_t>(makemore::Purpose::dropout),
          {static_cast<uint32_t>(step), static_cast<uint32_t>(step >> 32)},
          blocks_per_row};
      for (int64_t begin = 0; begin < H; begin += 48) {
        const int64_t n = std::min<int64_t>(H - begin, 96), B = 3, first_row = 5;
        const uint32_t threshold = 0x60000000;
        Floats mask(B * n, 1);
        kernel.dropout_mask(mask.data(), n, &words, threshold, 1.6f, first_row, begin, B, n);
        EXPECT(mask.canaries_live());
        for (int64_t b = 0; b < B; ++b) {
          for (int64_t j = 0; j < n; ++j) {
            const uint32_t word = makemore::dropout_word(seed, step, first_row + b, begin + j, H);
            EXPECT(mask.data()[b * n + j] == (word < threshold ? 0.0f : 1.6f));
          }
        }
      }
    }
  });
}

TEST_CASE("gather_tanh and scatter_tanh_backward") {
  for_each_isa([](const Kernels& kernel) {
    const int64_t B = 5, T = 3, rows_of_table = 4;
    const std::vector<int32_t> rows = {0, 1, 2, 0, 3, 1, 1, 2, 3, 3, 2, 0, 2, 0, 1};
    for (const int64_t n : kLengths) {
      const Floats table(rows_of_table * n, 1), b1(n, 2), before(rows_of_table * n, 3);
      Floats h(B * n, 4);
      kernel.gather_tanh(h.data(), table.data(), rows.data(), b1.data(), n, B, T, n);
      EXPECT(h.canaries_live());
      for (int64_t i = 0; i < B * n; ++i) {
        double z = b1.data()[i % n], absolute = std::abs(z);
        for (int64_t t = 0; t < T; ++t) {
          const double term = table.data()[rows[size_t(i / n * T + t)] * n + i % n];
          z += term;
          absolute += std::abs(term);
        }
        expect_near(h.data()[i], std::tanh(z), (double(T) * absolute + 14) * kHalfUlp,
                    named(kernel, "gather_tanh"));
      }
      const Floats dh(B * n, 5);
      Floats sums = before;
      kernel.scatter_tanh_backward(sums.data(), dh.data(), h.data(), rows.data(), n, B, T, n);
      EXPECT(sums.canaries_live());
      for (int64_t i = 0; i < rows_of_table * n; ++i) {
        double exact = before.data()[i], absolute = std::abs(exact);
        for (int64_t k = 0; k < B * T; ++k) {
          if (rows[size_t(k)] != i / n) continue;
          const double h_k = h.data()[k / T * n + i % n], dh_k = dh.data()[k / T * n + i % n];
          exact += dh_k * (1 - h_k * h_k);
          absolute += std::abs(dh_k);
        }
        expect_near(sums.data()[i], exact, 9 * kHalfUlp * absolute,
                    named(kernel, "scatter_tanh_backward"));
      }
    }
  });
}

TEST_CASE("cross_entropy and log_softmax") {
  for_each_isa([](const Kernels& kernel) {
    for (const int64_t m : {1, 3, 16, 17, 33}) {
      for (const int64_t n : kLengths) {
        Floats logits(m * n, 1);
        for (int64_t i = 0; i < m * n; ++i) logits.data()[i] *= 3;
        Floats dlogits(m * n, 2), logs(m * n, 3), losses(m, 4);
        std::vector<int32_t> Y(static_cast<size_t>(m));
        for (int64_t i = 0; i < m; ++i) Y[size_t(i)] = static_cast<int32_t>(i * 7 % n);
        kernel.cross_entropy(losses.data(), dlogits.data(), logits.data(), n, nullptr, Y.data(),
                             0.5f, m, n);
        kernel.log_softmax(logs.data(), n, logits.data(), n, m, n);
        EXPECT(dlogits.canaries_live() && logs.canaries_live() && losses.canaries_live());
        for (int64_t i = 0; i < m; ++i) {
          const float* x = logits.data() + i * n;
          double max = x[0], sum = 0;
          for (int64_t j = 0; j < n; ++j) max = std::max(max, double{x[j]});
          for (int64_t j = 0; j < n; ++j) sum += std::exp(x[j] - max);
          const double ln_sum = max + std::log(sum);
          // x - max is off by half an ulp of at most 32; the sum by n + 2 ulp.
          const double bound = (64 + 2.0 * double(n)) * kHalfUlp;
          expect_near(losses.data()[i], ln_sum - x[Y[size_t(i)]], bound, named(kernel, "loss"));
          for (int64_t j = 0; j < n; ++j) {
            expect_near(logs.data()[i * n + j], x[j] - ln_sum, bound, named(kernel, "log_softmax"));
            const double p = std::exp(x[j] - ln_sum);
            expect_near(dlogits.data()[i * n + j], 0.5 * (p - (j == Y[size_t(i)])), bound,
                        named(kernel, "dlogits"));
          }
        }
      }
    }
  });
}

TEST_CASE("softmax_tile: two tiles after each other are one softmax of their columns") {
  for_each_isa([](const Kernels& kernel) {
    for (const int64_t n : {16, 32, 48, 64}) {
      for (const auto& [first, second] : {std::pair{1, 1}, std::pair{3, 8}, std::pair{62, 95}}) {
        const int64_t m = first + second;
        Floats logits(m * n, 1);
        for (int64_t i = 0; i < m * n; ++i) logits.data()[i] *= i % n == 3 ? 60.0f : 3.0f;
        Floats x = logits, max(n, 3), sum(n, 4), max_before(n, 5);
        for (int64_t j = 0; j < n; ++j) {
          max.data()[j] = std::numeric_limits<float>::lowest();
          sum.data()[j] = 0;
        }
        kernel.softmax_tile(x.data(), n, max.data(), sum.data(), first, n);
        std::copy_n(max.data(), n, max_before.data());
        kernel.softmax_tile(x.data() + first * n, n, max.data(), sum.data(), second, n);
        EXPECT(x.canaries_live() && max.canaries_live() && sum.canaries_live());
        for (int64_t j = 0; j < n; ++j) {
          float greatest[2] = {std::numeric_limits<float>::lowest(), 0};  // so far, after each
          for (int64_t i = 0; i < m; ++i) {
            if (i == first) greatest[1] = greatest[0];
            float& most = greatest[i >= first];
            most = std::max(most, logits.data()[i * n + j]);
          }
          EXPECT(max_before.data()[j] == greatest[0] && max.data()[j] == greatest[1]);
          double exact_sum = 0;
          for (int64_t i = 0; i < m; ++i) {
            const double z = double{logits.data()[i * n + j]};
            exact_sum += std::exp(z - greatest[1]);
            const double e = std::exp(z - greatest[i >= first]);
            // The logit and the difference round, each to half an ulp of at most 256.
            expect_near(x.data()[i * n + j], e, (4 + 512) * kHalfUlp * e + 1e-37,
                        named(kernel, "softmax_tile"));
          }
          expect_near(sum.data()[j], exact_sum, (double(m) + 8 + 512) * kHalfUlp * exact_sum,
                      named(kernel, "sum of softmax_tile"));
        }
      }
    }
  });
}

TEST_CASE("softmax_tile: a logit of minus infinity has no share, and NaN does not get lost") {
  for_each_isa([](const Kernels& kernel) {
    constexpr float kInf = std::numeric_limits<float>::infinity();
    for (int64_t bad = 0; bad < 16; ++bad) {
      std::vector<float> x(32, 1.0f), max(16, std::numeric_limits<float>::lowest()), sum(16);
      std::fill_n(x.begin(), 16, -kInf);
      x[size_t(16 + bad)] = std::numeric_limits<float>::quiet_NaN();
      kernel.softmax_tile(x.data(), 16, max.data(), sum.data(), 2, 16);
      for (int64_t j = 0; j < 16; ++j) {
        EXPECT(j == bad ? std::isnan(sum[size_t(j)]) : sum[size_t(j)] == 1 && x[size_t(j)] == 0);
      }
    }
  });
}

TEST_CASE("scale_columns") {
  for_each_isa([](const Kernels& kernel) {
    for (const int64_t n : {16, 32, 48, 64}) {
      for (const int64_t m : {1, 2, 17, 95}) {
        const Floats x(m * n, 1), factor(n, 2), before(m, 3);
        Floats out(m * n, 4), sums = before;
        kernel.scale_columns(out.data(), sums.data(), x.data(), factor.data(), n, m, n);
        EXPECT(out.canaries_live() && sums.canaries_live());
        for (int64_t i = 0; i < m; ++i) {
          double exact = before.data()[i], absolute = std::abs(exact);
          for (int64_t j = 0; j < n; ++j) {
            EXPECT(out.data()[i * n + j] == x.data()[i * n + j] * factor.data()[j]);
            exact += double{x.data()[i * n + j]} * factor.data()[j];
            absolute += std::abs(double{x.data()[i * n + j]} * factor.data()[j]);
          }
          expect_near(sums.data()[i], exact, double(n + 2) * kHalfUlp * absolute,
                      named(kernel, "sums of scale_columns"));
        }
      }
    }
  });
}

TEST_CASE("cross_entropy of rows with several targets is that of repeated rows") {
  for_each_isa([](const Kernels& kernel) {
    const std::vector<int32_t> starts = {0, 2, 2, 5, 6}, Y = {3, 0, 4, 4, 1, 2};
    const int64_t m = 4, n = 5, targets = 6;
    const Floats logits(m * n, 1);
    Floats losses(targets, 2), dlogits = logits, loss(1, 3), gradient(n, 4);
    kernel.cross_entropy(losses.data(), dlogits.data(), dlogits.data(), n, starts.data(), Y.data(),
                         0.25f, m, n);
    EXPECT(losses.canaries_live() && dlogits.canaries_live());
    for (int64_t i = 0; i < m; ++i) {
      std::vector<double> sums(static_cast<size_t>(n));
      for (int32_t k = starts[size_t(i)]; k < starts[size_t(i) + 1]; ++k) {
        kernel.cross_entropy(loss.data(), gradient.data(), logits.data() + i * n, n, nullptr,
                             &Y[size_t(k)], 0.25f, 1, n);
        EXPECT(loss.data()[0] == losses.data()[k]);
        for (int64_t j = 0; j < n; ++j) sums[size_t(j)] += gradient.data()[j];
      }
      for (int64_t j = 0; j < n; ++j) {
        expect_near(dlogits.data()[i * n + j], sums[size_t(j)], 8 * kHalfUlp,
                    named(kernel, "dlogits of several targets"));
      }
    }
  });
}

namespace {

// Walks through the floats from `first` to `last` (of one sign), some hundred thousand of them, or
// every one when MAKEMORE_ALL_FLOATS is set, and expects at most `limit` ulp of error.
void sweep(const Kernels& kernel, const char* what, void (*function)(float*, const float*, int64_t),
           double (*exact)(double), float first, float last, double limit) {
  const uint32_t begin = std::bit_cast<uint32_t>(first), end = std::bit_cast<uint32_t>(last);
  const uint32_t step = std::getenv("MAKEMORE_ALL_FLOATS") != nullptr ? 1 : 4099;
  std::vector<float> x, y;
  double worst = 0;
  float worst_at = 0;
  for (uint64_t bits = begin; bits <= end;) {
    x.clear();
    for (int i = 0; i < 1000 && bits <= end; ++i, bits += step) {
      x.push_back(std::bit_cast<float>(static_cast<uint32_t>(bits)));
    }
    y.resize(x.size());
    function(y.data(), x.data(), static_cast<int64_t>(x.size()));
    for (size_t i = 0; i < x.size(); ++i) {
      const double truth = exact(x[i]);
      const double ulp = std::ldexp(1.0, std::max(std::ilogb(truth), -126) - 23);
      const double error = truth == 0 ? std::abs(y[i]) / 0x1p-149 : std::abs(y[i] - truth) / ulp;
      if (!(error <= worst)) {  // also for NaN
        worst = error;
        worst_at = x[i];
      }
    }
  }
  EXPECT_THAT(worst <= limit, named(kernel, what) + " is off by " + std::to_string(worst) +
                                  " ulp at " + std::to_string(worst_at));
  std::printf("  %s %s: at most %.3f ulp\n", kernel.name, what, worst);
}

}  // namespace

TEST_CASE("exp, log, tanh over their whole range") {
  for_each_isa([](const Kernels& kernel) {
    sweep(kernel, "tanh, x > 0", kernel.tanh, std::tanh, 0.0f, 3e38f, 7);
    sweep(kernel, "tanh, x < 0", kernel.tanh, std::tanh, -0.0f, -3e38f, 7);
    sweep(kernel, "exp, x < 0", kernel.exp, std::exp, -0.0f, -87.32f, 2);
    sweep(kernel, "exp, x > 0", kernel.exp, std::exp, 0.0f, 88.0f, 2);
    sweep(kernel, "log", kernel.log, std::log, std::numeric_limits<float>::min(), 3e38f, 2);
  });
}

TEST_CASE("peak counts its operations") {
  for_each_isa([](const Kernels& kernel) {
    float sink[2] = {0.5f, 0.25f};  // every chain tends to 0.25 / (1 - 0.5)
    const double operations = kernel.peak(sink, 1000);
    const double chains = sink[0] / 0.5;
    EXPECT(std::abs(chains - std::round(chains)) < 1e-3 && chains >= 12);
    EXPECT(std::fmod(operations, 2000 * std::round(chains)) == 0 && operations > 0);
  });
}

TEST_CASE("exp, log, tanh: special values") {
  for_each_isa([](const Kernels& kernel) {
    constexpr float kInf = std::numeric_limits<float>::infinity();
    constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
    const auto at = [](void (*function)(float*, const float*, int64_t), float x) {
      float y = 0;
      function(&y, &x, 1);
      return y;
    };
    EXPECT(at(kernel.tanh, kInf) == 1 && at(kernel.tanh, -kInf) == -1);
    EXPECT(at(kernel.exp, -kInf) == 0 && at(kernel.exp, -100) == 0 && at(kernel.exp, 0) == 1);
    EXPECT(at(kernel.log, 1) == 0);
    EXPECT(std::isnan(at(kernel.tanh, kNaN)) && std::isnan(at(kernel.exp, kNaN)) &&
           std::isnan(at(kernel.log, kNaN)));
    EXPECT(std::signbit(at(kernel.tanh, -0.0f)));
  });
}

int main() { return check::run(); }
