// The generator: integer arithmetic, and float64 operations that every IEEE machine rounds alike.
#include "makemore/random.hpp"

#include <algorithm>
#include <cmath>

#include "base/check.hpp"
#include "base/floating_point.hpp"
#include "base/utf8.hpp"
#include "makemore/error.hpp"

namespace makemore {

std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = uint64_t{0xD2511F53} * counter[0];
    const uint64_t product1 = uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<uint32_t>(product1 >> 32) ^ counter[1] ^ key[0],
               static_cast<uint32_t>(product1),
               static_cast<uint32_t>(product0 >> 32) ^ counter[3] ^ key[1],
               static_cast<uint32_t>(product0)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return counter;
}

std::array<uint32_t, 4> RandomStream::block(uint32_t block) const {
  return philox({block, static_cast<uint32_t>(purpose_), static_cast<uint32_t>(index_),
                 static_cast<uint32_t>(index_ >> 32)},
                {static_cast<uint32_t>(seed_), static_cast<uint32_t>(seed_ >> 32)});
}

uint64_t RandomStream::word64(uint64_t i) const {
  const std::array<uint32_t, 4> words = block(static_cast<uint32_t>(i / 2));
  const size_t low = 2 * (i % 2);
  return uint64_t{words[low + 1]} << 32 | words[low];
}

namespace {

// ln x for x > 0, written out because libraries differ in the last bit: x = m 2^e with m in
// [sqrt(1/2), sqrt(2)), ln m = 2 atanh(s), s = (m-1)/(m+1).
double natural_log(double x) {
  int e;
  double m = std::frexp(x, &e);
  if (m < 0.7071067811865476) {
    m *= 2;
    e -= 1;
  }
  const double s = (m - 1) / (m + 1);
  const double z = s * s;
  double series = 1.0 / 19;
  for (int odd = 17; odd >= 1; odd -= 2) series = series * z + 1.0 / odd;
  return e * 0.6931471805599453 + (2.0 * s) * series;
}

template <size_t N>
double polynomial(const double (&coefficients)[N], double x) {  // highest power first
  double value = coefficients[0];
  for (size_t i = 1; i < N; ++i) value = value * x + coefficients[i];
  return value;
}

constexpr double kErfinvCentre[] = {2.81022636e-08,  3.43273939e-07, -3.5233877e-06,
                                    -4.39150654e-06, 0.00021858087,  -0.00125372503,
                                    -0.00417768164,  0.246640727,    1.50140941};
constexpr double kErfinvTail[] = {-0.000200214257, 0.000100950558, 0.00134934322,
                                  -0.00367342844,  0.00573950773,  -0.0076224613,
                                  0.00943887047,   1.00167406,     2.83297682};

double normal(uint32_t word) {
  const double x = (2.0 * word + 1.0) * 0x1p-32 - 1.0;  // in (-1, 1), exact
  const double w = -natural_log((1.0 - x) * (1.0 + x));
  const double erfinv =
      (w < 5.0 ? polynomial(kErfinvCentre, w - 2.5) : polynomial(kErfinvTail, std::sqrt(w) - 3.0)) *
      x;
  return 1.4142135623730951 * erfinv;
}

}  // namespace

double normal_of_word(uint32_t word) {
  const PlainFloatingPoint mode;
  return mode.here(normal(mode.here(word)));
}

Init init_named(const std::string& name) {
  if (name == "scaled") return Init::scaled;
  if (name == "lecture") return Init::lecture;
  throw ArgumentError("init = '" + show_text(name) + "' is not one of 'scaled', 'lecture'");
}

namespace {

// Numbers drawn between two polls, about a millisecond's; a multiple of the numbers of a block.
constexpr int64_t kPollInterval = 1 << 16;

void poll_at(int64_t i, const std::function<void()>& poll) {
  if (i % kPollInterval == 0 && poll) poll();
}

void fill_normal(float* out, int64_t n, uint64_t seed, Purpose purpose, double scale,
                 const std::function<void()>& poll) {
  const RandomStream stream(seed, purpose, 0);
  for (int64_t i = 0; i < n; i += 4) {
    poll_at(i, poll);
    const std::array<uint32_t, 4> words = stream.block(static_cast<uint32_t>(i / 4));
    for (int64_t j = 0; j < 4 && i + j < n; ++j) {
      out[i + j] = static_cast<float>(normal(words[static_cast<size_t>(j)]) * scale);
    }
  }
}

}  // namespace

void initial_parameters(const Parameters& parameters, const Sizes& sizes, uint64_t seed, Init init,
                        const std::function<void()>& poll) {
  const PlainFloatingPoint mode;
  check_sizes(sizes);
  const auto counts = parameter_counts(sizes);
  const bool scaled = init == Init::scaled;
  const double fan_in = static_cast<double>(sizes.block_size * sizes.n_embd);
  const double W1_scale = scaled ? (5.0 / 3.0) / std::sqrt(fan_in) : 1.0;
  fill_normal(parameters.C, counts.C, seed, Purpose::C, 1.0, poll);
  fill_normal(parameters.W1, counts.W1, seed, Purpose::W1, W1_scale, poll);
  fill_normal(parameters.W2, counts.W2, seed, Purpose::W2, scaled ? 0.01 : 1.0, poll);
  if (scaled) {
    std::fill_n(parameters.b1, counts.b1, 0.0f);
    std::fill_n(parameters.b2, counts.b2, 0.0f);
  } else {
    fill_normal(parameters.b1, counts.b1, seed, Purpose::b1, 1.0, poll);
    fill_normal(parameters.b2, counts.b2, seed, Purpose::b2, 1.0, poll);
  }
}

void batch_rows(int64_t* rows, uint64_t seed, uint64_t step, int64_t batch_size, int64_t n_examples,
                const std::function<void()>& poll) {
  check_in_range("n_examples", n_examples, 1, kMaxExamples);
  const RandomStream stream(seed, Purpose::batch, step);
  const uint64_t n = static_cast<uint64_t>(n_examples);
  for (int64_t b = 0; b < batch_size; b += 2) {
    poll_at(b, poll);
    const std::array<uint32_t, 4> words = stream.block(static_cast<uint32_t>(b / 2));
    for (int64_t j = 0; j < 2 && b + j < batch_size; ++j) {
      // floor(r * n / 2^64) for the 64-bit number r = high * 2^32 + low; exact for n < 2^32.
      const uint64_t low = words[static_cast<size_t>(2 * j)];
      const uint64_t high = words[static_cast<size_t>(2 * j + 1)];
      rows[b + j] = static_cast<int64_t>((high * n + (low * n >> 32)) >> 32);
    }
  }
}

uint32_t dropout_word(uint64_t seed, uint64_t step, int64_t b, int64_t j, int64_t n_hidden) {
  const int64_t block = b * dropout_blocks_per_row(n_hidden) + 16 * (j / 64) + j % 16;
  const RandomStream stream(seed, Purpose::dropout, step);
  return stream.block(static_cast<uint32_t>(block))[static_cast<size_t>(j / 16 % 4)];
}

double sample_uniform(uint64_t seed, uint64_t sample, uint64_t position) {
  return sample_uniforms(seed, sample, position / 2)[position % 2];
}

std::array<double, 2> sample_uniforms(uint64_t seed, uint64_t sample, uint64_t i) {
  const auto words = RandomStream(seed, Purpose::sample, sample).block(static_cast<uint32_t>(i));
  const auto uniform = [](uint64_t low, uint64_t high) {
    return static_cast<double>((high << 32 | low) >> 11) * 0x1p-53;
  };
  return {uniform(words[0], words[1]), uniform(words[2], words[3])};
}

}  // namespace makemore
