// Vocabulary for Python: str in, NumPy arrays out, and back.
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
  // NumPy would take an empty list for one of floats.
  if (py::isinstance<py::list>(tokens) && py::len(tokens) == 0) return "";
  return vocabulary.decode(tokens_of("tokens", tokens, {kAny}, vocabulary.size()).copy());
}

}  // namespace

void bind_vocabulary(py::module_& m) {
  auto vocabulary = class_of<Vocabulary>(m, "Vocabulary",
                                         "Text to tokens and back; makemore_cpp.Vocab tells how.");
  def_init(vocabulary, &make_vocabulary, "tokens"_a, "boundary"_a = ".", "separator"_a = "",
           "unknown"_a = py::none());
  vocabulary
      .def_property_readonly("tokens", &Vocabulary::tokens, "Tokens 1, 2, ..., as a new list.")
      .def_property_readonly("boundary", &Vocabulary::boundary, "How token 0 is shown.")
      .def_property_readonly("separator", &Vocabulary::separator, "What stands between tokens.")
      .def_property_readonly("unknown", &Vocabulary::unknown, "What stands for unknown tokens.")
      .def_property_readonly("is_plain", &Vocabulary::is_plain, "No words, no unknown token.")
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
          "text"_a, R"(Return the tokens of a text.

Returns
-------
int32 array, shape (len(text),)

Raises
------
ArgumentError
    A character is not in the vocabulary, or is the boundary.)")
      .def("encode_many", &encode_many, "texts"_a, R"(Return the tokens of many texts in one array.

Returns
-------
tokens : int32 array
    The tokens of texts[i] are ``tokens[offsets[i]:offsets[i + 1]]``.
offsets : int64 array, shape (len(texts) + 1,)

Raises
------
ArgumentError
    As `encode` does, naming the text.)")
      .def("decode", &decode, "tokens"_a, R"(Return the text of tokens.

Parameters
----------
tokens : integer array, shape (n,)
    Token 0 gives the boundary.

Raises
------
RangeError
    A token is outside the vocabulary.)");
}

}  // namespace makemore::bindings
