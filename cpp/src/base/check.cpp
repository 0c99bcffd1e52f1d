// The checks behind check.hpp.
#include "base/check.hpp"

#include <charconv>
#include <limits>

#include "makemore/error.hpp"

namespace makemore {

void throw_token_error(const char* name, const std::string& token, int64_t row, int64_t column,
                       int64_t V) {
  std::string place = std::string(name) + "[" + std::to_string(row);
  if (column >= 0) place += ", " + std::to_string(column);
  throw RangeError("token " + token + " at " + place + "] is outside the vocabulary [0, " +
                   std::to_string(V) + ")");
}

namespace {

// The place of the first token outside [0, V), or -1.
int64_t first_outside(const int32_t* tokens, int64_t count, int64_t V) {
  bool all_inside = true;  // the loop has no early exit, so that it is vectorised
  for (int64_t i = 0; i < count; ++i) all_inside &= tokens[i] >= 0 && tokens[i] < V;
  if (all_inside) return -1;
  int64_t i = 0;
  while (tokens[i] >= 0 && tokens[i] < V) ++i;
  return i;
}

}  // namespace

void check_tokens(const char* name, const int32_t* X, int64_t N, int64_t T, int64_t V,
                  int64_t first_row) {
  const int64_t i = first_outside(X, N * T, V);
  if (i >= 0) throw_token_error(name, std::to_string(X[i]), first_row + i / T, i % T, V);
}

void check_token_vector(const char* name, const int32_t* Y, int64_t N, int64_t V,
                        int64_t first_row) {
  const int64_t i = first_outside(Y, N, V);
  if (i >= 0) throw_token_error(name, std::to_string(Y[i]), first_row + i, -1, V);
}

std::string shown(double value) {
  char digits[32];
  return std::string(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
}

bool is_rate(double value) {
  return value >= 0 && value <= static_cast<double>(std::numeric_limits<float>::max());
}

float checked_rate(const std::string& name, double value) {
  if (!is_rate(value)) {
    throw ArgumentError(name + " = " + shown(value) + " is not a finite, non-negative float32");
  }
  return static_cast<float>(value);
}

void check_fraction(const char* name, double value) {
  if (value >= 0 && static_cast<float>(value) < 1) return;  // false for NaN
  throw ArgumentError(std::string(name) + " = " + shown(value) + " is not in [0, 1) as a float32");
}

void check_at_least(const char* name, int64_t value, int64_t least) {
  if (value < least) {
    throw ArgumentError(std::string(name) + " = " + std::to_string(value) + " is below " +
                        std::to_string(least));
  }
}

void check_in_range(const char* name, int64_t value, int64_t least, int64_t most) {
  check_at_least(name, value, least);
  if (value > most) {
    throw ArgumentError(std::string(name) + " = " + std::to_string(value) + " is above " +
                        std::to_string(most));
  }
}

}  // namespace makemore
