// Runs one job on several threads that meet at barriers.
//
// The pool starts its threads at the first use, keeps them, and survives a fork (the child starts
// its own).  It does one job at a time: a caller that finds it busy, or is inside a job, runs
// alone.
#pragma once

#include <cstdint>
#include <functional>

namespace makemore {

class Job;

// One thread's view of the job it takes part in.
class Team {
 public:
  Team(int rank, int size, Job* job) : rank_(rank), size_(size), job_(job) {}
  int rank() const { return rank_; }  // 0 is the calling thread
  int size() const { return size_; }

  // Waits until every thread of the team has come here.  When one of them has thrown, the others
  // leave by an exception that run_team swallows.
  void barrier();

  // Leaves likewise when another thread has thrown; to be called in long loops without a barrier.
  void check() const;

 private:
  int rank_;
  int size_;
  Job* job_;
};

// Calls body on `threads` threads at most, the caller among them, and returns when all are done.
// The first exception is rethrown here.
void run_team(int threads, const std::function<void(Team&)>& body);

// Calls body(block) for 0 <= block < blocks, spread over `threads` threads at most (0: all
// available ones).
void for_each_block(int64_t blocks, int threads, const std::function<void(int64_t)>& body);

// Throws ArgumentError unless threads is 0 (all available) or positive; returns the number.
int checked_threads(int64_t threads);

// The blocks of rank `rank` out of `size`: consecutive, as equal as can be.
struct Range {
  int64_t begin, end;
};
inline Range share_of(int64_t n, int64_t rank, int64_t size) {
  return {n * rank / size, n * (rank + 1) / size};
}

}  // namespace makemore
