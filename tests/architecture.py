"""The rules of the house: what may include or import what, and what the stub must say.

Each rule is a function from a folder to a list of violations, one sentence each.
"""

from __future__ import annotations

import ast
import fnmatch
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

PACKAGE = "makemore_cpp"

# Lowest first.  A file may use its own layer and those below.  A new file gets its place here.
CPP_LAYERS = [
    {"kernels"},
    {"error", "utf8", "buffer", "sha256", "poll", "made_once"},
    {"model", "json", "file_io"},
    {"machine", "check", "random"},
    {"cut", "dispatch", "thread_pool", "optimizer"},
    {"distinct_contexts", "fold", "seen_contexts", "update", "sampling", "token_choice"},
    {"tensor_file"},
    {"ops", "forward", "hidden_block", "completion"},
    {"trainer", "vocabulary", "model_file", "frozen_net"},
    {"scoring", "language_model", "sampler"},
    {"bindings", "example"},
]
PYTHON_LAYERS = [
    {"_core"},
    {"arrays", "checks", "early_ctrl_c", "files", "package_paths", "streams"},
    {"lines", "tensor_file"},
    {"folders"},
    {"vocab", "schedules", "presets", "parallel", "sweep_table"},
    {"words", "ops", "reference", "reference_random", "reference_updates"},
    {"calibration", "detection_report"},
    {"dataset", "prediction"},
    {"origin"},
    {"sampling", "scoring", "completion", "ngram_counts"},
    {"text_model"},
    {"language_model"},
    {"model", "saved"},
    {"ngram", "interop", "onnx_export"},
    {"jelinek_mercer", "kneser_ney", "mixture"},
    {"training_state"},
    {"training", "evaluation", "ngram_table", "verdict", "vowels", "hidden_units", "header_export"},
    {"diagnosis", "plotting_style", "detector", "checkpoint"},
    {"plotting_embeddings", "plotting_hidden"},
    {"plotting", "sweep_cell"},
    {"runs", "console", "exits"},
    {"sweep_folder"},
    {"sweeps"},
    {"lr_search", "experiments"},
    {"plotting_sweeps"},
    {"cli_pictures"},
    {"cli_common"},
    {"cli_sweeps", "cli_experiments", "cli_export", "cli_text", "cli_train", "cli_score"},
    {"cli"},
    {"__init__", "__main__"},
]
TOP_LEVEL = {
    "CMakeLists.txt", "pyproject.toml", "README.md", "LICENSE",
    "cpp", "python", "tests", "benchmarks",
}  # fmt: skip
KERNEL_HEADERS = {"cstdint", "stdint.h", "immintrin.h", "arm_neon.h"}
# Who may write to stdout and stderr: the one door, which escapes, and the streams below it.
DOORS = {"console", "streams"}
# Who may import a library that is slow to load, or of use to few, and where.
PLOTTING = {
    "plotting", "plotting_style", "plotting_embeddings", "plotting_hidden", "plotting_sweeps",
}  # fmt: skip
COMMANDS = {
    "cli", "cli_common", "cli_sweeps", "cli_experiments", "cli_export", "cli_text", "cli_train",
    "cli_score", "cli_pictures", "exits",
}  # fmt: skip
GUESTS = {
    "matplotlib": PLOTTING | {"cli_pictures"},
    "click": COMMANDS,
    "rich": {"cli", "console"},
    "distributed": {"parallel"},
    "onnx": {"onnx_export"},
}


def layer_of(name: str, layers: list[set[str]]) -> int | None:
    return next((i for i, names in enumerate(layers) if name in names), None)


# -- the top level -------------------------------------------------------------------------------
def strangers_at_the_top(root: Path) -> list[str]:
    ignore = root / ".gitignore"
    patterns = [p.strip("/") for p in ignore.read_text().split()] if ignore.exists() else []
    return [
        f"{path.name} has no place at the top level"
        for path in sorted(root.iterdir())
        if path.name not in TOP_LEVEL
        and not path.name.startswith(".")
        and not any(fnmatch.fnmatch(path.name, p) for p in patterns)
    ]


# -- C++ -----------------------------------------------------------------------------------------
def includes(path: Path) -> list[tuple[str, bool]]:
    """Each included name, and whether it stands in quotes."""
    found = re.findall(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', path.read_text(), re.MULTILINE)
    return [(name, mark == '"') for mark, name in found]


def sources(root: Path, folder: str) -> Iterator[Path]:
    yield from sorted(p for p in (root / folder).rglob("*") if p.suffix in {".cpp", ".hpp"})


def cpp_name(path: Path) -> str:
    """What the table of layers calls a file, or the file that an include names."""
    inside = {"kernels", "bindings", "example"} & set(path.parts)
    return inside.pop() if inside else path.stem


def upward_includes(root: Path) -> list[str]:
    found = []
    for path in sources(root, "cpp"):
        place = path.relative_to(root)
        mine = layer_of(cpp_name(place), CPP_LAYERS)
        if mine is None:
            found.append(f"{place} has no layer")
            continue
        for name, quoted in includes(path):
            if not quoted or cpp_name(place) in {"kernels", "bindings"}:
                continue
            theirs = layer_of(cpp_name(Path(name)), CPP_LAYERS)
            if theirs is None or theirs > mine:
                found.append(f"{place} includes {name}, which is not below it")
    return found


def python_outside_bindings(root: Path) -> list[str]:
    return [
        f"{path.relative_to(root)} includes {name}"
        for path in [*sources(root, "cpp"), *sources(root, "tests/cpp")]
        for name, _ in includes(path)
        if re.match(r"pybind11/|Python\.h|numpy/", name)
        and path.relative_to(root).parts[:2] != ("cpp", "bindings")
    ]


def guests_of_kernels(root: Path) -> list[str]:
    """An inline library function compiled with AVX flags may be the copy kept for everybody."""
    folder = "cpp/src/kernels"
    return [
        f"{path.relative_to(root)} includes {name}"
        for path in sources(root, folder)
        for name, quoted in includes(path)
        if (quoted and not (root / folder / name).is_file())
        or (not quoted and name not in KERNEL_HEADERS)
    ]


def private_parts_in_public(root: Path) -> list[str]:
    """Public headers, and the example with them, need public headers and the standard's only."""
    return [
        f"{path.relative_to(root)} includes {name}"
        for path in [*sources(root, "cpp/include/makemore"), *sources(root, "cpp/example")]
        for name, quoted in includes(path)
        if (quoted and not (root / "cpp/include" / name).is_file())
        or (not quoted and not re.fullmatch(r"[a-z_]+", name))
        or name == "iostream"
    ]


def without_comments_and_strings(text: str) -> str:
    return re.sub(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', '""', text, flags=re.DOTALL)


def library_manners(root: Path) -> list[str]:
    """A library neither prints nor ends its host."""
    pattern = r"\bstd::(?:cout|cerr|clog)\b|(?<!\.)\b(?:f?printf|puts|abort|_?exit|terminate)\s*\("
    found = []
    for path in [*sources(root, "cpp/src"), *sources(root, "cpp/include"),
                 *sources(root, "cpp/bindings")]:  # fmt: skip
        for match in re.findall(pattern, without_comments_and_strings(path.read_text())):
            found.append(f"{path.relative_to(root)} uses {match.rstrip('( ')}")
    return found


# -- Python --------------------------------------------------------------------------------------
def imports(path: Path, modules: set[str]) -> Iterator[tuple[str, bool]]:
    """Each imported module (ours without the package's name), and whether at module level."""
    tree = ast.parse(path.read_text())
    inside_functions = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(filter(None, [PACKAGE if node.level else "", node.module or ""]))
            names = [f"{base}.{alias.name}" for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == PACKAGE:
                own = parts[1] if len(parts) > 1 and parts[1] in modules else "__init__"
                yield own, id(node) not in inside_functions
            else:
                yield parts[0], id(node) not in inside_functions


def python_files(root: Path) -> list[Path]:
    return sorted((root / "python" / PACKAGE).glob("*.py"))


def upward_imports(root: Path) -> list[str]:
    files = python_files(root)
    modules = {path.stem for path in files} | {"_core", "__init__"}
    found = []
    for path in files:
        mine = layer_of(path.stem, PYTHON_LAYERS)
        if mine is None:
            found.append(f"{path.name} has no layer")
            continue
        for name, _ in imports(path, modules):
            if name in modules and (layer_of(name, PYTHON_LAYERS) or 0) > mine:
                found.append(f"{path.name} imports {name}, which is above it")
            if name == "cli" and path.stem != "__main__":
                found.append(f"{path.name} imports cli, which only __main__ may")
            if path.stem.startswith("reference") and not (
                name == "numpy" or name.startswith("reference_") or name in sys.stdlib_module_names
            ):
                found.append(f"{path.name} imports {name}, but a definition needs only numpy")
    return found


def guests_in_the_wrong_place(root: Path) -> list[str]:
    """Slow libraries, and plotting which needs one, are loaded by those who use them."""
    files = python_files(root)
    modules = {path.stem for path in files} | {"_core", "__init__"}
    found = []
    for path in files:
        for name, at_module_level in imports(path, modules):
            if name in GUESTS and path.stem not in GUESTS[name]:
                found.append(f"{path.name} imports {name}")
            if name in PLOTTING and at_module_level and path.stem not in PLOTTING:
                found.append(f"{path.name} imports {name} outside a function")
    return found


def prints_beside_the_door(root: Path) -> list[str]:
    """What is shown without `console` would reach a terminal as it is, with all that it obeys."""
    found = []
    for path in python_files(root):
        if path.stem in DOORS:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            text = ""
            if isinstance(node, ast.Name):
                text = node.id
            elif isinstance(node, ast.Attribute):
                text = ast.unparse(node)
            elif isinstance(node, ast.ImportFrom):
                text = " ".join(f"{node.module}.{alias.name}" for alias in node.names)
            if re.search(
                r"^(print|input|breakpoint)$|\bsys\.(__)?(stdout|stderr)\b"
                r"|\bclick\.(\w*echo\w*|prompt|confirm|progressbar|pause|get_\w+_stream)$|\bpprint\b",
                text,
            ):
                found.append(f"{path.name}, line {node.lineno}, uses {text}")
    return found


def loaded_by(statement: str, names: Iterable[str]) -> list[str]:
    """Which of these modules a fresh interpreter has loaded after a statement."""
    code = f"import sys; {statement}; print(*[n for n in {list(names)!r} if n in sys.modules])"
    paths = f"import sys; sys.path[:] = {sys.path!r}; "
    run = subprocess.run(
        [sys.executable, "-c", paths + code], capture_output=True, text=True, check=True
    )
    return run.stdout.split()


# -- the stub ------------------------------------------------------------------------------------
Signatures = dict[str, list[str]]


def stub_signatures(stub: Path) -> Signatures:
    """Parameter names of every function and method, "*" where keywords begin; classes are bare."""

    def parameters(function: ast.FunctionDef) -> list[str]:
        a = function.args
        star = ["*"] if a.kwonlyargs else []
        return [p.arg for p in a.posonlyargs + a.args] + star + [p.arg for p in a.kwonlyargs]

    found: Signatures = {}
    for node in ast.parse(stub.read_text()).body:
        if isinstance(node, ast.FunctionDef):
            found[node.name] = parameters(node)
        elif isinstance(node, ast.ClassDef):
            found[node.name] = []
            for item in node.body:
                if isinstance(item, ast.FunctionDef):
                    decorators = {ast.unparse(d) for d in item.decorator_list}
                    is_property = "property" in decorators
                    found[f"{node.name}.{item.name}"] = [] if is_property else parameters(item)
                elif isinstance(item, ast.AnnAssign):
                    found[f"{node.name}.{ast.unparse(item.target)}"] = []
    return found


def split_parameters(text: str) -> list[str]:
    """Parameter names of what stands between the parentheses of a docstring's signature."""
    parts, depth = [""], 0
    for c in text:
        depth += (c in "([{") - (c in ")]}")
        if c == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += c
    return [re.split(r"[:=]", p)[0].strip() for p in parts if p.strip() not in {"", "/"}]


def docstring_parameters(function: Any) -> list[str]:
    match = re.match(r"\w+\((.*)\)(?: ->|$)", (function.__doc__ or "").split("\n")[0])
    return split_parameters(match[1]) if match else ["<no signature>"]


def module_signatures(module: ModuleType) -> Signatures:
    found: Signatures = {}
    for name, value in vars(module).items():
        if name.startswith("_"):
            continue
        if not isinstance(value, type):
            found[name] = docstring_parameters(value)
            continue
        found[name] = []
        if issubclass(value, BaseException):
            continue
        for key, member in vars(value).items():
            plain = getattr(member, "__func__", member)
            if isinstance(member, property):
                found[f"{name}.{key}"] = []
            elif key in {"__init__", "__len__", "__eq__"} or not key.startswith("_"):
                found[f"{name}.{key}"] = docstring_parameters(plain)
    return found


def stub_differences(stub: Signatures, module: Signatures, exceptions: set[str]) -> list[str]:
    """Attributes that an exception gets when it is raised are only in the stub."""
    found = []
    for name in sorted(stub.keys() | module.keys()):
        if name not in module:
            if name.split(".")[0] not in exceptions or "." not in name:
                found.append(f"{name} is in the stub only")
        elif name not in stub:
            found.append(f"{name} is in the module only")
        else:
            # A method's first parameter and an operator's second have names of pybind11's own.
            special = name.split(".")[-1] in {"__eq__", "__len__"}
            if stub[name] != module[name] and not special:
                found.append(f"{name} takes {stub[name]} in the stub, {module[name]} in the module")
    return found


# -- prose ---------------------------------------------------------------------------------------
def silent_openings(root: Path) -> list[str]:
    """Every file opens with a sentence on what it is."""
    found = []
    suffixes = {".py", ".pyi", ".cpp", ".hpp", ".txt"}
    for folder in ("cpp", "python", "tests", "benchmarks"):
        for path in sorted((root / folder).rglob("*")):
            if path.suffix not in suffixes or (path.suffix == ".txt") != (
                path.name == "CMakeLists.txt"
            ):
                continue
            text = re.sub(r"\A#!.*\n", "", path.read_text())
            opening = re.match(r'"""(.*?)(?:"""|\n\n)|((?://.*\n)+)|((?:#.*\n)+)', text, re.DOTALL)
            if not opening or not re.search(r"\w \w.*\.(\s|$)", opening[0].strip('"'), re.DOTALL):
                found.append(f"{path.relative_to(root)} does not open with a sentence")
    return found
