// Preloaded, lets allocations fail: those of C++, and larger ones of C, as Python serves the small
// ones from what it has.  fail_allocation(k, n): the k-th from now on and n - 1 behind it.
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <new>

extern "C" {
void* __libc_malloc(size_t size);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* memory, size_t size);
}

namespace {

constexpr size_t kSmall = 512;
std::atomic<long> until_first{-1}, until_last{-1}, so_far{0};

bool fails() {
  const long number = so_far++;
  return until_first >= 0 && number >= until_first && number < until_last;
}

bool fails(size_t size) {
  if (size <= kSmall || !fails()) return false;
  errno = ENOMEM;
  return true;
}

}  // namespace

extern "C" {

void fail_allocation(long k, long n) {
  so_far = 0;
  until_last = k + n;
  until_first = k;
}

long allocations() { return so_far; }

void* malloc(size_t size) { return fails(size) ? nullptr : __libc_malloc(size); }

void* calloc(size_t count, size_t size) {
  return fails(count * size) ? nullptr : __libc_calloc(count, size);
}

void* realloc(void* memory, size_t size) {
  return fails(size) ? nullptr : __libc_realloc(memory, size);
}
}

void* operator new(size_t size) {
  void* const memory = fails() ? nullptr : __libc_malloc(size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
