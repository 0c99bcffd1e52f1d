// The pool behind run_team.
#include "base/thread_pool.hpp"

#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "base/floating_point.hpp"
#include "makemore/error.hpp"
#include "makemore/machine.hpp"

namespace makemore {

class ThreadPool;

namespace {

inline void pause_briefly() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// A thread that waits looks this often for a late owner before it does the owner's task: for about
// a microsecond, which is more than the difference between two equal shares, and less than a share.
constexpr int kPatience = 60;

// A thread that waits spins kSpins times (some ten microseconds), then offers the processor to
// other processes kYields times, then sleeps between two looks: the thread that it waits for may be
// in Python, in a poll for signals.
constexpr int kSpins = 600;
constexpr int kYields = 400;
constexpr auto kNap = std::chrono::microseconds(100);

// Waits a little, and longer the more often it was called before.
inline void wait_a_little(int times_before) {
  if (times_before < kSpins) {
    pause_briefly();
  } else if (times_before < kSpins + kYields) {
    sched_yield();
  } else {
    std::this_thread::sleep_for(kNap);
  }
}

// A worker without a job looks for one this often, some tens of microseconds, before it sleeps.
constexpr int kIdleSpins = 2000;

struct TeamBroken {};  // thrown where another thread of the team has thrown

// The pool of this process; a forked child has none until it needs one.
std::atomic<ThreadPool*> current_pool{nullptr};

}  // namespace

class Job {
 public:
  // `pool` is the pool whose threads take part, or null when the caller runs alone.
  Job(int size, const ThreadPool* pool, const std::function<void(Team&)>& body)
      : size(size), pool_(pool), body_(body) {}

  void run(int rank) {
    const PlainFloatingPoint mode;
    Team team(rank, size, this);
    try {
      body_(team);
    } catch (const TeamBroken&) {
    } catch (...) {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (!error_) error_ = std::current_exception();
      broken_.store(true, std::memory_order_release);
    }
  }

  void check() const {
    if (broken_.load(std::memory_order_acquire)) throw TeamBroken{};
    if (pool_ != nullptr && pool_ != current_pool.load(std::memory_order_relaxed)) {
      throw Error("a process that was forked inside this call cannot go on with it");
    }
  }

  void rethrow() const {
    if (error_) std::rethrow_exception(error_);
  }

  const int size;

  // Tasks done in all phases so far.  A phase begins only when all earlier tasks are done.
  alignas(64) std::atomic<uint64_t> done{0};
  // The last phase in which each task was claimed.
  alignas(64) std::atomic<uint64_t> claimed[Team::kMaxTasks] = {};

 private:
  const ThreadPool* const pool_;
  const std::function<void(Team&)>& body_;
  std::atomic<bool> broken_{false};
  std::mutex mutex_;
  std::exception_ptr error_;
};

void Team::check() const { job_->check(); }

void Team::begin(int64_t tasks) {
  check();
  // The divisions round up, so that the calling thread always owns task 0.
  first_ = (tasks * rank_ + size_ - 1) / size_;
  last_ = (tasks * (rank_ + 1) + size_ - 1) / size_;
  ++phase_;
  tasks_so_far_ += static_cast<uint64_t>(tasks);
  waits_ = 0;
}

bool Team::claim(int64_t task) {
  std::atomic<uint64_t>& claimed = job_->claimed[task];
  uint64_t last_phase = claimed.load(std::memory_order_relaxed);
  // A late thread finds the tasks claimed, for its own phase or for a later one.
  return last_phase < phase_ &&
         claimed.compare_exchange_strong(last_phase, phase_, std::memory_order_relaxed);
}

void Team::finish() { job_->done.fetch_add(1, std::memory_order_acq_rel); }

bool Team::complete() { return job_->done.load(std::memory_order_acquire) >= tasks_so_far_; }

bool Team::out_of_patience() {
  check();
  wait_a_little(waits_++);
  return waits_ == (owners_are_late_ ? 1 : kPatience);
}

namespace {

// While an object of this class lives, its thread starts other threads with all signals blocked.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

}  // namespace

class ThreadPool {
 public:
  // The pool of this process; in a forked child a new one, for the threads of the old pool are not
  // there.
  static ThreadPool& instance() {
    ThreadPool* pool = current_pool.load(std::memory_order_acquire);
    if (pool != nullptr) return *pool;
    auto* fresh = new ThreadPool;  // never destroyed: its threads live as long as the process
    if (current_pool.compare_exchange_strong(pool, fresh)) {
      static const int registered =
          pthread_atfork(nullptr, nullptr, [] { current_pool.store(nullptr); });
      (void)registered;
      return *fresh;
    }
    delete fresh;
    return *pool;
  }

  // Reserves the pool for one caller; gives null when another caller has it.
  using Hold = std::unique_ptr<ThreadPool, void (*)(ThreadPool*)>;
  Hold try_hold() {
    const bool free = !busy_.exchange(true, std::memory_order_acquire);
    return Hold(free ? this : nullptr,
                [](ThreadPool* pool) { pool->busy_.store(false, std::memory_order_release); });
  }

  // Starts threads until there are `workers`; returns how many of the wanted threads there are.
  int ensure(int workers) {
    const auto wanted = static_cast<size_t>(workers);
    try {
      workers_.reserve(wanted);
      while (workers_.size() < wanted) {
        auto worker = std::make_unique<Worker>();
        const SignalsBlocked signals_belong_to_the_host;
        const int rank = static_cast<int>(workers_.size()) + 1;
        std::thread([self = worker.get(), rank] { self->work(rank); }).detach();
        workers_.push_back(std::move(worker));
      }
    } catch (const std::system_error&) {
      // The system has no more threads: go on with those we have.
    }
    return static_cast<int>(std::min(wanted, workers_.size()));
  }

  void run(Job& job) {
    for (int rank = 1; rank < job.size; ++rank) workers_[rank - 1]->post(&job);
    job.run(0);
    if (current_pool.load() != this) return;  // a forked child: there is nobody to wait for
    for (int rank = 1; rank < job.size; ++rank) workers_[rank - 1]->wait_until_idle();
  }

 private:
  // The letter box in which a thread finds its next job.
  class alignas(64) Worker {
   public:
    void post(Job* job) {
      job_ = job;
      state_.store(kPosted, std::memory_order_release);
      state_.notify_one();
    }

    // Takes the job back from a worker that has not woken up yet; waits for one that has.
    void wait_until_idle() {
      int expected = kPosted;
      if (state_.compare_exchange_strong(expected, kIdle, std::memory_order_relaxed)) return;
      for (int i = 0; state_.load(std::memory_order_acquire) != kIdle; ++i) wait_a_little(i);
    }

    void work(int rank) {
      for (;;) {
        for (int i = 0; i < kIdleSpins && state_.load(std::memory_order_relaxed) == kIdle; ++i) {
          pause_briefly();
        }
        state_.wait(kIdle, std::memory_order_relaxed);
        int expected = kPosted;
        if (!state_.compare_exchange_strong(expected, kRunning, std::memory_order_acquire))
          continue;
        job_->run(rank);
        state_.store(kIdle, std::memory_order_release);
      }
    }

   private:
    static constexpr int kIdle = 0, kPosted = 1, kRunning = 2;
    std::atomic<int> state_{kIdle};
    Job* job_ = nullptr;
  };

  std::atomic<bool> busy_{false};
  std::vector<std::unique_ptr<Worker>> workers_;  // touched only by the caller that has the pool
};

void run_team(int threads, const std::function<void(Team&)>& body) {
  const auto pool = threads > 1 ? ThreadPool::instance().try_hold()
                                : ThreadPool::Hold(nullptr, [](ThreadPool*) {});
  Job job(pool ? 1 + pool->ensure(threads - 1) : 1, pool.get(), body);
  if (job.size == 1) {
    job.run(0);
  } else {
    pool->run(job);
  }
  job.rethrow();
}

void for_each_block(int64_t blocks, int threads, const std::function<void(int64_t)>& body) {
  if (blocks <= 0) return;
  run_team(static_cast<int>(std::min<int64_t>(threads, blocks)),
           [&](Team& team) { team.run(blocks, body); });
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
