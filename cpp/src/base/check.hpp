// Checks of arguments that several parts of the core share; each failure is one sentence.
#pragma once

#include <cstdint>
#include <string>

namespace makemore {

// Throws RangeError like "token 27 at X[4, 2] is outside the vocabulary [0, 27)" for the first
// token outside [0, V).  X (N,T), its first row called `first_row`.
void check_tokens(const char* name, const int32_t* X, int64_t N, int64_t T, int64_t V,
                  int64_t first_row = 0);

// The same for a vector Y (N): "token 5 at Y[1] is outside the vocabulary [0, 5)".
void check_token_vector(const char* name, const int32_t* Y, int64_t N, int64_t V,
                        int64_t first_row = 0);

// Throws that error; column -1 for a vector.
[[noreturn]] void throw_token_error(const char* name, const std::string& token, int64_t row,
                                    int64_t column, int64_t V);

// A number with as many digits as tell it from its neighbours.
std::string shown(double value);

// A learning rate or a weight decay: finite as a float32 and not negative.
bool is_rate(double value);
float checked_rate(const std::string& name, double value);

// A share or a factor of decay: in [0, 1) as a float32.
void check_fraction(const char* name, double value);

// Throws ArgumentError unless value >= least; unless least <= value <= most.
void check_at_least(const char* name, int64_t value, int64_t least);
void check_in_range(const char* name, int64_t value, int64_t least, int64_t most);

}  // namespace makemore
