// The counter-based random generator, and everything that the library draws from it.
//
// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011) makes each
// number a pure function of a seed, a purpose and a place: there is no state to save, and order,
// division into calls and threads cannot matter.  python/makemore_cpp/reference/random.py defines
// every number.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>

#include "makemore/model.hpp"

namespace makemore {

// What a number is drawn for.  The values are part of every result: never renumber them.
enum class Purpose : uint32_t {
  C = 0,
  W1 = 1,
  b1 = 2,
  W2 = 3,
  b2 = 4,
  batch = 5,
  sample = 6,
  dropout = 7,
  negatives = 8
};

std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

// The stream of random 32-bit words of (seed, purpose, index); index is the number of a step or of
// a sample.
class RandomStream {
 public:
  RandomStream(uint64_t seed, Purpose purpose, uint64_t index)
      : seed_(seed), purpose_(purpose), index_(index) {}

  // The words number 4*block to 4*block + 3.
  std::array<uint32_t, 4> block(uint32_t block) const;

  // The words number 2*i (low half) and 2*i + 1 as one number.
  uint64_t word64(uint64_t i) const;

 private:
  uint64_t seed_;
  Purpose purpose_;
  uint64_t index_;
};

// The standard normal number of a random word: the inverse of the distribution function, computed
// in float64 after Giles, "Approximating the erfinv function" (2012).  Its relative error is below
// 1.5e-7, except for the outermost 1e-7 of the numbers, where it reaches 4e-4.
double normal_of_word(uint32_t word);

// "scaled": C from N(0,1), W1 from N(0,1) times (5/3)/sqrt(K), W2 times 0.01, biases 0.
// "lecture": everything from N(0,1).
enum class Init { scaled, lecture };
Init init_named(const std::string& name);  // throws ArgumentError

// Fills the five arrays.  `poll` is a Poll of makemore/poll.hpp.
void initial_parameters(const Parameters& parameters, const Sizes& sizes, uint64_t seed, Init init,
                        const std::function<void()>& poll = {});

// Draws the rows (batch_size) of one step's minibatch with replacement from [0, n_examples).
void batch_rows(int64_t* rows, uint64_t seed, uint64_t step, int64_t batch_size, int64_t n_examples,
                const std::function<void()>& poll = {});
constexpr int64_t kMaxExamples = (int64_t{1} << 32) - 1;

// The word that decides whether unit j of n_hidden is dropped for row b of a step's minibatch: the
// unit is dropped where the word is below 2^32 times the probability.  It is word (j / 16) % 4 of
// block b * dropout_blocks_per_row + 16 * (j / 64) + j % 16: the words of a block go to units 16
// apart, so that neighbouring units use neighbouring blocks.
uint32_t dropout_word(uint64_t seed, uint64_t step, int64_t b, int64_t j, int64_t n_hidden);
inline int64_t dropout_blocks_per_row(int64_t n_hidden) { return (n_hidden + 63) / 64 * 16; }

// The number, uniform in [0, 1), that chooses the token at `position` <= kMaxPosition of sample
// number `sample`.
constexpr int64_t kMaxPosition = (int64_t{1} << 33) - 1;
double sample_uniform(uint64_t seed, uint64_t sample, uint64_t position);
// The numbers for positions 2*i and 2*i + 1, at the cost of one.
std::array<double, 2> sample_uniforms(uint64_t seed, uint64_t sample, uint64_t i);

}  // namespace makemore
