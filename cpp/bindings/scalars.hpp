// Every conversion and check of a single value, a number or a text, that Python gives to the core.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace makemore::bindings {

namespace py = pybind11;

// `name` is what errors call the value; each error is one sentence.

std::string type_name(py::handle value);

// Clears the error that Python has set about a value, so that one of ours can take its place.
// Throws an error that is not about the value: an interrupt, or no memory.
void clear_error_of_value();

// An integer (anything with __index__).  TypeError for another type, ArgumentError out of int64.
int64_t integer(const char* name, py::handle value);

// A seed: an integer in [0, 2^64).
uint64_t seed_of(const char* name, py::handle value);

// None is 0, all available threads.
int threads_of(py::handle value);

// A real number (numbers.Real, as Python's and NumPy's scalars are).  TypeError for another type.
double number(const char* name, py::handle value);

// A bool, Python's or NumPy's.  TypeError for another type.
bool flag(const char* name, py::handle value);

// The UTF-8 of a str, which lives as long as the str.  TypeError for another type, ArgumentError
// for a lone surrogate.
std::string_view text(const std::string& name, py::handle value);

// A copy of a dict, which no other thread and no call of Python changes.  TypeError, that it must
// be a dict of arrays, for another type.
py::dict dict_of_arrays(const char* name, py::handle value);

// The bytes of a bytes object, which live as long as it does.  TypeError for another type.
std::string_view bytes_argument(const char* name, py::handle value);

// A path: str, bytes or os.PathLike, in the encoding of the file system.
std::string path_of(py::handle path);

}  // namespace makemore::bindings
