// The generator's known answers, and the draws that are made of its bits.
#include <cmath>
#include <vector>

#include "check.hpp"
#include "makemore/error.hpp"
#include "makemore/random.hpp"

using namespace makemore;

TEST_CASE("Philox4x32-10: the known answers published with it") {
  using Block = std::array<uint32_t, 4>;
  EXPECT(philox({0, 0, 0, 0}, {0, 0}) == (Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  const uint32_t ones = 0xffffffff;
  EXPECT(philox({ones, ones, ones, ones}, {ones, ones}) ==
         (Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
         (Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST_CASE("normal numbers: the quantiles, mean and variance of N(0,1)") {
  const double quantile = 1.959963984540054;  // of 0.975
  const auto word = static_cast<uint32_t>(0.975 * 4294967296.0);
  EXPECT(std::abs(normal_of_word(word) - quantile) < 1e-6);
  EXPECT(std::abs(normal_of_word(0xffffffff - word) + quantile) < 1e-6);
  EXPECT(normal_of_word(0) < -6 && normal_of_word(0) > -7);
  EXPECT(normal_of_word(0xffffffff) == -normal_of_word(0));
  double sum = 0, squares = 0;
  const int n = 100'000;
  for (int i = 0; i < n; ++i) {
    const double x = normal_of_word(static_cast<uint32_t>((i + 0.5) / n * 4294967296.0));
    sum += x;
    squares += x * x;
  }
  EXPECT(std::abs(sum / n) < 1e-6);
  EXPECT(std::abs(squares / n - 1) < 1e-4);
}

TEST_CASE("batch_rows: every row of [0, n) comes, none outside, each step its own") {
  std::vector<int64_t> rows(7001), again(7001), next(7001);
  batch_rows(rows.data(), 5, 3, 7001, 10);
  batch_rows(again.data(), 5, 3, 7001, 10);
  batch_rows(next.data(), 5, 4, 7001, 10);
  EXPECT(rows == again);
  EXPECT(rows != next);
  std::vector<int> counts(10);
  for (const int64_t row : rows) {
    EXPECT(row >= 0 && row < 10);
    if (row >= 0 && row < 10) ++counts[size_t(row)];
  }
  for (const int count : counts) EXPECT(count > 600 && count < 800);  // 700 +- 4 sigma
  EXPECT_THROWS(batch_rows(rows.data(), 1, 0, 1, 0), ArgumentError, "n_examples = 0");
}

TEST_CASE("initial parameters: scales of both initialisations") {
  const Sizes sizes{3, 10, 200, 27};
  ParameterArrays scaled(sizes), lecture(sizes);
  initial_parameters(scaled.view(), sizes, 1, Init::scaled);
  initial_parameters(lecture.view(), sizes, 1, Init::lecture);
  const auto deviation = [](const std::vector<float>& values) {
    double squares = 0;
    for (const float x : values) squares += double{x} * x;
    return std::sqrt(squares / double(values.size()));
  };
  EXPECT(std::abs(deviation(scaled.C) - 1) < 0.15);
  EXPECT(std::abs(deviation(scaled.W1) - 5.0 / 3 / std::sqrt(30)) < 0.02);
  EXPECT(std::abs(deviation(scaled.W2) - 0.01) < 0.001);
  EXPECT(deviation(scaled.b1) == 0 && deviation(scaled.b2) == 0);
  EXPECT(lecture.C == scaled.C);
  EXPECT(std::abs(deviation(lecture.W1) - 1) < 0.05);
  EXPECT(std::abs(deviation(lecture.W2) - 1) < 0.05);
  EXPECT(std::abs(deviation(lecture.b1) - 1) < 0.25);
  EXPECT(deviation(lecture.b2) > 0.5);
  EXPECT_THROWS(init_named("xavier"), ArgumentError, "'xavier'");
}

TEST_CASE("sample_uniform: in [0, 1), different for each sample and position") {
  double sum = 0;
  for (uint64_t i = 0; i < 1000; ++i) {
    const double u = sample_uniform(1, i, i % 7);
    EXPECT(u >= 0 && u < 1);
    sum += u;
  }
  EXPECT(std::abs(sum / 1000 - 0.5) < 0.04);
  EXPECT(sample_uniform(1, 0, 0) != sample_uniform(1, 0, 1));
  EXPECT(sample_uniform(1, 0, 0) != sample_uniform(1, 1, 0));
  EXPECT(sample_uniform(1, 0, 0) != sample_uniform(2, 0, 0));
}

int main() { return check::run(); }
