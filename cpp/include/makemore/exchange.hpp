// How processes that train one model together exchange data.
#pragma once

#include <cstdint>
#include <vector>

namespace makemore {

// The ranks (processes) of a launch, of which this process is one.  All ranks make the same calls
// with the same arguments, on the same instruction set, so that they ask for the same exchanges in
// the same order.  When a rank leaves a call alone, the exchanges of the others never end: whoever
// started the ranks must then end all of them.
class Exchange {
 public:
  Exchange(int64_t rank, int64_t size) : rank(rank), size(size) {}
  virtual ~Exchange() = default;
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  // `data` consists of the ranks' parts, one behind the other; bytes (size) are their lengths. This
  // rank has filled its own part; when the call returns, it has all of them.  The core calls this
  // only on the thread that called the core; it may throw, which abandons that call.
  virtual void all_gather(void* data, const std::vector<int64_t>& bytes) = 0;

  const int64_t rank, size;
};

}  // namespace makemore
