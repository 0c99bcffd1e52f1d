# What find_package(makemore_cpp) reads: it makes the target makemore_cpp::makemore.
include(CMakeFindDependencyMacro)
find_dependency(Threads)
include("${CMAKE_CURRENT_LIST_DIR}/makemore_cpp-targets.cmake")
