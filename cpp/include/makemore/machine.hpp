// What this build holds and what this machine runs: instruction sets and threads.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "makemore/model.hpp"

namespace makemore {

std::vector<std::string> isas_built();  // instruction sets of this build, the best one last
std::vector<std::string> isas_found();  // the instruction sets among them that this machine can run
std::string isa_used();

// Chooses an instruction set for the whole process.  Throws ArgumentError when it was not built or
// cannot run here.  Without a call, the environment variable MAKEMORE_ISA decides at the first
// operation; where that is unset, the best instruction set found is used.
void use_isa(const std::string& name);

// The number of CPUs that this process may use.  `threads` = 0 means this number everywhere.
int available_threads();

// How the work of a training step is cut: a function of the shape alone, so that the number of
// threads never changes a result.
struct StepCut {
  std::vector<int64_t> hidden_blocks;  // hidden units per block; each block has one owner
  // Tokens per group of the output layer, where that is cut along tokens; each group has one owner.
  // Empty where the output layer is cut along hidden units, into the same blocks.
  std::vector<int64_t> token_groups;
  int64_t tile_tokens;  // tokens of a group, at most, that stay in cache while all examples pass
  int64_t chunk_rows;   // examples that go through the net together
};
// With negatives, the groups divide the largest number of candidates that a step can have; each
// then owns tokens of which about so many are candidates.
StepCut cut_step(int64_t batch_size, const Sizes& sizes, int64_t negatives = 0);

}  // namespace makemore
