// The distinct contexts among many examples.
//
// Names are short and alike: the lecture's 228,146 examples hold only 5,686 different contexts of
// three characters.  A loss over all of them needs the net only once for each.
#pragma once

#include <cstdint>
#include <vector>

#include "base/buffer.hpp"
#include "makemore/model.hpp"

namespace makemore {

class ContextIndex {
 public:
  // Whether contexts of these sizes are few enough to be numbered, and n examples enough to gain.
  static bool worthwhile(const Sizes& sizes, int64_t n);

  // The contexts of X (N,T).  Throws RangeError for a token outside the vocabulary.
  ContextIndex(const Sizes& sizes, const int32_t* X, int64_t N, int threads);

  int64_t count() const { return static_cast<int64_t>(codes_.size()); }

  // X (n,T) = contexts [first, first + n)
  void copy(int32_t* X, int64_t first, int64_t n) const;

  // The number of the context X (T), or -1 when it is not among those seen.
  int64_t number_of(const int32_t* X) const;

 private:
  int64_t T_, V_;
  std::vector<int64_t> codes_;      // of the contexts in ascending order: their tokens as digits
  Buffer<int32_t> number_of_code_;  // one more than the number, 0 for a context not seen
};

}  // namespace makemore
