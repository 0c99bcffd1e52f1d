// The pool behind run_team.
#include "thread_pool.hpp"

#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "makemore/error.hpp"
#include "makemore/machine.hpp"

namespace makemore {

namespace {

inline void pause_briefly() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Looks this often before it gives the CPU away: some tens of microseconds, the length of a step.
constexpr int kSpins = 2000;

// Waits until done() by spinning, then by yielding; sleeps never, so only for short waits.
template <typename Done>
void wait_until(Done done) {
  for (int i = 0; i < kSpins; ++i) {
    if (done()) return;
    pause_briefly();
  }
  while (!done()) sched_yield();
}

struct TeamBroken {};  // another thread of the team has thrown

}  // namespace

class Job {
 public:
  Job(int size, const std::function<void(Team&)>& body) : size_(size), body_(body) {}

  void run(int rank) {
    Team team(rank, size_, this);
    try {
      body_(team);
    } catch (const TeamBroken&) {
    } catch (...) {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (!error_) error_ = std::current_exception();
      broken_.store(true, std::memory_order_release);
    }
  }

  void barrier() {
    check();
    if (size_ == 1) return;
    const unsigned phase = phase_.load(std::memory_order_relaxed);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == size_) {
      arrived_.store(0, std::memory_order_relaxed);
      phase_.store(phase + 1, std::memory_order_release);
    } else {
      wait_until([&] {
        return phase_.load(std::memory_order_acquire) != phase ||
               broken_.load(std::memory_order_relaxed);
      });
      check();
    }
  }

  void check() const {
    if (broken_.load(std::memory_order_acquire)) throw TeamBroken{};
  }

  void rethrow() const {
    if (error_) std::rethrow_exception(error_);
  }

  int size() const { return size_; }

  // Workers that have not finished yet; the job may be destroyed when there are none.
  std::atomic<int> running{0};

 private:
  const int size_;
  const std::function<void(Team&)>& body_;
  alignas(64) std::atomic<int> arrived_{0};
  alignas(64) std::atomic<unsigned> phase_{0};
  alignas(64) std::atomic<bool> broken_{false};
  std::mutex mutex_;
  std::exception_ptr error_;
};

void Team::barrier() { job_->barrier(); }
void Team::check() const { job_->check(); }

namespace {

class ThreadPool {
 public:
  // The process's pool; a new one after a fork, for the old one's threads are not there.
  static ThreadPool& instance() {
    ThreadPool* pool = current.load(std::memory_order_acquire);
    if (pool != nullptr) return *pool;
    auto* fresh = new ThreadPool;  // never destroyed: its threads live as long as the process
    if (current.compare_exchange_strong(pool, fresh)) {
      static const int registered =
          pthread_atfork(nullptr, nullptr, [] { current.store(nullptr); });
      (void)registered;
      return *fresh;
    }
    delete fresh;
    return *pool;
  }

  // One caller at a time holds the pool.
  bool try_acquire() { return !busy_.exchange(true, std::memory_order_acquire); }
  void release() { busy_.store(false, std::memory_order_release); }

  // Starts threads until there are `workers`; returns how many of those there are.
  int ensure(int workers) {
    while (static_cast<int>(workers_.size()) < workers) {
      auto worker = std::make_unique<Worker>();
      // Signals belong to the host's threads.
      sigset_t all, before;
      sigfillset(&all);
      pthread_sigmask(SIG_SETMASK, &all, &before);
      bool started = true;
      try {
        const int rank = static_cast<int>(workers_.size()) + 1;
        std::thread([self = worker.get(), rank] { self->work(rank); }).detach();
      } catch (const std::system_error&) {
        started = false;  // the system has no more threads: go on with those we have
      }
      pthread_sigmask(SIG_SETMASK, &before, nullptr);
      if (!started) break;
      workers_.push_back(std::move(worker));
    }
    return std::min(workers, static_cast<int>(workers_.size()));
  }

  void run(Job& job) {
    job.running.store(job.size() - 1, std::memory_order_relaxed);
    for (int rank = 1; rank < job.size(); ++rank) workers_[rank - 1]->post(&job);
    job.run(0);
    wait_until([&] { return job.running.load(std::memory_order_acquire) == 0; });
  }

 private:
  // A thread and the letter box in which it finds its next job.
  class alignas(64) Worker {
   public:
    void post(Job* job) {
      job_ = job;
      posted_.fetch_add(1, std::memory_order_release);
      posted_.notify_one();
    }

    void work(int rank) {
      for (unsigned done = 0;; ++done) {
        for (int i = 0; i < kSpins && posted_.load(std::memory_order_relaxed) == done; ++i) {
          pause_briefly();
        }
        posted_.wait(done, std::memory_order_acquire);
        Job* job = job_;
        job->run(rank);
        job->running.fetch_sub(1, std::memory_order_release);  // the job may be gone from here on
      }
    }

   private:
    std::atomic<unsigned> posted_{0};
    Job* job_ = nullptr;
  };

  static std::atomic<ThreadPool*> current;

  std::atomic<bool> busy_{false};
  std::vector<std::unique_ptr<Worker>> workers_;  // touched only by who holds busy_
};

std::atomic<ThreadPool*> ThreadPool::current{nullptr};

}  // namespace

void run_team(int threads, const std::function<void(Team&)>& body) {
  ThreadPool* pool = threads > 1 ? &ThreadPool::instance() : nullptr;
  if (pool != nullptr && !pool->try_acquire()) pool = nullptr;
  const int size = pool == nullptr ? 1 : 1 + pool->ensure(threads - 1);
  Job job(size, body);
  if (size == 1) {
    job.run(0);
  } else {
    pool->run(job);
  }
  if (pool != nullptr) pool->release();
  job.rethrow();
}

void for_each_block(int64_t blocks, int threads, const std::function<void(int64_t)>& body) {
  if (threads == 0) threads = available_threads();
  if (blocks < threads) threads = static_cast<int>(blocks);
  run_team(threads, [&](Team& team) {
    const Range mine = share_of(blocks, team.rank(), team.size());
    for (int64_t block = mine.begin; block < mine.end; ++block) {
      team.check();
      body(block);
    }
  });
}

int checked_threads(int64_t threads) {
  // A thousand threads are more than any step can use; the bound keeps a slip from starting them.
  if (threads < 0 || threads > 1024) {
    throw ArgumentError("threads = " + std::to_string(threads) +
                        " is not between 1 and 1024 (0: all available)");
  }
  return threads == 0 ? available_threads() : static_cast<int>(threads);
}

int available_threads() {
#ifdef __linux__
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return CPU_COUNT(&set);
#endif
  const unsigned count = std::thread::hardware_concurrency();
  return count == 0 ? 1 : static_cast<int>(count);
}

}  // namespace makemore
