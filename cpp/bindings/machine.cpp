// build_info and how_cut.
#include "makemore/machine.hpp"

#include <pybind11/stl.h>

#include "arrays.hpp"
#include "base/dispatch.hpp"
#include "bindings.hpp"
#include "gil.hpp"

namespace makemore::bindings {

namespace {

py::dict build_info() {
  py::dict isa;
  isa["built"] = isas_built();
  isa["found"] = isas_found();
  isa["used"] = isa_used();
  py::dict info;
  info["version"] = MAKEMORE_VERSION;
#if defined(__clang__)
  info["compiler"] = "clang " __clang_version__;
#else
  info["compiler"] = "gcc " __VERSION__;
#endif
  info["pybind11"] =
      std::to_string(PYBIND11_VERSION_MAJOR) + "." + std::to_string(PYBIND11_VERSION_MINOR);
  info["isa"] = isa;
  info["threads"] = available_threads();
  return info;
}

py::dict how_cut(py::object batch_size, py::object block_size, py::object n_embd,
                 py::object n_hidden, py::object vocab_size, py::object direct) {
  const Sizes sizes{integer("block_size", block_size), integer("n_embd", n_embd),
                    integer("n_hidden", n_hidden), integer("vocab_size", vocab_size),
                    flag("direct", direct)};
  const StepCut cut = cut_step(integer("batch_size", batch_size), sizes);
  py::dict result;
  result["hidden_blocks"] = cut.hidden_blocks;
  result["token_groups"] = cut.token_groups;
  result["tile_tokens"] = cut.tile_tokens;
  result["chunk_rows"] = cut.chunk_rows;
  return result;
}

}  // namespace

void bind_machine(py::module_& m) {
  m.def("build_info", &build_info,
        R"(Return the version and compiler of this build and what it uses of this machine.

Returns
-------
dict
    version, compiler, pybind11 : str.  isa : dict of built and found (lists of names, best last)
    and used.  threads : int, the CPUs that this process may use.

Raises
------
ArgumentError
    The environment variable MAKEMORE_ISA names a set that this build or machine does not have.)");
  m.def("how_cut", &how_cut, py::arg("batch_size"), py::arg("block_size"), py::arg("n_embd"),
        py::arg("n_hidden"), py::arg("vocab_size"), py::arg("direct") = false,
        R"(Return how a training step of this shape is cut, which the threads never change.

Returns
-------
dict
    hidden_blocks : list of int, the hidden units of each block.  token_groups : list of int, the
    tokens of each group of the output layer, which is cut along tokens where there are many;
    empty where it is cut along the hidden units instead.  tile_tokens : int, at most so many
    tokens of a group stay in cache together; 0 without groups.  chunk_rows : int, the examples
    that go through the net together.

Raises
------
ArgumentError
    A size is not positive or too large.)");
  m.def(
      "_peak_operations",
      [](int64_t rounds) {
        float sink[2] = {0.5f, 0.25f};
        const GilRelease release;
        return kernels().peak(sink, rounds);
      },
      py::arg("rounds"),
      "Do floating-point operations at the machine's peak and return how many; for benchmarks.");
  m.def("_set_isa", &use_isa, py::arg("name"),
        "Switch the process to an instruction set; for tests and benchmarks.");
}

}  // namespace makemore::bindings
