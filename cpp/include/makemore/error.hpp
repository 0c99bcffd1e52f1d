// Errors of the library: each one is a sentence that names the argument, the place and the value.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

namespace makemore {

class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// An argument has the wrong size, value or combination.  Python: also a ValueError.
class ArgumentError : public Error {
 public:
  using Error::Error;
};

// A token or a row lies outside its range.  Python: also an IndexError.
class RangeError : public Error {
 public:
  using Error::Error;
};

// The bytes of a file are not what the format demands.  Python: also a ValueError.
class FormatError : public ArgumentError {
 public:
  using ArgumentError::ArgumentError;
};

// The operating system refused to read or write a file.  Python: also an OSError.
class FileError : public Error {
 public:
  using Error::Error;
};

// A loss or an updated parameter is not finite.  Python: also an ArithmeticError.
class DivergedError : public Error {
 public:
  DivergedError(const std::string& sentence, int64_t step, double loss, double learning_rate)
      : Error(sentence), step(step), loss(loss), learning_rate(learning_rate) {}
  int64_t step;
  double loss;
  double learning_rate;
};

}  // namespace makemore
