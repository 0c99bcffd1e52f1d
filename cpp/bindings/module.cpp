// The module's table of contents.
#include "bindings.hpp"

PYBIND11_MODULE(_core, m) {
  using namespace makemore::bindings;
  m.doc() = "The compiled core of makemore_cpp; python/makemore_cpp/_core.pyi describes it.";
  m.attr("__version__") = MAKEMORE_VERSION;
  bind_errors(m);
  bind_machine(m);
  bind_random(m);
  bind_ops(m);
  bind_model(m);
  bind_vocabulary(m);
  bind_files(m);
  bind_saved_model(m);
  bind_language_model(m);
}
