// The distinct contexts of a batch: the net runs once for each, however many examples share it.
//
// A word's first letters are drawn again and again: a batch of 32 of the lecture's examples holds
// 28 different contexts, one of 4,096 holds 1,300, and all 182,625 training examples hold 4,900.
#pragma once

#include <cstdint>

#include "base/buffer.hpp"
#include "makemore/poll.hpp"

namespace makemore {

class DistinctContexts {
 public:
  // Makes room for `max_examples` examples of block_size tokens.  Without `share`, the context of
  // each example counts as distinct.
  DistinctContexts(int64_t block_size, int64_t max_examples, bool share);

  // Finds the contexts of X (B,T), numbers them by first appearance, and sorts the targets Y (B) by
  // these numbers.  After `poll` has thrown, the object holds no batch.
  void build(const int32_t* X, const int32_t* Y, int64_t B, const Poll& poll = {});

  int64_t count() const { return count_; }
  const int32_t* X() const { return X_.get(); }  // (count,T)
  // Context i has the targets Y[starts[i]] to Y[starts[i+1] - 1], in the order of the examples.
  const int32_t* starts() const { return starts_.get(); }  // (count + 1)
  const int32_t* Y() const { return Y_.get(); }            // (B)

 private:
  int32_t number_of(const int32_t* context);
  int32_t add(const int32_t* context);

  int64_t T_;
  bool share_;
  int slot_bits_;
  int64_t count_ = 0;
  Buffer<int32_t> slots_;   // a hash table of context numbers, -1 where empty
  Buffer<int32_t> number_;  // (B), each example's context
  Buffer<int32_t> X_, starts_, Y_;
};

}  // namespace makemore
