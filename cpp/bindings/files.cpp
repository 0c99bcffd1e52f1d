// Files for Python: the atomic writer, and the strict file of named arrays and one text.
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "arrays.hpp"
#include "base/utf8.hpp"
#include "bindings.hpp"
#include "files/file_io.hpp"
#include "files/tensor_file.hpp"
#include "gil.hpp"
#include "makemore/error.hpp"

namespace makemore::bindings {

using namespace py::literals;

namespace {

void write_file(const py::object& path, const py::object& data) {
  const std::string file = path_of(path);
  const std::string_view bytes = bytes_argument("data", data);
  const GilRelease release;
  write_file_atomically(file, bytes);
}

Number number_of(const std::string& name, const py::array& array) {
  const std::string dtype = py::str(array.dtype());
  const std::optional<Number> number = number_named(dtype);
  if (number) return *number;
  throw py::type_error("tensors['" + show_text(name) + "'] holds " + dtype +
                       ", which is none of float32, float64, int32, int64 and uint8");
}

py::bytes write_tensors(const py::object& metadata, const py::object& tensors) {
  const py::dict given = dict_of_arrays("tensors", tensors);
  TensorFile file;
  file.metadata = text("metadata", metadata);
  std::vector<py::array> arrays;  // the file refers to their data
  for (const auto& [key, value] : given) {
    const std::string name(text("the name of a tensor", key));
    if (!py::isinstance<py::array>(value)) {
      throw py::type_error("tensors['" + show_text(name) + "'] must be an array, not " +
                           type_name(value));
    }
    const auto array = py::reinterpret_borrow<py::array>(value);
    const Number number = number_of(name, array);
    arrays.push_back(py::array::ensure(array, py::array::c_style));
    const auto* const data = static_cast<const char*>(arrays.back().data());
    file.tensors.push_back(
        {name, number, shape_of(array), {data, static_cast<size_t>(arrays.back().nbytes())}});
  }
  std::string bytes;
  {
    const GilRelease release;
    bytes = to_bytes(file);
  }
  return py::bytes(bytes);
}

// The metadata and a dict of new arrays.
py::tuple unpacked(const TensorFile& file) {
  py::dict tensors;
  for (const Tensor& tensor : file.tensors) {
    py::array array(py::dtype(name_of(tensor.number)), tensor.shape);
    tensor.data.copy(static_cast<char*>(array.mutable_data()), tensor.data.size());
    tensors[py::str(tensor.name)] = std::move(array);
  }
  return py::make_tuple(file.metadata, std::move(tensors));
}

py::tuple read_tensors(const py::object& data, const py::object& name) {
  const std::string_view bytes = bytes_argument("data", data);
  const std::string file(text("name", name));
  TensorFile tensors;
  {
    const GilRelease release;
    tensors = reading(file, [bytes] { return tensors_from_bytes(bytes); });
  }
  return unpacked(tensors);
}

py::bytes read_file_of_tensors(const py::object& path) {
  const std::string file = path_of(path);
  std::string bytes;
  {
    const GilRelease release;
    bytes = reading(file, [&file] { return read_tensor_file(file); });
  }
  return py::bytes(bytes);
}

}  // namespace

void bind_files(py::module_& m) {
  m.def("write_file", &write_file, "path"_a, "data"_a, "See makemore_cpp.files.replace.");
  m.def(
      "write_tensors", &write_tensors, "metadata"_a, "tensors"_a,
      R"(Return the bytes of a safetensors file of named arrays and one text, with a digest of all.

The same content always gives the same bytes.

Parameters
----------
metadata : str
    A JSON object with members, in the canonical form.
tensors : dict of arrays
    float32, float64, int32, int64 or uint8; floats are finite.

Raises
------
ArgumentError
    A number is not finite, or the metadata are no object.)");
  m.def("read_tensors", &read_tensors, "data"_a, "name"_a = "bytes",
        R"(Return the text and the arrays from bytes that `write_tensors` returned.

Errors call the bytes `name`.

Raises
------
FormatError
    `write_tensors` did not make the bytes, or they were changed.)");
  m.def("read_tensor_file", &read_file_of_tensors, "path"_a,
        R"(Return the bytes of a file that `write_tensors` made, as many as its header says.

Raises
------
FileError
    The file cannot be read.
FormatError
    The file does not begin with the header of such a file.)");
}

}  // namespace makemore::bindings
