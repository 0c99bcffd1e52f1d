"""The rules of architecture.py hold, and each of them notices a planted violation."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
from architecture import (
    PACKAGE,
    guests_in_the_wrong_place,
    guests_of_kernels,
    library_manners,
    loaded_by,
    lost_pointers,
    module_signatures,
    prints_beside_the_door,
    private_parts_in_public,
    python_outside_bindings,
    silent_openings,
    strangers_at_the_top,
    stub_differences,
    stub_signatures,
    unguarded_classes,
    upward_imports,
    upward_includes,
)

from makemore_cpp import _core

ROOT = Path(__file__).resolve().parents[1]

# -- the rules hold ------------------------------------------------------------------------------
RULES = [
    strangers_at_the_top, upward_includes, python_outside_bindings, guests_of_kernels,
    private_parts_in_public, library_manners, upward_imports, guests_in_the_wrong_place,
    prints_beside_the_door, silent_openings, unguarded_classes,
]  # fmt: skip


@pytest.mark.parametrize("rule", RULES)
def test_rule(rule):
    assert rule(ROOT) == []


def test_import_loads_numpy_and_the_core_only():
    guests = [
        "matplotlib",
        "click",
        "rich",
        "onnx",
        "makemore_cpp.cli.main",
        "makemore_cpp.plots.training",
    ]
    assert loaded_by(f"import {PACKAGE}", [*guests, "numpy"]) == ["numpy"]


def test_stub_and_module_say_the_same():
    exceptions = {
        name
        for name, value in vars(_core).items()
        if isinstance(value, type) and issubclass(value, BaseException)
    }
    stub = stub_signatures(ROOT / "python" / PACKAGE / "_core.pyi")
    assert stub_differences(stub, module_signatures(_core), exceptions) == []


# -- the rules bite ------------------------------------------------------------------------------
PLANTED = [
    (strangers_at_the_top, "notes.txt", ""),
    (upward_includes, "cpp/src/net/ops.cpp", '#include "makemore/trainer.hpp"\n'),
    (upward_includes, "cpp/src/base/model.hpp", '#include "net/fold.hpp"\n'),
    (upward_includes, "cpp/src/base/a.hpp", '#include "base/a.hpp"\n'),
    (upward_includes, "cpp/src/novelty.cpp", ""),
    (python_outside_bindings, "cpp/src/net/ops.cpp", "#include <pybind11/numpy.h>\n"),
    (python_outside_bindings, "tests/cpp/test_ops.cpp", "  #  include <Python.h>\n"),
    (guests_of_kernels, "cpp/src/kernels/kernels.cpp", "#include <algorithm>\n"),
    (guests_of_kernels, "cpp/src/kernels/math.hpp", '#include "../buffer.hpp"\n#include "b.hpp"\n'),
    (private_parts_in_public, "cpp/include/makemore/ops.hpp", '#include "check.hpp"\n'),
    (private_parts_in_public, "cpp/include/makemore/ops.hpp", "#include <iostream>\n"),
    (private_parts_in_public, "cpp/include/makemore/ops.hpp", "#include <sys/stat.h>\n"),
    (private_parts_in_public, "cpp/example/names.cpp", '#include "check.hpp"\n'),
    (private_parts_in_public, "cpp/example/names.cpp", '#include "../src/check.hpp"\n'),
    (library_manners, "cpp/src/net/ops.cpp", '  std::printf("%d", 3);\n'),
    (library_manners, "cpp/include/makemore/ops.hpp", "inline void f() { abort(); }\n"),
    (unguarded_classes, "cpp/bindings/other.cpp", 'py::class_<Other> other(m, "Other");\n'),
    (unguarded_classes, "cpp/bindings/other.cpp", 'return pybind11::class_ <T>(m, "T");\n'),
    (unguarded_classes, "cpp/bindings/other.cpp", "other.def(py::init(&make_other));\n"),
    (unguarded_classes, "cpp/bindings/other.hpp", 'py::enum_<Kind>(m, "Kind");\n'),
    (
        upward_imports,
        "python/makemore_cpp/data/vocab.py",
        "from makemore_cpp.models.mlp import MLP\n",
    ),
    (
        upward_imports,
        "python/makemore_cpp/data/vocab.py",
        "def f():\n    from makemore_cpp import training\n",
    ),
    (upward_imports, "python/makemore_cpp/data/a.py", "from makemore_cpp.data import b\n"),
    (upward_imports, "python/makemore_cpp/runs/folder.py", "import makemore_cpp\n"),
    (upward_imports, "python/makemore_cpp/__init__.py", "from makemore_cpp import cli\n"),
    (upward_imports, "python/makemore_cpp/novelty.py", ""),
    (upward_imports, "python/makemore_cpp/reference/net.py", "import scipy\n"),
    (upward_imports, "python/makemore_cpp/reference/net.py", "from makemore_cpp._core import x\n"),
    (
        guests_in_the_wrong_place,
        "python/makemore_cpp/models/mlp.py",
        "import matplotlib.pyplot as p\n",
    ),
    (guests_in_the_wrong_place, "python/makemore_cpp/models/mlp.py", "from click import echo\n"),
    (
        guests_in_the_wrong_place,
        "python/makemore_cpp/runs/folder.py",
        "from makemore_cpp import plots\n",
    ),
    (prints_beside_the_door, "python/makemore_cpp/cli/main.py", "def f(x):\n    print(x)\n"),
    (
        prints_beside_the_door,
        "python/makemore_cpp/models/mlp.py",
        "import sys\nsys.stdout.write('')\n",
    ),
    (
        prints_beside_the_door,
        "python/makemore_cpp/runs/folder.py",
        "from sys import stderr as out\n",
    ),
    (prints_beside_the_door, "python/makemore_cpp/cli/exits.py", "click.secho('', err=True)\n"),
    (prints_beside_the_door, "python/makemore_cpp/cli/main.py", "show = print\n"),
    (silent_openings, "python/makemore_cpp/models/mlp.py", '"""Model"""\n'),
    (silent_openings, "cpp/src/net/ops.cpp", "#include <vector>\n"),
    (silent_openings, "tests/cpp/CMakeLists.txt", "add_executable(a b.cpp)\n"),
]


@pytest.mark.parametrize(("rule", "place", "text"), PLANTED)
def test_rule_notices(rule, place, text, tmp_path):
    for name, text_before in (
        ("models/mlp", ""), ("training/__init__", ""), ("cli/main", ""), ("plots/style", ""),
        ("data/b", "from makemore_cpp.data.a import x\n"),
    ):  # fmt: skip
        path = tmp_path / "python/makemore_cpp" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'"""A module that breaks no rule."""\n{text_before}')
    (tmp_path / "cpp/src/train").mkdir(parents=True)
    (tmp_path / "cpp/src/train/trainer.cpp").write_text("// A file that breaks no rule.\n")
    assert rule(tmp_path) == []
    path = tmp_path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    assert rule(tmp_path)


def test_ignored_files_may_lie_at_the_top(tmp_path):
    (tmp_path / ".gitignore").write_text("build/\n*.so\n")
    (tmp_path / "build").mkdir()
    (tmp_path / "x.so").touch()
    (tmp_path / "cpp").mkdir()
    assert strangers_at_the_top(tmp_path) == []


def test_loaded_by_notices():
    assert loaded_by("import click", ["click", "rich"]) == ["click"]


@pytest.mark.parametrize(
    ("stub", "difference"),
    [
        ("def f(a: int, b: str) -> None: ...", ""),
        ("def f(a: int, *, b: str) -> None: ...", "f takes"),
        ("def f(a: int, c: str) -> None: ...", "f takes"),
        ("def f(a: int) -> None: ...", "f takes"),
        ("def f(a: int, b: str) -> None: ...\ndef g() -> None: ...", "g is in the stub only"),
        ("", "f is in the module only"),
    ],
)
def test_stub_differences_notice(stub, difference, tmp_path):
    class Compiled:
        __doc__ = "f(a: typing.SupportsInt[int, str], b: object = None) -> None\n\nText."

        def __call__(self) -> None: ...

    module = ModuleType("module")
    module.f = Compiled()
    path = tmp_path / "stub.pyi"
    path.write_text(stub)
    found = stub_differences(stub_signatures(path), module_signatures(module), set())
    assert len(found) == bool(difference)
    assert all(difference in sentence for sentence in found)


def test_bindings_point_to_the_contracts_in_python():
    assert lost_pointers(_core) == []


@pytest.mark.parametrize("pointer", ["makemore_cpp.ops.linear_forwards", "makemore_cpp.opts.x"])
def test_lost_pointers_notice(pointer):
    module = ModuleType("module")
    module.f = lambda: None
    module.f.__doc__ = f"f() -> None\n\nSee {pointer}."
    assert lost_pointers(module) == [f"f points to {pointer}"]
