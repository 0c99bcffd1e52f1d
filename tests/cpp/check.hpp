// The test harness of the C++ tests: named cases, counted checks.
#pragma once

#include <chrono>
#include <cstdio>
#include <exception>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace check {

struct Case {
  const char* name;
  std::function<void()> body;
};

inline std::vector<Case>& cases() {
  static std::vector<Case> all;
  return all;
}

inline int failures = 0;
inline long checks = 0;

struct Register {
  Register(const char* name, std::function<void()> body) {
    cases().push_back({name, std::move(body)});
  }
};

inline void expect(bool ok, const std::string& sentence, const char* file, int line) {
  ++checks;
  if (ok) return;
  if (++failures <= 50) std::printf("%s:%d: %s\n", file, line, sentence.c_str());
}

// Runs every case and returns the exit code of main.
inline int run() {
  for (const Case& test : cases()) {
    const int before = failures;
    const auto begin = std::chrono::steady_clock::now();
    try {
      test.body();
    } catch (const std::exception& error) {
      ++failures;
      std::printf("%s: unexpected exception: %s\n", test.name, error.what());
    }
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    std::printf("%-90s %s %6.2f s\n", test.name, failures == before ? "ok" : "FAILED",
                seconds.count());
  }
  std::printf("%zu cases, %ld checks, %d failures\n", cases().size(), checks, failures);
  return failures == 0 && checks > 0 ? 0 : 1;
}

}  // namespace check

#define CHECK_CONCAT_(a, b) a##b
#define CHECK_CONCAT(a, b) CHECK_CONCAT_(a, b)
#define TEST_CASE(name)                                            \
  static void CHECK_CONCAT(test_body_, __LINE__)();                \
  static const check::Register CHECK_CONCAT(test_case_, __LINE__)( \
      name, CHECK_CONCAT(test_body_, __LINE__));                   \
  static void CHECK_CONCAT(test_body_, __LINE__)()

#define EXPECT(condition) check::expect((condition), "expected " #condition, __FILE__, __LINE__)
#define EXPECT_THAT(condition, sentence) check::expect((condition), (sentence), __FILE__, __LINE__)

// Expects `expression` to throw an `exception` whose sentence contains `part`.
#define EXPECT_THROWS(expression, exception, part)                                               \
  try {                                                                                          \
    (void)(expression);                                                                          \
    check::expect(false, "expected " #exception " from " #expression, __FILE__, __LINE__);       \
  } catch (const exception& error) {                                                             \
    check::expect(std::string(error.what()).find(part) != std::string::npos,                     \
                  std::string("the sentence lacks '") + (part) + "': " + error.what(), __FILE__, \
                  __LINE__);                                                                     \
  }
