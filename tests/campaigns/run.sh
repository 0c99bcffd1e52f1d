#!/usr/bin/env bash
# The whole campaign, in a fresh environment; it needs strace.  First what the process lives
# through: forks, exits, leaks, missing memory, bad learning rates, Ctrl-C; then runs that are
# killed, interrupted or cannot save; then, under AddressSanitizer and UndefinedBehaviorSanitizer,
# hostile arguments and texts, all Python tests, and the fuzzer.
set -euo pipefail
cd "$(dirname "$0")/../.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
. "$work/venv/bin/activate"
pip install --quiet ".[test]" "cmake>=3.25" ninja "pybind11>=3"

stage() { printf '\n== %s (%s s)\n' "$1" "$SECONDS"; }

stage "the process"
MAKEMORE_CAMPAIGN=1 pytest -q -rP tests/test_manners.py tests/test_leaks.py \
  tests/test_out_of_memory.py tests/test_divergence.py tests/test_ctrl_c.py

stage "kills and interrupts"
python tests/interruptions.py --kills 200 --interrupts 40

stage "saves that fail"
python tests/failing_saves.py

stage "hostile arguments and texts, sanitized"
MAKEMORE_CAMPAIGN=1 tests/campaigns/sanitized.sh "$work/sanitized" \
  tests/test_bindings_hostile.py tests/test_words_hostile.py tests/test_model_file_hostile.py

stage "all Python tests, sanitized"
tests/campaigns/sanitized.sh "$work/sanitized" tests

stage "fuzzer"
"$work/sanitized/tests/cpp/fuzz" 200000
stage "done"
