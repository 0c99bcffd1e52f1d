// The checks behind check.hpp.
#include "check.hpp"

#include <limits>
#include <sstream>

#include "makemore/error.hpp"

namespace makemore {

void throw_token_error(const char* name, const std::string& token, int64_t row, int64_t column,
                       int64_t V) {
  std::string place = std::string(name) + "[" + std::to_string(row);
  if (column >= 0) place += ", " + std::to_string(column);
  throw RangeError("token " + token + " at " + place + "] is outside the vocabulary [0, " +
                   std::to_string(V) + ")");
}

void check_tokens(const char* name, const int32_t* tokens, int64_t N, int64_t T, int64_t V,
                  int64_t first_row) {
  const int64_t width = T == 0 ? 1 : T;
  const int64_t count = N * width;
  bool all_inside = true;
  for (int64_t i = 0; i < count; ++i) all_inside &= tokens[i] >= 0 && tokens[i] < V;
  if (all_inside) return;
  int64_t i = 0;
  while (tokens[i] >= 0 && tokens[i] < V) ++i;
  throw_token_error(name, std::to_string(tokens[i]), first_row + i / width, T == 0 ? -1 : i % width,
                    V);
}

bool is_rate(double value) {
  return value >= 0 && value <= static_cast<double>(std::numeric_limits<float>::max());
}

float checked_rate(const std::string& name, double value) {
  if (!is_rate(value)) {
    std::ostringstream sentence;
    sentence << name << " = " << value << " is not a finite, non-negative float32";
    throw ArgumentError(sentence.str());
  }
  return static_cast<float>(value);
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
