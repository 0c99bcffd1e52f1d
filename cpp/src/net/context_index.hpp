// The distinct contexts among many examples, found in a table of all V^T possible contexts.
//
// Names are short and alike: the lecture's 228,146 examples hold only 5,686 different contexts of
// three characters.  A loss over all examples needs the net only once for each context.  (A
// training step finds the distinct contexts of its batch by hashing: see distinct_contexts.hpp.)
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

  // Finds the contexts of X (N,T).  Throws RangeError for a token outside the vocabulary.
  ContextIndex(const Sizes& sizes, const int32_t* X, int64_t N, int threads);

  int64_t count() const { return static_cast<int64_t>(codes_.size()); }

  // X (n,T) = contexts [first, first + n)
  void copy(int32_t* X, int64_t first, int64_t n) const;

  // The number of the context X (T), or -1 when it was not among the examples.
  int64_t number_of(const int32_t* X) const;

 private:
  int64_t T_, V_;
  std::vector<int64_t> codes_;      // ascending; a code has the tokens of its context as digits
  Buffer<int32_t> number_of_code_;  // the context's number + 1; 0 for a context not seen
};

}  // namespace makemore
