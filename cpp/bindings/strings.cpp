// The code points of a str are read where Python keeps them, in one, two or four bytes each.
#include "strings.hpp"

#include <span>

#include "gil.hpp"
#include "makemore/error.hpp"
#include "scalars.hpp"

namespace makemore::bindings {

namespace {

template <typename CodePoint>
bool append_code_points(std::vector<int32_t>& tokens, const Vocabulary& vocabulary,
                        std::span<const CodePoint> text, Unknown unknown) {
  const size_t before = tokens.size();
  tokens.resize(before + text.size());
  int32_t* out = tokens.data() + before;
  for (const CodePoint c : text) {
    const int32_t token = vocabulary.token_of(c);
    if (token == kNoToken) {
      if (unknown == Unknown::error) return false;
      if (unknown == Unknown::skip) continue;
    }
    *out++ = token;
  }
  tokens.resize(static_cast<size_t>(out - tokens.data()));
  return true;
}

// Appends the tokens of a str of words; false for an unknown word or a lone surrogate.
bool append_words(std::vector<int32_t>& tokens, const Vocabulary& vocabulary, py::handle string,
                  Unknown unknown) {
  Py_ssize_t bytes = 0;
  const char* const utf8 = PyUnicode_AsUTF8AndSize(string.ptr(), &bytes);
  if (utf8 == nullptr) {
    PyErr_Clear();
    return false;
  }
  try {
    vocabulary.append(tokens, {utf8, static_cast<size_t>(bytes)}, unknown);
    return true;
  } catch (const ArgumentError&) {
    return false;
  }
}

}  // namespace

Elements::Elements(const char* name, py::handle iterable)
    : iterator_(py::reinterpret_steal<py::object>(PyObject_GetIter(iterable.ptr()))) {
  if (iterator_) return;
  const py::error_already_set reason;
  if (!reason.matches(PyExc_TypeError)) throw reason;
  throw py::type_error(std::string(name) + " must be an iterable of str, not " +
                       type_name(iterable));
}

bool Elements::next() {
  PyObject* const value = or_sleep([this] { return PyIter_Next(iterator_.ptr()); });
  value_ = py::reinterpret_steal<py::object>(value);
  if (PyErr_Occurred() != nullptr) throw py::error_already_set();
  return value != nullptr;
}

bool append_known(std::vector<int32_t>& tokens, const Vocabulary& vocabulary, py::handle string,
                  Unknown unknown) {
  if (vocabulary.has_words()) return append_words(tokens, vocabulary, string, unknown);
  const auto length = static_cast<size_t>(PyUnicode_GET_LENGTH(string.ptr()));
  const void* const data = PyUnicode_DATA(string.ptr());
  const auto text = [&]<typename CodePoint>(CodePoint) {
    return std::span(static_cast<const CodePoint*>(data), length);
  };
  switch (PyUnicode_KIND(string.ptr())) {
    case PyUnicode_1BYTE_KIND:
      return append_code_points(tokens, vocabulary, text(Py_UCS1{}), unknown);
    case PyUnicode_2BYTE_KIND:
      return append_code_points(tokens, vocabulary, text(Py_UCS2{}), unknown);
    default:
      return append_code_points(tokens, vocabulary, text(Py_UCS4{}), unknown);
  }
}

void throw_encoding_error(const Vocabulary& vocabulary, py::handle string,
                          const std::string& place) {
  const std::string_view utf8 = text(place, string);  // throws for another type and for surrogates
  try {
    vocabulary.encode(utf8);
  } catch (const ArgumentError& error) {
    throw ArgumentError(place + ": " + error.what());
  }
  throw ArgumentError(place + " cannot be encoded");  // not reached: something was unknown
}

}  // namespace makemore::bindings
