// What processes that train one model together exchange.
#pragma once

#include <cstdint>
#include <vector>

namespace makemore {

// The ranks of a launch, of which this process is one.  All make the same calls with the same
// arguments, on the same instruction set, and are asked for the same exchanges in the same order:
// those of a rank that leaves a call alone never end, so that whoever made the ranks must then end
// all of them.
class Exchange {
 public:
  Exchange(int64_t rank, int64_t size) : rank(rank), size(size) {}
  virtual ~Exchange() = default;
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  // `data` is made of the ranks' parts, one behind the other, each of so many bytes (size).  This
  // rank has filled its own; when the call returns, it has all of them.  Only called on the thread
  // that called the core; may throw, which abandons that call.
  virtual void all_gather(void* data, const std::vector<int64_t>& bytes) = 0;

  const int64_t rank, size;
};

}  // namespace makemore
