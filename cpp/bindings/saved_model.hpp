// What the bindings of the model file and of the checkpoint share.
#pragma once

#include <string>
#include <string_view>

#include "gil.hpp"
#include "makemore/model.hpp"
#include "parameters.hpp"
#include "scalars.hpp"

namespace makemore::bindings {

// str or os.PathLike, in the encoding of the file system.
std::string path_of(const py::object& path);

// From NumPy's arrays and back.
ParameterArrays copies_of(const ParameterArguments& arguments);
py::tuple arrays_of(const ParameterArrays& arrays, const Sizes& sizes);

// The methods of a class that has a file, each by the core's function for it.
template <typename Content, std::string (*write)(const Content&)>
py::bytes to_bytes(const Content& content) {
  std::string bytes;
  {
    const GilRelease release;
    bytes = write(content);
  }
  return py::bytes(bytes);
}

template <typename Content, Content (*read)(std::string_view, const std::string&)>
Content from_bytes(const py::object& data, const py::object& name) {
  if (!PyBytes_Check(data.ptr())) {
    throw py::type_error("data must be bytes, not " + type_name(data));
  }
  const std::string_view bytes = py::reinterpret_borrow<py::bytes>(data);
  const std::string file(text("name", name));
  const GilRelease release;
  return read(bytes, file);
}

template <typename Content, void (*write_file)(const std::string&, const Content&)>
void save(const Content& content, const py::object& path) {
  const std::string file = path_of(path);
  const GilRelease release;
  write_file(file, content);
}

template <typename Content, Content (*read_file)(const std::string&)>
Content load(const py::object& path) {
  const std::string file = path_of(path);
  const GilRelease release;
  return read_file(file);
}

}  // namespace makemore::bindings
