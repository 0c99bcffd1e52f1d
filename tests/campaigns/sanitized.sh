#!/usr/bin/env bash
# Python tests with the extension under AddressSanitizer and UndefinedBehaviorSanitizer.
#   tests/campaigns/sanitized.sh FOLDER [pytest argument ...]
# builds it in FOLDER, with the C++ tests, and runs the Python tests that reach the most C++, or what
# pytest is told.  cmake, ninja, pybind11 and pytest must be there.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=$1
shift
[ $# -gt 0 ] || set -- tests/test_{bindings_hostile,reentrant,model_file,model_file_hostile,saved,vocabulary,scoring,arrow,arrow_hostile}.py \
  tests/test_{sampling,completion,language_model,train_steps,train_errors,ops_errors,random}.py

cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=None -DCMAKE_CXX_FLAGS=-O1 -DMAKEMORE_BUILD_TESTS=ON \
  -DMAKEMORE_SANITIZE=address,undefined -DSKBUILD=2 -DSKBUILD_PROJECT_VERSION=0 \
  -DPython_EXECUTABLE="$(command -v python3)" \
  -Dpybind11_DIR="$(python3 -m pybind11 --cmakedir)" > "$build.log" 2>&1 ||
  { cat "$build.log"; exit 1; }
cmake --build "$build" > "$build.log" 2>&1 || { cat "$build.log"; exit 1; }
rm -rf "$build/package"
mkdir "$build/package"
cp -r python/makemore_cpp "$build/package"
rm -f "$build"/package/makemore_cpp/_core*.so
cp "$build"/_core*.so "$build/package/makemore_cpp"

# Python is not built with the sanitizer, which must be loaded before it, together with the library
# whose exceptions it watches.  Python keeps memory at its end, and may ask for too much of it.
cxx=${CXX:-g++}
PYTHONPATH=$build/package PYTHONMALLOC=malloc UBSAN_OPTIONS=print_stacktrace=1 \
  LD_PRELOAD="$($cxx -print-file-name=libasan.so) $($cxx -print-file-name=libstdc++.so)" \
  ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 \
  python3 -m pytest -q -p no:cacheprovider "$@"
