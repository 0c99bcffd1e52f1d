// Vocabulary and SavedModel for Python: str and NumPy arrays in, str and NumPy arrays out.
#include <pybind11/numpy.h>
#include <pybind11/operators.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>  // lists of str, optional

#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "arrays.hpp"
#include "bindings.hpp"
#include "makemore/error.hpp"
#include "makemore/model_file.hpp"
#include "makemore/vocabulary.hpp"

namespace makemore::bindings {

using namespace py::literals;

namespace {

// -- text ---------------------------------------------------------------------------------------

std::string type_name(py::handle object) { return Py_TYPE(object.ptr())->tp_name; }

std::string element(const char* name, size_t index) {
  return std::string(name) + "[" + std::to_string(index) + "]";
}

// The UTF-8 of a str, which lives as long as the str; `name` is what errors call it.
std::string_view utf8_of(py::handle text, const std::string& name) {
  if (!PyUnicode_Check(text.ptr())) {
    throw py::type_error(name + " must be a str, got " + type_name(text));
  }
  Py_ssize_t bytes = 0;
  if (const char* utf8 = PyUnicode_AsUTF8AndSize(text.ptr(), &bytes)) {
    return {utf8, static_cast<size_t>(bytes)};
  }
  const py::error_already_set reason;
  for (Py_ssize_t i = 0; i < PyUnicode_GetLength(text.ptr()); ++i) {
    const Py_UCS4 code_point = PyUnicode_ReadChar(text.ptr(), i);
    if (code_point < 0xD800 || code_point > 0xDFFF) continue;
    char shown[16];
    std::snprintf(shown, sizeof shown, "U+%04X", static_cast<unsigned>(code_point));
    throw ArgumentError(name + " has the lone surrogate " + shown + " at position " +
                        std::to_string(i) + ", which is not a character");
  }
  throw reason;  // out of memory
}

std::vector<std::string> strings_of(const py::object& texts, const char* name) {
  std::vector<std::string> strings;
  for (const py::handle text : py::list(texts)) {
    strings.emplace_back(utf8_of(text, element(name, strings.size())));
  }
  return strings;
}

template <typename T>
py::array_t<T> array_of(const std::vector<T>& values) {
  return py::array_t<T>(static_cast<py::ssize_t>(values.size()), values.data());
}

py::tuple encode_many(const Vocabulary& vocabulary, const py::object& texts) {
  if (PyUnicode_Check(texts.ptr())) {
    throw py::type_error("texts must be a sequence of str, not one str");
  }
  std::vector<int32_t> tokens;
  std::vector<int64_t> offsets{0};
  for (const py::handle text : py::list(texts)) {
    const std::string place = element("texts", offsets.size() - 1);
    const std::string_view utf8 = utf8_of(text, place);
    try {
      const std::vector<int32_t> encoded = vocabulary.encode(utf8);
      tokens.insert(tokens.end(), encoded.begin(), encoded.end());
    } catch (const ArgumentError& error) {
      throw ArgumentError(place + ": " + error.what());
    }
    offsets.push_back(static_cast<int64_t>(tokens.size()));
  }
  return py::make_tuple(array_of(tokens), array_of(offsets));
}

std::string decode(const Vocabulary& vocabulary, const py::object& tokens) {
  // NumPy would take an empty list for one of floats.
  if (py::isinstance<py::list>(tokens) && py::len(tokens) == 0) return "";
  return vocabulary.decode(tokens_of("tokens", tokens, {kAny}, vocabulary.size()).copy());
}

// -- the saved model ----------------------------------------------------------------------------

std::vector<float> copy_of(const char* name, const py::object& value, const Shape& shape) {
  const FloatArray array = float_input(name, value, shape);
  return {array.data(), array.data() + array.size()};
}

py::array_t<float> array_of(const std::vector<float>& values, const Shape& shape) {
  return py::array_t<float>(shape, values.data());
}

DataOrigin data_origin(const py::object& object) {
  if (!py::isinstance<py::tuple>(object) || py::len(object) != 3) {
    throw ArgumentError("data must be a tuple (name, sha256, split_seed) or None, got " +
                        type_name(object));
  }
  const py::tuple data = object;
  DataOrigin origin;
  origin.name = utf8_of(data[0], "the name of the data");
  origin.sha256 = utf8_of(data[1], "the sha256 of the data");
  if (!data[2].is_none()) origin.split_seed = seed_of("split_seed", data[2]);
  return origin;
}

SavedModel make_model(const Vocabulary& vocabulary, const py::object& C, const py::object& W1,
                      const py::object& b1, const py::object& W2, const py::object& b2,
                      const py::object& data) {
  const int64_t V = vocabulary.size();
  const int64_t E = float_input("C", C, {V, kAny}).shape(1);
  const FloatArray hidden = float_input("W1", W1, {kAny, kAny});
  const int64_t K = hidden.shape(0), H = hidden.shape(1);
  if (E == 0 || K % E != 0) {
    throw ArgumentError("W1 has " + std::to_string(K) +
                        " rows, which is not a multiple of the embedding size " +
                        std::to_string(E) + " of C");
  }
  const Sizes sizes{.block_size = K / E, .n_embd = E, .n_hidden = H, .vocab_size = V};
  check_sizes(sizes);
  SavedModel model{.sizes = sizes, .vocabulary = vocabulary, .parameters = {}, .data = {}};
  model.parameters.C = copy_of("C", C, {V, E});
  model.parameters.W1 = copy_of("W1", W1, {K, H});
  model.parameters.b1 = copy_of("b1", b1, {H});
  model.parameters.W2 = copy_of("W2", W2, {H, V});
  model.parameters.b2 = copy_of("b2", b2, {V});
  if (!data.is_none()) model.data = data_origin(data);
  check_model(model);
  return model;
}

py::tuple parameters(const SavedModel& model) {
  const auto [T, E, H, V] = model.sizes;
  const ParameterArrays& arrays = model.parameters;
  return py::make_tuple(array_of(arrays.C, {V, E}), array_of(arrays.W1, {T * E, H}),
                        array_of(arrays.b1, {H}), array_of(arrays.W2, {H, V}),
                        array_of(arrays.b2, {V}));
}

py::object data_tuple(const SavedModel& model) {
  if (!model.data) return py::none();
  return py::make_tuple(model.data->name, model.data->sha256, model.data->split_seed);
}

// str or os.PathLike, in the encoding of the file system.
std::string path_of(const py::object& path) {
  PyObject* bytes = nullptr;
  if (!PyUnicode_FSConverter(path.ptr(), &bytes)) {
    const py::error_already_set reason;
    if (!reason.matches(PyExc_ValueError)) throw reason;  // it is no path at all
    const auto shown = py::reinterpret_steal<py::str>(PyObject_ASCII(path.ptr()));
    throw ArgumentError("path " + std::string(shown) + " is not one that a file can have");
  }
  return py::reinterpret_steal<py::bytes>(bytes);
}

py::bytes to_bytes(const SavedModel& model) {
  std::string bytes;
  {
    const py::gil_scoped_release release;
    bytes = model_to_bytes(model);
  }
  return py::bytes(bytes);
}

SavedModel from_bytes(const py::bytes& data, const py::object& name) {
  const std::string_view bytes = data;
  const std::string file(utf8_of(name, "name"));
  const py::gil_scoped_release release;
  return model_from_bytes(bytes, file);
}

void save(const SavedModel& model, const py::object& path) {
  const std::string file = path_of(path);
  const py::gil_scoped_release release;
  save_model(file, model);
}

SavedModel load(const py::object& path) {
  const std::string file = path_of(path);
  const py::gil_scoped_release release;
  return load_model(file);
}

std::string repr(const SavedModel& model) {
  const auto [T, E, H, V] = model.sizes;
  return "<SavedModel block_size=" + std::to_string(T) + " n_embd=" + std::to_string(E) +
         " n_hidden=" + std::to_string(H) + " vocab_size=" + std::to_string(V) + ">";
}

}  // namespace

void bind_text(py::module_& m) {
  py::class_<Vocabulary>(m, "Vocabulary", "Text to tokens and back; token 0 is the boundary.")
      .def(py::init([](const py::object& characters, const py::object& boundary) {
             return Vocabulary(strings_of(characters, "characters"),
                               std::string(utf8_of(boundary, "boundary")));
           }),
           "characters"_a, "boundary"_a = ".")
      .def_property_readonly("characters", &Vocabulary::characters)
      .def_property_readonly("boundary", &Vocabulary::boundary)
      .def("__len__", &Vocabulary::size)
      .def(py::self == py::self)
      .def("__repr__",
           [](const Vocabulary& vocabulary) {
             return "<Vocabulary of " + std::to_string(vocabulary.size()) + " tokens, boundary " +
                    std::string(py::repr(py::str(vocabulary.boundary()))) + ">";
           })
      .def(
          "encode",
          [](const Vocabulary& vocabulary, const py::object& text) {
            return array_of(vocabulary.encode(utf8_of(text, "text")));
          },
          "text"_a)
      .def("encode_many", &encode_many, "texts"_a,
           "The tokens of all texts in one array, and offsets (n + 1,) of where each begins.")
      .def("decode", &decode, "tokens"_a);

  py::class_<SavedModel>(m, "SavedModel", "An immutable copy of a model, as its file holds it.")
      .def(py::init(&make_model), "vocabulary"_a, "C"_a, "W1"_a, "b1"_a, "W2"_a, "b2"_a,
           "data"_a = py::none())
      .def_property_readonly("vocabulary", [](const SavedModel& model) { return model.vocabulary; })
      .def_property_readonly("block_size",
                             [](const SavedModel& model) { return model.sizes.block_size; })
      .def_property_readonly("parameters", &parameters, "New arrays C, W1, b1, W2, b2.")
      .def_property_readonly("data", &data_tuple)
      .def("__repr__", &repr)
      .def("to_bytes", &to_bytes)
      .def_static("from_bytes", &from_bytes, "data"_a, "name"_a = "bytes")
      .def("save", &save, "path"_a)
      .def_static("load", &load, "path"_a);
}

}  // namespace makemore::bindings
