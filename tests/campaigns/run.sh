#!/usr/bin/env bash
# The whole campaign, in a fresh environment: hostile arguments and texts, forks, exits, leaks, bad
# learning rates, Ctrl-C; runs that are killed, interrupted or cannot save; then the fuzzer and all Python
# tests under AddressSanitizer and UndefinedBehaviorSanitizer.  It needs strace.
set -euo pipefail
cd "$(dirname "$0")/../.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
. "$work/venv/bin/activate"
pip install --quiet ".[test]" "cmake>=3.25" ninja "pybind11>=3"

MAKEMORE_CAMPAIGN=1 pytest -q tests/test_bindings_hostile.py tests/test_words_hostile.py \
  tests/test_manners.py tests/test_leaks.py tests/test_out_of_memory.py tests/test_divergence.py \
  tests/test_ctrl_c.py
python tests/interruptions.py --kills 200 --interrupts 40
python tests/failing_saves.py
tests/campaigns/sanitized.sh "$work/sanitized" tests
"$work/sanitized/tests/cpp/fuzz" 200000
