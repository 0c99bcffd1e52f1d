// How a long call lets its caller interrupt it.
#pragma once

#include <functional>

namespace makemore {

// Called now and then on the calling thread; may throw to abandon the call.
using Poll = std::function<void()>;

}  // namespace makemore
