#!/usr/bin/env bash
# The whole campaign, or some parts of it, in a fresh environment:
#   tests/campaigns/run.sh [process] [saves] [sanitized]
# process: forks, exits, leaks, missing memory, bad learning rates, Ctrl-C, arguments that act when
# they are asked, many threads, folders that many want.
# saves: runs that are killed, interrupted or cannot save; this needs strace.
# sanitized: under AddressSanitizer and UndefinedBehaviorSanitizer hostile arguments and texts, the
# fuzzer, and all Python tests.
set -euo pipefail
cd "$(dirname "$0")/../.."
[ $# -gt 0 ] || set -- process saves sanitized

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
. "$work/venv/bin/activate"
pip install --quiet ".[test]" "cmake>=3.25" ninja "pybind11>=3"

stage() { printf '\n== %s (%s s)\n' "$1" "$SECONDS"; }

process() {
  stage "the process"
  MAKEMORE_CAMPAIGN=1 pytest -q -rP tests/test_ctrl_c.py  # which prints how long each waits
  MAKEMORE_CAMPAIGN=1 pytest -q tests/test_manners.py tests/test_leaks.py \
    tests/test_out_of_memory.py tests/test_divergence.py tests/test_reentrant.py \
    tests/test_many_callers.py tests/test_without_the_gil.py tests/test_not_constructed.py \
    tests/test_folders.py
}

saves() {
  stage "kills and interrupts"
  python tests/interruptions.py --kills 200 --interrupts 40
  stage "saves that fail"
  python tests/failing_saves.py
  python tests/failing_writes.py
}

sanitized() {
  local hostile=(tests/test_{arrow,bindings,texts,model_file}_hostile.py)
  stage "hostile arguments, texts and files, sanitized"
  MAKEMORE_CAMPAIGN=1 tests/campaigns/sanitized.sh "$work/sanitized" "${hostile[@]}"
  stage "fuzzer"
  "$work/sanitized/tests/cpp/fuzz" 200000
  stage "the other Python tests, sanitized"
  tests/campaigns/sanitized.sh "$work/sanitized" tests "${hostile[@]/#/--ignore=}"
}

for part in "$@"; do
  case $part in
    process | saves | sanitized) "$part" ;;
    *)
      echo "no part of the campaign: $part" >&2
      exit 2
      ;;
  esac
done
stage "done"
