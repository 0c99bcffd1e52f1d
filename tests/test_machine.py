"""The module's build_info, and the environment variable that forces an instruction set."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from conftest import ISAS

from makemore_cpp import _core

OPERATION = "import numpy as np; _core.log_softmax(np.zeros((1, 2), np.float32))"
USED = "print(_core.build_info()['isa']['used'])"


def in_subprocess(isa: str, code: str) -> subprocess.CompletedProcess[str]:
    """Run code with the compiled module alone, because the package around it uses build_info."""
    file = _core.__file__
    load = (
        "import importlib.util, sys; "
        f"spec = importlib.util.spec_from_file_location('_core', {file!r}); "
        "_core = importlib.util.module_from_spec(spec); spec.loader.exec_module(_core)\n"
    )
    return subprocess.run(
        [sys.executable, "-c", load + code], capture_output=True, text=True, check=False,
        env={**os.environ, "MAKEMORE_ISA": isa},
    )  # fmt: skip


def test_the_version_needs_no_instruction_set():
    assert _core.__version__ == _core.build_info()["version"]
    done = in_subprocess("bogus", "print(_core.__version__)")
    assert (done.stdout, done.stderr) == (_core.__version__ + "\n", "")


@pytest.mark.parametrize("isa", ISAS)
def test_a_forced_instruction_set_is_used(isa):
    done = in_subprocess(isa, f"{OPERATION}; {USED}")
    assert (done.stdout, done.stderr) == (isa + "\n", "")


def test_an_empty_variable_forces_nothing():
    assert in_subprocess("", USED).stdout == ISAS[-1] + "\n"


UNRUNNABLE = sorted(set(_core.build_info()["isa"]["built"]) - set(ISAS))


@pytest.mark.parametrize("code", [OPERATION, USED])
@pytest.mark.parametrize("isa", ["bogus", "AVX2", *UNRUNNABLE])
def test_a_set_that_cannot_be_used_fails_loudly(isa, code):
    done = in_subprocess(isa, code)
    assert done.returncode == 1
    sentence = done.stderr.strip().split("\n")[-1]
    assert sentence.startswith("makemore_cpp.ArgumentError: MAKEMORE_ISA: ")
    assert isa in sentence
    assert all(name in sentence for name in ISAS)


@pytest.mark.parametrize(
    ("sizes", "groups"),
    [  # B, T, E, H, V
        ((32, 3, 10, 200, 27), 0),
        ((256, 4, 30, 200, 999), 0),
        ((256, 4, 30, 200, 1000), 4),
        ((8, 4, 30, 1, 1000), 1),  # too little work for two
        ((7, 4, 30, 100, 16_384), 0),  # too few examples
        ((32, 4, 30, 100, 16_384), 16),
        ((256, 4, 30, 256, 65_536), 16),
    ],
)
def test_a_step_is_cut_along_tokens_where_they_are_many(sizes, groups):
    cut = _core.how_cut(*sizes)
    assert sum(cut["hidden_blocks"]) == sizes[3]
    assert len(cut["token_groups"]) == groups
    assert sum(cut["token_groups"]) == (sizes[4] if groups else 0)
    assert bool(cut["tile_tokens"]) == bool(groups)
