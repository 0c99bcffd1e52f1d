// The shares of ranks, the processes that train one model together: each rank computes some
// consecutive things of a kind.
#pragma once

#include <cstdint>
#include <vector>

#include "base/thread_pool.hpp"
#include "makemore/exchange.hpp"

namespace makemore {

// This rank's share of n things; all of them where `exchange` is null, for a process that is alone.
inline Range own_share(const Exchange* exchange, int64_t n) {
  return exchange == nullptr ? Range{0, n} : share_of(n, exchange->rank, exchange->size);
}

// Sends this rank's share of n things to the other ranks and receives theirs.  The data of thing i
// begin at element start(i) and end at start(i + 1).
template <typename T, typename Start>
void exchange_shares(Exchange& exchange, T* data, int64_t n, const Start& start) {
  std::vector<int64_t> bytes;
  for (int64_t rank = 0; rank < exchange.size; ++rank) {
    const Range share = share_of(n, rank, exchange.size);
    bytes.push_back((start(share.end) - start(share.begin)) * static_cast<int64_t>(sizeof(T)));
  }
  exchange.all_gather(data, bytes);
}

}  // namespace makemore
