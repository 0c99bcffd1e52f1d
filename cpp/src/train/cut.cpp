// How the work of a step is cut: the one place that decides it, by the shape alone.
#include <algorithm>

#include "base/buffer.hpp"
#include "base/check.hpp"
#include "makemore/machine.hpp"

namespace makemore {

namespace {

// Below this many multiply-adds a block costs more in waiting and partial sums than a second
// thread saves.  Measured on one 2-core machine.
constexpr int64_t kMinWorkPerBlock = 400'000;

// A block narrower than this many units leaves a matrix product's tile of accumulators half empty.
constexpr int64_t kMinUnitsPerBlock = 6;

constexpr int64_t kMaxBlocks = 16;

// Examples that go through the net together: enough to amortise the loads of the weights, few
// enough that their h and dh stay in cache.
constexpr int64_t kChunkRows = 256;

}  // namespace

StepCut cut_step(int64_t batch_size, const Sizes& sizes) {
  check_at_least("batch_size", batch_size, 1);
  check_sizes(sizes);
  const int64_t K = sizes.block_size * sizes.n_embd;
  const int64_t units = (sizes.n_hidden + kUnit - 1) / kUnit;
  const int64_t rows = std::min(batch_size, kChunkRows);
  // Forward, gradient of the input, gradient of the weights: three products of the same size.
  const int64_t work = 3 * rows * sizes.n_hidden * (K + sizes.vocab_size);
  const int64_t most = std::min({kMaxBlocks, work / kMinWorkPerBlock, units / kMinUnitsPerBlock});
  int64_t blocks = 1;  // a power of two, so that 2, 4 or 8 threads get equal shares
  while (blocks * 2 <= most) blocks *= 2;

  StepCut cut{{}, rows};
  for (int64_t block = 0; block < blocks; ++block) {
    const int64_t begin = block * units / blocks * kUnit;
    const int64_t end = std::min((block + 1) * units / blocks * kUnit, sizes.n_hidden);
    cut.hidden_blocks.push_back(end - begin);
  }
  return cut;
}

}  // namespace makemore
