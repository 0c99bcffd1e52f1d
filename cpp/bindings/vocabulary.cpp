// Vocabulary for Python: it takes str and returns NumPy arrays, and the other way round.
#include "makemore/vocabulary.hpp"

#include <pybind11/operators.h>
#include <pybind11/stl.h>  // lists of str

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "arrays.hpp"
#include "bindings.hpp"
#include "classes.hpp"
#include "strings.hpp"

namespace makemore::bindings {

using namespace py::literals;

namespace {

std::string element(const char* name, size_t index) {
  return std::string(name) + "[" + std::to_string(index) + "]";
}

std::vector<std::string> strings_of(const py::object& texts, const char* name) {
  std::vector<std::string> strings;
  Elements elements(name, texts);
  while (elements.next()) {
    strings.emplace_back(text(element(name, strings.size()), elements.value()));
  }
  return strings;
}

Vocabulary make_vocabulary(const py::object& tokens, const py::object& boundary,
                           const py::object& separator, const py::object& unknown) {
  std::optional<std::string> stand_in;
  if (!unknown.is_none()) stand_in = text("unknown", unknown);
  return Vocabulary(strings_of(tokens, "tokens"), std::string(text("boundary", boundary)),
                    std::string(text("separator", separator)), stand_in);
}

py::tuple encode_many(const Vocabulary& vocabulary, const py::object& texts) {
  if (PyUnicode_Check(texts.ptr())) {
    throw py::type_error("texts must be a sequence of str, not one str");
  }
  std::vector<int32_t> tokens;
  std::vector<int64_t> offsets{0};
  Elements elements("texts", texts);
  while (elements.next()) {
    append_tokens(tokens, vocabulary, elements.value(), Unknown::error,
                  [&] { return element("texts", offsets.size() - 1); });
    offsets.push_back(static_cast<int64_t>(tokens.size()));
  }
  return py::make_tuple(array_of(tokens), array_of(offsets));
}

std::string decode(const Vocabulary& vocabulary, const py::object& tokens) {
  // NumPy would make an array of floats of an empty list.
  if (py::isinstance<py::list>(tokens) && py::len(tokens) == 0) return "";
  return vocabulary.decode(tokens_of("tokens", tokens, {kAny}, vocabulary.size()).copy());
}

}  // namespace

void bind_vocabulary(py::module_& m) {
  auto vocabulary =
      class_of<Vocabulary>(m, "Vocabulary", "The core of makemore_cpp.Vocab, which describes it.");
  def_init(vocabulary, &make_vocabulary, "tokens"_a, "boundary"_a = ".", "separator"_a = "",
           "unknown"_a = py::none());
  vocabulary.def_property_readonly("tokens", &Vocabulary::tokens, "See makemore_cpp.Vocab.tokens.")
      .def_property_readonly("boundary", &Vocabulary::boundary, "See makemore_cpp.Vocab.boundary.")
      .def_property_readonly("separator", &Vocabulary::separator,
                             "See makemore_cpp.Vocab.separator.")
      .def_property_readonly("unknown", &Vocabulary::unknown, "See makemore_cpp.Vocab.unknown.")
      .def_property_readonly("is_plain", &Vocabulary::is_plain, "See makemore_cpp.Vocab.is_plain.")
      .def("__len__", &Vocabulary::size, "V, the number of tokens, token 0 included.")
      .def(py::self == py::self)
      .def("__repr__",
           [](const Vocabulary& vocabulary) {
             return "<Vocabulary of " + std::to_string(vocabulary.size()) + " tokens, boundary " +
                    std::string(py::repr(py::str(vocabulary.boundary()))) + ">";
           })
      .def(
          "encode",
          [](const Vocabulary& vocabulary, const py::object& value) {
            return array_of(vocabulary.encode(text("text", value)));
          },
          "text"_a, "See makemore_cpp.Vocab.encode.")
      .def("encode_many", &encode_many, "texts"_a, "See makemore_cpp.Vocab.encode_many.")
      .def("decode", &decode, "tokens"_a, "See makemore_cpp.Vocab.decode.");
}

}  // namespace makemore::bindings
