// The pool: every task once, phases that hold, exceptions that arrive, callers that do not wait.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <stdexcept>
#include <thread>
#include <vector>

#include "base/thread_pool.hpp"
#include "check.hpp"
#include "makemore/error.hpp"
#include "makemore/machine.hpp"

using namespace makemore;

TEST_CASE("for_each_block calls every block once, with any number of threads") {
  for (const int threads : {1, 2, 7}) {
    for (const int64_t blocks : {0, 1, 2, 3, 16, 64}) {
      std::vector<std::atomic<int>> calls(64);
      for_each_block(blocks, threads, [&](int64_t block) { ++calls[size_t(block)]; });
      for (int64_t i = 0; i < 64; ++i) EXPECT(calls[size_t(i)] == (i < blocks ? 1 : 0));
    }
  }
}

TEST_CASE("a phase begins when all tasks of the one before it are done, and sees their work") {
  for (const int threads : {1, 2, 7}) {
    std::vector<int> written(5, -1);
    std::atomic<int> leaks{0};
    run_team(threads, [&](Team& team) {
      for (int round = 0; round < 300; ++round) {
        team.run(5, [&](int64_t task) { written[size_t(task)] = round; });
        team.run(3, [&](int64_t) {
          for (const int value : written) leaks += value != round;
        });
      }
    });
    EXPECT(leaks == 0 && written[4] == 299);
  }
}

TEST_CASE("a late owner's tasks are done by others, but for those that are its own") {
  std::atomic<int> done_by_caller{0}, own_done_by_caller{0};
  std::atomic<bool> late{true};
  run_team(2, [&](Team& team) {
    if (team.size() == 1) return;  // no second thread to be had
    while (team.rank() == 1 && late) std::this_thread::yield();
    team.run(2, [&](int64_t) { done_by_caller += team.rank() == 0; });
    late = false;
    team.run(2, [&](int64_t task) { own_done_by_caller += team.rank() == 0 && task == 1; }, 2);
  });
  EXPECT(done_by_caller == 2 && own_done_by_caller == 0);
}

TEST_CASE("task 0 belongs to the calling thread, with any number of tasks and threads") {
  for (const int threads : {1, 2, 3, 7}) {
    for (const int64_t tasks : {1, 2, 5, 16}) {
      std::thread::id who;
      run_team(threads, [&](Team& team) {
        team.run(
            tasks,
            [&](int64_t task) {
              if (task == 0) who = std::this_thread::get_id();
            },
            tasks);
      });
      EXPECT(who == std::this_thread::get_id());
    }
  }
}

TEST_CASE("an exception of any rank reaches the caller and frees the others") {
  for (int thrower = 0; thrower < 3; ++thrower) {
    for (int repeat = 0; repeat < 20; ++repeat) {
      EXPECT_THROWS(run_team(3,
                             [&](Team& team) {
                               team.run(3, [](int64_t) {});
                               team.run(
                                   3,
                                   [&](int64_t task) {
                                     if (task == thrower) throw std::runtime_error("from a task");
                                   },
                                   3);
                               team.run(3, [](int64_t) {});
                             }),
                    std::runtime_error, "from a task");
    }
  }
}

TEST_CASE("a job inside a job, and jobs from several callers, run all the same") {
  std::atomic<int> calls{0};
  for_each_block(4, 2, [&](int64_t) { for_each_block(4, 2, [&](int64_t) { ++calls; }); });
  EXPECT(calls == 16);
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i) {
    callers.emplace_back([&] {
      for (int j = 0; j < 200; ++j) for_each_block(3, 2, [&](int64_t) { ++calls; });
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT(calls == 16 + 4 * 200 * 3);
}

#if !defined(__SANITIZE_THREAD__)  // the thread sanitizer does not follow threads into a fork
TEST_CASE("a child of fork has a pool of its own") {
  for_each_block(4, 2, [](int64_t) {});
  const pid_t child = fork();
  if (child == 0) {
    std::atomic<int> calls{0};
    for_each_block(4, 2, [&](int64_t) { ++calls; });
    _exit(calls == 4 ? 0 : 1);
  }
  int status = -1;
  EXPECT(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

TEST_CASE("a child that was forked inside a job leaves it with an error") {
  for (const int fork_in : {0, 3}) {  // while the other thread has a task, and afterwards
    pid_t child = -1;
    int phases = 0;
    try {
      run_team(2, [&](Team& team) {
        for (int phase = 0; phase < 10; ++phase) {
          team.run(
              2,
              [&](int64_t task) {
                if (task == 0 && phase == fork_in) child = fork();
                if (task == 1 && phase == 0) usleep(20'000);
              },
              1);
          if (team.rank() == 0) ++phases;
        }
      });
    } catch (const Error& error) {
      if (child != 0) throw;
      const bool said = std::string(error.what()).find("forked") != std::string::npos;
      std::atomic<int> calls{0};
      for_each_block(4, 2, [&](int64_t) { ++calls; });  // with threads of its own
      _exit(said && calls == 4 ? 0 : 1);
    }
    if (child == 0) _exit(2);
    EXPECT(phases == 10);
    int status = -1;
    EXPECT(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
}
#endif

TEST_CASE("the number of threads is checked") {
  EXPECT(checked_threads(0) == available_threads());
  EXPECT(checked_threads(7) == 7);
  EXPECT_THROWS(checked_threads(-1), ArgumentError, "threads = -1");
  EXPECT_THROWS(checked_threads(100'000), ArgumentError, "threads = 100000");
}

TEST_CASE("a thing's owner is the rank in whose part it is") {
  for (int64_t n = 0; n < 40; ++n) {
    for (int64_t size = 1; size < 20; ++size) {
      int64_t begin = 0;
      for (int64_t rank = 0; rank < size; ++rank) {
        const Range part = share_of(n, rank, size);
        EXPECT(part.begin == begin);
        for (int64_t i = part.begin; i < part.end; ++i) EXPECT(owner_of(i, n, size) == rank);
        begin = part.end;
      }
      EXPECT(begin == n);
    }
  }
}

int main() { return check::run(); }
