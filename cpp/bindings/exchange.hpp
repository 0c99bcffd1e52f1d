// An exchange whose all_gather is a Python object's: any object with `rank`, `size` and
// `all_gather`, as makemore_cpp.MPIRanks has.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstdint>
#include <cstring>
#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include "base/check.hpp"
#include "gil.hpp"
#include "makemore/exchange.hpp"
#include "scalars.hpp"

namespace makemore::bindings {

class PyExchange : public Exchange {
 public:
  PyExchange(int64_t rank, int64_t size, py::object all_gather)
      : Exchange(rank, size), all_gather_(std::move(all_gather)) {}

  // Calls Python's all_gather(message, bytes) with a uint8 array and the number of its bytes that
  // each rank fills.  The array's memory is Python's, because the function may keep the array.
  void all_gather(void* data, const std::vector<int64_t>& bytes) override {
    const int64_t total = std::accumulate(bytes.begin(), bytes.end(), int64_t{0});
    const int64_t begin = std::accumulate(bytes.begin(), bytes.begin() + rank, int64_t{0});
    const int64_t end = begin + bytes[static_cast<size_t>(rank)];
    const GilAcquire gil;
    if (memory_.size() < total) memory_ = Bytes(total);
    Bytes message({total}, {int64_t{1}}, memory_.mutable_data(), memory_);
    py::tuple counts(bytes.size());
    for (size_t i = 0; i < bytes.size(); ++i) counts[i] = bytes[i];
    auto* const here = static_cast<uint8_t*>(data);
    uint8_t* const there = memory_.mutable_data();
    std::memcpy(there + begin, here + begin, static_cast<size_t>(end - begin));
    PyObject* const arguments[] = {message.ptr(), counts.ptr()};
    call(all_gather_, arguments, 2);
    std::memcpy(here, there, static_cast<size_t>(begin));
    std::memcpy(here + end, there + end, static_cast<size_t>(total - end));
  }

 private:
  using Bytes = py::array_t<uint8_t, py::array::c_style>;
  const py::object all_gather_;
  Bytes memory_;  // of the longest message so far
};

// The exchange by an object of Python; null for None.  TypeError or ArgumentError where one of its
// three members is wrong.
inline std::unique_ptr<PyExchange> exchange_of(py::handle ranks) {
  if (ranks.is_none()) return nullptr;
  const auto member = [&](const char* name) { return py::getattr(ranks, name, py::none()); };
  const int64_t size = integer("size of exchange", member("size"));
  constexpr int64_t kMaxRanks = 1 << 20;
  check_in_range("size of exchange", size, 1, kMaxRanks);
  const int64_t rank = integer("rank of exchange", member("rank"));
  check_in_range("rank of exchange", rank, 0, size - 1);
  py::object all_gather = member("all_gather");
  if (PyCallable_Check(all_gather.ptr()) == 0) {
    throw py::type_error("all_gather of exchange must be a function, not " + type_name(all_gather));
  }
  return std::make_unique<PyExchange>(rank, size, std::move(all_gather));
}

}  // namespace makemore::bindings
