"""The rules of the architecture: which parts may use which, and what the stub must say.

Each rule is a function from a folder to a list of violations, one sentence each.
"""

from __future__ import annotations

import ast
import fnmatch
import pydoc
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

PACKAGE = "makemore_cpp"

# The rooms, lowest first: each may use those before it.
CPP_ROOMS = ["kernels", "base", "net", "train", "files", "text", "bindings", "example"]
# The rooms of public headers that have no source file; the others are in their source file's room.
HEADER_ROOMS = {"error": "base", "poll": "base", "machine": "base", "exchange": "base"}
PYTHON_ROOMS = [
    "_core", "arrays", "early_ctrl_c", "checks", "package_paths", "ops", "reference", "files",
    "recipe", "data", "text", "models", "training", "evaluation", "estimators", "plots", "export",
    "runs", "sweeps", "lecture", "cli", "old_names", "__init__", "__main__",
]  # fmt: skip
TOP_LEVEL = {
    "CMakeLists.txt", "pyproject.toml", "README.md", "LICENSE",
    "cpp", "python", "tests", "benchmarks",
}  # fmt: skip
KERNEL_HEADERS = {"cstdint", "stdint.h", "immintrin.h", "arm_neon.h"}
# The modules that may write to stdout and stderr: the console, which escapes, the streams below
# it, and the progress bar.
DOORS = {"cli/console", "files/streams", "training/bar"}
# The rooms and modules that may import a library that is slow to load or of use to few.
GUESTS = {
    "matplotlib": {"plots", "sweeps/pictures", "cli/pictures"},
    "click": {"cli"},
    "rich": {"cli/main", "cli/console", "training/bar"},
    "IPython": {"training/bar"},
    "distributed": {"sweeps/parallel"},
    "onnx": {"export/onnx"},
    "mpi4py": {"training/ranks"},
    "sklearn": {"estimators"},
}
# Modules that draw are imported inside functions only.
PLOTTING = {"plots", "sweeps.pictures"}


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
    """Return each included name and whether it stands in quotes."""
    found = re.findall(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', path.read_text(), re.MULTILINE)
    return [(name, mark == '"') for mark, name in found]


def sources(root: Path, folder: str) -> Iterator[Path]:
    yield from sorted(p for p in (root / folder).rglob("*") if p.suffix in {".cpp", ".hpp"})


def cpp_room(root: Path, place: Path) -> str | None:
    """Return the room of a source file, or of a header that an include names."""
    for part in place.parts:
        if part in CPP_ROOMS:
            return part
    if place.parent.name == "makemore":  # a public header
        sources_of_it = [p.parent.name for p in (root / "cpp/src").rglob(f"{place.stem}.cpp")]
        return sources_of_it[0] if sources_of_it else HEADER_ROOMS.get(place.stem)
    return None


def upward_includes(root: Path) -> list[str]:
    found = []
    graph: dict[str, set[str]] = {}
    for path in sources(root, "cpp"):
        place = path.relative_to(root)
        mine = cpp_room(root, place)
        if mine is None:
            found.append(f"{place} is in no room")
            continue
        for name, quoted in includes(path):
            if not quoted or mine in {"kernels", "bindings"}:
                continue
            theirs = cpp_room(root, Path(name))
            if theirs is None or CPP_ROOMS.index(theirs) > CPP_ROOMS.index(mine):
                found.append(f"{place} includes {name}, which is not below it")
            if path.suffix == ".hpp":
                graph.setdefault(path.stem, set()).add(Path(name).stem)
    return found + circles(graph)


def circles(graph: dict[str, set[str]]) -> list[str]:
    """Return one sentence for each node from which a way leads back to it."""
    found = []
    for start in sorted(graph):
        seen, to_see = set(), list(graph[start])
        while to_see:
            node = to_see.pop()
            if node not in seen:
                seen.add(node)
                to_see += graph.get(node, ())
        if start in seen:
            found.append(f"{start} uses itself by way of others")
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
    """Find headers of libraries in kernels.

    An inline function compiled there with AVX flags may be the copy that the linker keeps for all.
    """
    folder = "cpp/src/kernels"
    return [
        f"{path.relative_to(root)} includes {name}"
        for path in sources(root, folder)
        for name, quoted in includes(path)
        if (quoted and not (root / folder / name).is_file())
        or (not quoted and name not in KERNEL_HEADERS)
    ]


def private_parts_in_public(root: Path) -> list[str]:
    """Find includes in public headers and the example that are neither public nor standard."""
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
    """Find calls that print or end the process, which a library leaves to its host."""
    pattern = r"\bstd::(?:cout|cerr|clog)\b|(?<!\.)\b(?:f?printf|puts|abort|_?exit|terminate)\s*\("
    found = []
    for path in [*sources(root, "cpp/src"), *sources(root, "cpp/include"),
                 *sources(root, "cpp/bindings")]:  # fmt: skip
        for match in re.findall(pattern, without_comments_and_strings(path.read_text())):
            found.append(f"{path.relative_to(root)} uses {match.rstrip('( ')}")
    return found


def unguarded_classes(root: Path) -> list[str]:
    """Find classes made otherwise than by `class_of`, which guards objects without constructor."""
    return [
        f"{path.relative_to(root)} has {match}"
        for path in sources(root, "cpp/bindings")
        if path.name != "classes.hpp"
        for match in re.findall(
            r"\b(?:class_|enum_)\s*<|\bpy(?:bind11)?::(?:init|bind_\w+|native_enum)\b",
            without_comments_and_strings(path.read_text()),
        )
    ]


# -- Python --------------------------------------------------------------------------------------
def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Return each imported module (ours without the package's name), and if at module level.

    A name imported from one of our modules may be a module too, so it follows after a dot.
    """
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
            first, _, rest = name.partition(".")
            module = (rest or "__init__") if first == PACKAGE else first
            yield module, id(node) not in inside_functions


def python_files(root: Path) -> list[Path]:
    """Return the modules; a folder of parts holds text that is not imported."""
    files = (root / "python" / PACKAGE).rglob("*.py")
    return sorted(path for path in files if path.parent.name != "parts")


def place_of(root: Path, path: Path) -> str:
    """Return a module's name inside the package, as "models/mlp"."""
    return path.relative_to(root / "python" / PACKAGE).with_suffix("").as_posix()


def room_of(module: str) -> str:
    return re.split(r"[./]", module)[0]


def upward_imports(root: Path) -> list[str]:
    found = []
    graph: dict[str, set[str]] = {}
    for path in python_files(root):
        place = place_of(root, path)
        mine = room_of(place)
        if mine not in PYTHON_ROOMS:
            found.append(f"{place} is in no room")
            continue
        for name, _ in imports(path):
            theirs = room_of(name)
            is_ours = theirs in PYTHON_ROOMS
            if is_ours and PYTHON_ROOMS.index(theirs) > PYTHON_ROOMS.index(mine):
                found.append(f"{place} imports {name}, which is above it")
            if theirs == "cli" and mine not in {"cli", "__main__"}:
                found.append(f"{place} imports cli, which only __main__ may")
            if mine == "reference" and not (
                theirs in {"numpy", "reference"} or theirs in sys.stdlib_module_names
            ):
                found.append(f"{place} imports {name}, but a definition needs only numpy")
            if is_ours and theirs == mine and mine != place:  # inside a room
                graph.setdefault(place, set()).add("/".join(name.split(".")[:2]))
    return found + circles(graph)


def guests_in_the_wrong_place(root: Path) -> list[str]:
    """Find imports of slow libraries, or of plotting, outside the rooms and functions for them."""
    found = []
    for path in python_files(root):
        place = place_of(root, path)
        for name, at_module_level in imports(path):
            homes = GUESTS.get(name.split(".")[0], {place})
            if not {place, room_of(place)} & homes:
                found.append(f"{place} imports {name}")
            draws = any(name == drawer or name.startswith(drawer + ".") for drawer in PLOTTING)
            if draws and at_module_level and not {place, room_of(place)} & GUESTS["matplotlib"]:
                found.append(f"{place} imports {name} outside a function")
    return found


def prints_beside_the_door(root: Path) -> list[str]:
    """Find output beside `console`, which escapes the control characters a terminal obeys."""
    found = []
    for path in python_files(root):
        if place_of(root, path) in DOORS:
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
                found.append(f"{path.relative_to(root)}, line {node.lineno}, uses {text}")
    return found


def loaded_by(statement: str, names: Iterable[str]) -> list[str]:
    """Return which of these modules a fresh interpreter has loaded after a statement."""
    code = f"import sys; {statement}; print(*[n for n in {list(names)!r} if n in sys.modules])"
    paths = f"import sys; sys.path[:] = {sys.path!r}; "
    run = subprocess.run(
        [sys.executable, "-c", paths + code], capture_output=True, text=True, check=True
    )
    return run.stdout.split()


# -- the stub ------------------------------------------------------------------------------------
Signatures = dict[str, list[str]]


def stub_signatures(stub: Path) -> Signatures:
    """Return the parameter names of functions and methods, "*" where keywords begin.

    A class has none.
    """

    def parameters(function: ast.FunctionDef) -> list[str]:
        a = function.args
        star = ["*"] if a.kwonlyargs else []
        rest = ["**kwargs"] if a.kwarg else []  # the name that pybind11 gives to all
        return [p.arg for p in a.posonlyargs + a.args] + star + [p.arg for p in a.kwonlyargs] + rest

    found: Signatures = {}
    for node in ast.parse(stub.read_text()).body:
        if isinstance(node, ast.FunctionDef):
            found[node.name] = parameters(node)
        elif isinstance(node, ast.AnnAssign) and not ast.unparse(node.target).startswith("_"):
            found[ast.unparse(node.target)] = []
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
    """Return the parameter names in the text between the parentheses of a signature."""
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


SPECIAL_METHODS = {"__init__", "__len__", "__eq__", "__arrow_c_array__"}


def module_signatures(module: ModuleType) -> Signatures:
    found: Signatures = {}
    for name, value in vars(module).items():
        if name.startswith("_"):
            continue
        if not isinstance(value, type):
            found[name] = docstring_parameters(value) if callable(value) else []
            continue
        found[name] = []
        if issubclass(value, BaseException):
            continue
        for key, member in vars(value).items():
            plain = getattr(member, "__func__", member)
            if isinstance(member, property):
                found[f"{name}.{key}"] = []
            elif key in SPECIAL_METHODS or not key.startswith("_"):
                found[f"{name}.{key}"] = docstring_parameters(plain)
    return found


def stub_differences(stub: Signatures, module: Signatures, exceptions: set[str]) -> list[str]:
    """Find names and parameters that the stub and the compiled module do not share.

    Only the stub has the attributes that an exception gets when it is raised.
    """
    found = []
    for name in sorted(stub.keys() | module.keys()):
        if name not in module:
            if name.split(".")[0] not in exceptions or "." not in name:
                found.append(f"{name} is in the stub only")
        elif name not in stub:
            found.append(f"{name} is in the module only")
        else:
            # pybind11 names a method's first parameter and an operator's second.
            special = name.split(".")[-1] in {"__eq__", "__len__"}
            if stub[name] != module[name] and not special:
                found.append(f"{name} takes {stub[name]} in the stub, {module[name]} in the module")
    return found


# -- prose ---------------------------------------------------------------------------------------
def texts_of(module: ModuleType) -> Iterator[tuple[str, str]]:
    """Yield the names and docstrings of a module's functions and classes and of their members."""
    for name, value in vars(module).items():
        yield name, getattr(value, "__doc__", None) or ""
        for key, member in vars(value).items() if isinstance(value, type) else ():
            yield f"{name}.{key}", getattr(member, "__doc__", None) or ""


def lost_pointers(module: ModuleType) -> list[str]:
    """Find docstrings that point to a name of the package that is not there or has no text."""
    found = []
    for name, text in texts_of(module):
        for pointer in re.findall(r"[Ss]ee (makemore_cpp[.\w]*\w)", text):
            try:
                target = pydoc.locate(pointer)
            except pydoc.ErrorDuringImport:
                target = None
            if target is None or not target.__doc__:
                found.append(f"{name} points to {pointer}")
    return found


def silent_openings(root: Path) -> list[str]:
    """Find files that do not open with a sentence on what they are."""
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
