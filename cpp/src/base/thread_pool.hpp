// Runs one job on several threads, in phases of tasks.
//
// The pool starts its threads at the first use, keeps them, and survives a fork: the child starts
// its own threads, and leaves a job inside which it was forked with an error.  The pool does one
// job at a time: a caller that finds it busy, or is inside a job, runs its job alone.
#pragma once

#include <cstdint>
#include <functional>

namespace makemore {

class Job;

// One thread's view of the job in which it takes part.  All threads of a team call run() with the
// same arguments in the same order.
class Team {
 public:
  Team(int rank, int size, Job* job) : rank_(rank), size_(size), job_(job) {}
  int rank() const { return rank_; }  // 0 is the calling thread
  int size() const { return size_; }

  // Runs one phase: calls task(i) for 0 <= i < tasks <= kMaxTasks, each on some thread, and returns
  // when all are done and this thread can see what they wrote.  Every task has an owner, a thread
  // that is the same in every phase with this number of tasks, so that the task's memory stays in
  // one cache.  A thread that waits for a late owner does the owner's task itself, so that a thread
  // without a processor holds up nobody.  Tasks below `own` are always left to their owners; the
  // owner of task 0 is the calling thread.
  template <typename Task>
  void run(int64_t tasks, const Task& task, int64_t own = 0) {
    begin(tasks);
    do_unclaimed(first_, last_, task);
    int64_t others = 0;  // tasks of other owners that were left to this thread
    while (!complete()) {
      if (out_of_patience()) others += do_unclaimed(own, tasks, task);
    }
    if (last_ - first_ < tasks) owners_are_late_ = others > 0;
  }
  static constexpr int64_t kMaxTasks = 64;

  // Leaves the job when another thread has thrown.  Tasks that take long call it now and then.
  void check() const;

 private:
  template <typename Task>
  int64_t do_unclaimed(int64_t begin, int64_t end, const Task& task) {
    int64_t count = 0;
    for (int64_t i = begin; i < end; ++i) {
      if (!claim(i)) continue;
      task(i);
      finish();
      ++count;
    }
    return count;
  }

  void begin(int64_t tasks);
  bool claim(int64_t task);
  void finish();
  bool complete();
  bool out_of_patience();

  int rank_;
  int size_;
  Job* job_;
  uint64_t phase_ = 0;            // number of this phase
  uint64_t tasks_so_far_ = 0;     // of all phases up to this one
  int64_t first_ = 0, last_ = 0;  // this thread owns the tasks [first_, last_) of this phase
  int waits_ = 0;                 // in this phase
  bool owners_are_late_ = false;  // in the last phase
};

// Calls body on `threads` threads at most, the caller's among them, and returns when all are done.
// It rethrows the first exception.
void run_team(int threads, const std::function<void(Team&)>& body);

// Calls body(block) for 0 <= block < blocks <= Team::kMaxTasks, spread over `threads` threads at
// most.
void for_each_block(int64_t blocks, int threads, const std::function<void(int64_t)>& body);

// Throws ArgumentError unless threads is 0 (all available) or positive; returns the number.
int checked_threads(int64_t threads);

struct Range {
  int64_t begin, end;
};
// Part `rank` of n things that are cut into `size` consecutive parts, as equal as can be.
inline Range share_of(int64_t n, int64_t rank, int64_t size) {
  return {n * rank / size, n * (rank + 1) / size};
}
// The rank in whose part thing i is.
inline int64_t owner_of(int64_t i, int64_t n, int64_t size) { return ((i + 1) * size - 1) / n; }

}  // namespace makemore
