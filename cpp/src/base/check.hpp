// Checks of arguments that several parts of the core share; each failure is one sentence.
#pragma once

#include <cstdint>
#include <string>

namespace makemore {

// Throws RangeError like "token 27 at X[4, 2] is outside the vocabulary [0, 27)" for the first
// token outside [0, V).   X (N,T); errors count its rows from first_row
void check_tokens(const char* name, const int32_t* X, int64_t N, int64_t T, int64_t V,
                  int64_t first_row = 0);

// Does the same for a vector Y (N): "token 5 at Y[1] is outside the vocabulary [0, 5)".
void check_token_vector(const char* name, const int32_t* Y, int64_t N, int64_t V,
                        int64_t first_row = 0);

// Throws the error of check_tokens, or with column -1 that of check_token_vector.
[[noreturn]] void throw_token_error(const char* name, const std::string& token, int64_t row,
                                    int64_t column, int64_t V);

// A number with as many digits as tell it from its neighbours.
std::string shown(double value);

// Whether a value can be a learning rate or a weight decay: finite as a float32 and not negative.
bool is_rate(double value);
// Returns the value as a float32; throws ArgumentError unless it is such a rate.
float checked_rate(const std::string& name, double value);

// Throws ArgumentError unless the value (of dropout, momentum, beta1) is in [0, 1) as a float32.
void check_fraction(const char* name, double value);

// Throws ArgumentError unless value >= least.
void check_at_least(const char* name, int64_t value, int64_t least);
// Throws ArgumentError unless least <= value <= most.
void check_in_range(const char* name, int64_t value, int64_t least, int64_t most);

}  // namespace makemore
