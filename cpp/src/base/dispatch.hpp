// The kernels of the instruction set in use.
#pragma once

#include "kernels/kernels.hpp"

namespace makemore {

const Kernels& kernels();

}  // namespace makemore
