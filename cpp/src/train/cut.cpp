// Decides how the work of a step is cut, by the shape alone.
#include <algorithm>

#include "base/buffer.hpp"
#include "base/check.hpp"
#include "base/thread_pool.hpp"
#include "makemore/machine.hpp"
#include "net/token_tiles.hpp"
#include "train/negatives.hpp"

namespace makemore {

namespace {

// With fewer multiply-adds than this a block costs more in waiting and partial sums than a second
// thread saves.  (Measured on a machine with two cores.)
constexpr int64_t kMinWorkPerBlock = 400'000;

// A block of fewer lines (a line is kUnit = 16 hidden units) leaves a matrix product's tile of
// accumulators half empty.
constexpr int64_t kMinLinesPerBlock = 6;

constexpr int64_t kMaxBlocks = 16;

// Contexts that go through the net together: so many that loading the weights does not count, so
// few that their h and dh stay in cache.
constexpr int64_t kChunkRows = 256;

// With fewer examples than this most lanes of the vectors, which run along the examples, are empty.
constexpr int64_t kMinRowsAlongTokens = 8;

// A group of fewer tokens has too little work to pay for adding up the groups' parts of dh: at
// 1,000 tokens, 200 units and 256 examples a step in 16 groups takes a tenth longer than in 4.
constexpr int64_t kMinTokensPerGroup = 192;

// The exponentials of a chunk take 128 MiB at most, and a chunk has so few examples that their h
// and dh, which each tile needs again, stay in a cache near the core.
constexpr int64_t kMaxExponentials = 1 << 25, kMaxChunkRows = 1024;

// The largest power of two that is at most `most` and kMaxBlocks: 2, 4 or 8 threads then get equal
// shares.
int64_t parts_of(int64_t most) {
  int64_t parts = 1;
  while (parts * 2 <= std::min(most, kMaxBlocks)) parts *= 2;
  return parts;
}

// The sizes of `parts` parts of n, which are whole multiples of `line` except the last.
std::vector<int64_t> cut_in(int64_t parts, int64_t n, int64_t line) {
  const int64_t lines = (n + line - 1) / line;
  std::vector<int64_t> sizes;
  for (int64_t part = 0; part < parts; ++part) {
    const auto [begin, end] = share_of(lines, part, parts);
    sizes.push_back(std::min(end * line, n) - begin * line);
  }
  return sizes;
}

StepCut cut_along_tokens(int64_t batch_size, const Sizes& sizes) {
  const auto [T, E, H, V, is_direct] = sizes;
  const int64_t most = kMaxExponentials / V / kPanel * kPanel;
  const int64_t rows = std::min(batch_size, std::clamp(most, kPanel, kMaxChunkRows));
  // There are three products of the same size: forward, gradient of the input, and of the weights.
  const int64_t hidden_work = 3 * rows * H * T * E / kMinWorkPerBlock;
  const int64_t blocks = parts_of(std::min(hidden_work, padded(H) / kUnit / 2));
  const int64_t work = 3 * rows * sizes.n_features() * V / kMinWorkPerBlock;
  const int64_t groups = parts_of(std::min(work, V / kMinTokensPerGroup));
  return {cut_in(blocks, H, kUnit), cut_in(groups, V, 1), tile_tokens_of(H), rows};
}

StepCut cut_along_units(int64_t batch_size, const Sizes& sizes) {
  const auto [T, E, H, V, is_direct] = sizes;
  const int64_t rows = std::min(batch_size, kChunkRows);
  const int64_t work = 3 * rows * H * (T * E + V) / kMinWorkPerBlock;
  const int64_t blocks = parts_of(std::min(work, padded(H) / kUnit / kMinLinesPerBlock));
  return {cut_in(blocks, H, kUnit), {}, 0, rows};
}

}  // namespace

StepCut cut_step(int64_t batch_size, const Sizes& sizes, int64_t negatives) {
  check_at_least("batch_size", batch_size, 1);
  check_sizes(sizes);
  if (negatives > 0) {
    Sizes candidates = sizes;
    candidates.vocab_size = most_candidates(sizes.vocab_size, negatives, batch_size);
    return cut_along_tokens(batch_size, candidates);
  }
  // No block of hidden units could own the rows of W2 for direct connections.
  const bool along_tokens =
      sizes.is_direct || (are_many_tokens(sizes.vocab_size) && batch_size >= kMinRowsAlongTokens);
  return along_tokens ? cut_along_tokens(batch_size, sizes) : cut_along_units(batch_size, sizes);
}

}  // namespace makemore
