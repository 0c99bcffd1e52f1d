// The pool: every block once, barriers that hold, exceptions that arrive, callers that do not wait.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <stdexcept>
#include <thread>
#include <vector>

#include "check.hpp"
#include "makemore/error.hpp"
#include "makemore/machine.hpp"
#include "thread_pool.hpp"

using namespace makemore;

TEST_CASE("for_each_block calls every block once, with any number of threads") {
  for (const int threads : {0, 1, 2, 7}) {
    for (const int64_t blocks : {0, 1, 2, 3, 16, 100}) {
      std::vector<std::atomic<int>> calls(100);
      for_each_block(blocks, threads, [&](int64_t block) { ++calls[size_t(block)]; });
      for (int64_t i = 0; i < 100; ++i) EXPECT(calls[size_t(i)] == (i < blocks ? 1 : 0));
    }
  }
}

TEST_CASE("between two barriers every thread sees what the others wrote") {
  for (const int threads : {2, 7}) {
    run_team(threads, [](Team& team) {
      static std::vector<int> written;
      if (team.rank() == 0) written.assign(size_t(team.size()), -1);
      team.barrier();
      for (int round = 0; round < 300; ++round) {
        written[size_t(team.rank())] = round;
        team.barrier();
        for (const int value : written) {
          if (value != round) throw std::runtime_error("a barrier leaked");
        }
        team.barrier();
      }
    });
    EXPECT(true);
  }
}

TEST_CASE("an exception of any rank reaches the caller and frees the others") {
  for (int thrower = 0; thrower < 3; ++thrower) {
    for (int repeat = 0; repeat < 20; ++repeat) {
      EXPECT_THROWS(run_team(3,
                             [&](Team& team) {
                               team.barrier();
                               if (team.rank() == thrower)
                                 throw std::runtime_error("from a worker");
                               for (int i = 0; i < 3; ++i) team.barrier();
                             }),
                    std::runtime_error, "from a worker");
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

#if !defined(__SANITIZE_THREAD__)  // which does not follow threads into a fork
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
#endif

TEST_CASE("the number of threads is checked") {
  EXPECT(checked_threads(0) == available_threads());
  EXPECT(checked_threads(7) == 7);
  EXPECT_THROWS(checked_threads(-1), ArgumentError, "threads = -1");
  EXPECT_THROWS(checked_threads(100'000), ArgumentError, "threads = 100000");
}

int main() { return check::run(); }
