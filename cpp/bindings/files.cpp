// The core's atomic writer for Python.
#include <string>
#include <string_view>

#include "bindings.hpp"
#include "file_io.hpp"
#include "gil.hpp"
#include "saved_model.hpp"

namespace makemore::bindings {

using namespace py::literals;

namespace {

void write_file(const py::object& path, const py::object& data) {
  if (!PyBytes_Check(data.ptr())) {
    throw py::type_error("data must be bytes, not " + type_name(data));
  }
  const std::string file = path_of(path);
  const std::string_view bytes = py::reinterpret_borrow<py::bytes>(data);
  const GilRelease release;
  write_file_atomically(file, bytes);
}

}  // namespace

void bind_files(py::module_& m) {
  m.def("write_file", &write_file, "path"_a, "data"_a,
        R"(Make a file hold `data`, atomically and durably.

The new file has the permissions of the one that it replaces.  A symbolic link stays, and the file
that it leads to is replaced or made.

Raises
------
FileError
    The path leads to what is not a regular file, or the system refuses; an older file is as it was.)");
}

}  // namespace makemore::bindings
