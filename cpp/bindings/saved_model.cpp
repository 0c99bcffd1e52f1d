// SavedModel for Python: NumPy arrays in and out, and the bytes of its file.
#include <pybind11/stl.h>  // optional

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "arrays.hpp"
#include "bindings.hpp"
#include "classes.hpp"
#include "gil.hpp"
#include "makemore/error.hpp"
#include "makemore/model_file.hpp"
#include "parameters.hpp"

namespace makemore::bindings {

using namespace py::literals;

namespace {

DataOrigin data_origin(const py::object& object) {
  if (!py::isinstance<py::tuple>(object) || py::len(object) != 3) {
    throw ArgumentError("data must be a tuple (name, sha256, split_seed) or None, got " +
                        type_name(object));
  }
  const py::tuple data = object;
  DataOrigin origin;
  origin.name = text("the name of the data", data[0]);
  origin.sha256 = text("the sha256 of the data", data[1]);
  if (!data[2].is_none()) origin.split_seed = seed_of("split_seed", data[2]);
  return origin;
}

ParameterArrays copies_of(const ParameterArguments& p) {
  ParameterArrays copies;
  for (size_t i = 0; i < kParameters.size(); ++i) {
    const FloatArray& array = *p.arrays.all()[i];
    copies.all()[i]->assign(array.data(), array.data() + array.size());
  }
  return copies;
}

py::tuple arrays_of(const ParameterArrays& arrays, const Sizes& sizes) {
  PerParameter<FloatArray> copies = new_parameters(sizes);
  for (size_t i = 0; i < kParameters.size(); ++i) {
    std::ranges::copy(*arrays.all()[i], copies.all()[i]->mutable_data());
  }
  return tuple_of(copies);
}

SavedModel make_model(const py::object& vocabulary, const py::object& C, const py::object& W1,
                      const py::object& b1, const py::object& W2, const py::object& b2,
                      const py::object& data) {
  const auto& of_tokens = object_of<Vocabulary>("vocabulary", vocabulary);
  const ParameterArguments p = parameters_of(float_input, {C, W1, b1, W2, b2}, of_tokens.size());
  SavedModel model{.sizes = p.sizes, .vocabulary = of_tokens, .parameters = {}, .data = {}};
  model.parameters = copies_of(p);
  if (!data.is_none()) model.data = data_origin(data);
  check_model(model);
  return model;
}

py::tuple parameters(const SavedModel& model) { return arrays_of(model.parameters, model.sizes); }

py::object data_tuple(const SavedModel& model) {
  if (!model.data) return py::none();
  return py::make_tuple(model.data->name, model.data->sha256, model.data->split_seed);
}

py::bytes to_bytes(const SavedModel& model) {
  std::string bytes;
  {
    const GilRelease release;
    bytes = model_to_bytes(model);
  }
  return py::bytes(bytes);
}

SavedModel from_bytes(const py::object& data, const py::object& name) {
  const std::string_view bytes = bytes_argument("data", data);
  const std::string file(text("name", name));
  const GilRelease release;
  return model_from_bytes(bytes, file);
}

void save(const SavedModel& model, const py::object& path) {
  const std::string file = path_of(path);
  const GilRelease release;
  save_model(file, model);
}

SavedModel load(const py::object& path) {
  const std::string file = path_of(path);
  const GilRelease release;
  return load_model(file);
}

std::string repr(const SavedModel& model) {
  const auto [T, E, H, V, is_direct] = model.sizes;
  return "<SavedModel block_size=" + std::to_string(T) + " n_embd=" + std::to_string(E) +
         " n_hidden=" + std::to_string(H) + " vocab_size=" + std::to_string(V) +
         (is_direct ? " direct>" : ">");
}

}  // namespace

void bind_saved_model(py::module_& m) {
  auto saved_model =
      class_of<SavedModel>(m, "SavedModel", R"(An immutable copy of a model, as its file holds it.

Parameters
----------
vocabulary : Vocabulary
    It has V tokens.
C, W1, b1, W2, b2 : float32 arrays, shapes (V,E), (K,H), (H,), (F,V), (V,)
    The parameters, which are copied.  K is a multiple of E.
data : tuple (name, sha256, split_seed), optional
    The origin of the training data: a str, 64 hexadecimal digits, and an integer or None.

Raises
------
ArgumentError
    The shapes do not fit each other and the vocabulary, or a parameter is not finite.)");
  def_init(saved_model, &make_model, "vocabulary"_a, "C"_a, "W1"_a, "b1"_a, "W2"_a, "b2"_a,
           "data"_a = py::none());
  saved_model
      .def_property_readonly(
          "vocabulary", [](const SavedModel& model) { return model.vocabulary; },
          "A copy of the vocabulary.")
      .def_property_readonly(
          "block_size", [](const SavedModel& model) { return model.sizes.block_size; },
          "T = K / E, the number of tokens in a context.")
      .def_property_readonly("parameters", &parameters, "New arrays C, W1, b1, W2, b2.")
      .def_property_readonly("data", &data_tuple, "(name, sha256, split_seed), or None.")
      .def("__repr__", &repr)
      .def("to_bytes", &to_bytes,
           "Return the bytes of the model's file; the same model always gives the same.")
      .def_static("from_bytes", &from_bytes, "data"_a, "name"_a = "bytes",
                  R"(Return the model of a file's bytes; errors call the bytes `name`.

Raises
------
FormatError
    The bytes are not a model's, or were changed.)")
      .def("save", &save, "path"_a, "Write the file as `write_file` does.")
      .def_static("load", &load, "path"_a, R"(Return the model of a file.

Raises
------
FileError
    The file cannot be read.
FormatError
    Its bytes are not a model's, or were changed.)");
}

}  // namespace makemore::bindings
