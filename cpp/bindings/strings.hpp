// From Python's strings to tokens and back, many at a time.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "makemore/vocabulary.hpp"

namespace makemore::bindings {

namespace py = pybind11;

// The elements of an iterable, one after another.
class Elements {
 public:
  Elements(const char* name, py::handle iterable);  // TypeError when it is none
  bool next();                                      // false after the last
  py::handle value() const { return value_; }

 private:
  py::object iterator_, value_;
};

// Appends the tokens of a str.  place() returns the name of the str in errors.  TypeError for
// another type; ArgumentError as by Vocabulary::encode.  A lone surrogate counts as an unknown
// character, and is refused in words.
template <typename Place>
void append_tokens(std::vector<int32_t>& tokens, const Vocabulary& vocabulary, py::handle string,
                   Unknown unknown, const Place& place);

// Throws the error for a str that cannot be encoded.
[[noreturn]] void throw_encoding_error(const Vocabulary& vocabulary, py::handle string,
                                       const std::string& place);

// Appends the tokens of a str; false, with some of them appended, where a character is unknown.
bool append_known(std::vector<int32_t>& tokens, const Vocabulary& vocabulary, py::handle string,
                  Unknown unknown);

template <typename Place>
void append_tokens(std::vector<int32_t>& tokens, const Vocabulary& vocabulary, py::handle string,
                   Unknown unknown, const Place& place) {
  if (!PyUnicode_Check(string.ptr()) || !append_known(tokens, vocabulary, string, unknown)) {
    throw_encoding_error(vocabulary, string, place());
  }
}

}  // namespace makemore::bindings
