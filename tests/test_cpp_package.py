"""A C++ program that finds the installed package computes what Python computes, to the last bit."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import makemore_cpp as mm
from makemore_cpp import _core

ROOT = Path(__file__).resolve().parents[1]
TEXTS = ["emma", "olivia", "ava", "zoé", "björn", "李娜", "naïma", "anna"]
COMPILERS = [os.environ.get("CXX", "c++"), "g++", "clang++"]


@pytest.fixture(scope="module")
def package():
    """Return the folder of the installed package, which programs can be built with."""
    try:
        folder = Path(mm.get_include()).parent
    except mm.FileError as error:
        pytest.skip(str(error))
    if shutil.which("cmake") is None:
        pytest.skip("cmake is not to be found")
    if not any(map(shutil.which, COMPILERS)):
        pytest.skip("no C++ compiler is to be found")
    return folder


def cmake(*arguments):
    command = ["cmake", *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


def build(folder, *options):
    """Build the example and return its program."""
    cmake("-S", ROOT / "cpp" / "example", "-B", folder, *options)
    cmake("--build", folder)
    return folder / "names"


@pytest.fixture(scope="module")
def program(package, tmp_path_factory):
    """Return the example, built as its CMakeLists.txt says."""
    return build(tmp_path_factory.mktemp("build"), f"-Dmakemore_cpp_DIR={mm.get_cmake_dir()}")


def run(program, *arguments):
    isa = mm.build_info()["isa"]["used"]
    return subprocess.run(
        [program, *map(str, arguments)],
        env={**os.environ, "MAKEMORE_ISA": isa},
        cwd=program.parent,
        capture_output=True,
        text=True,
        timeout=60,
    )


def run_on_texts(program, folder):
    """Run the example on TEXTS; return the scores and samples it printed, and its model file."""
    texts, model = folder / "texts.txt", folder / "model.safetensors"
    texts.write_text("\n\n".join(TEXTS) + "\n", encoding="utf-8")
    result = run(program, texts, model)
    assert (result.returncode, result.stderr) == (0, "")
    scores = re.findall(r"^ln p\((.*)\) = (.*)$", result.stdout, re.MULTILINE)
    samples = re.findall(r"^sample (.*)$", result.stdout, re.MULTILINE)
    return scores, samples, model


def trained_on_texts():
    """Return the model that the example trains."""
    vocab = mm.Vocab.from_texts(TEXTS)
    model = mm.MLP(vocab, block_size=3, n_embd=10, n_hidden=200, seed=1)
    X, Y = mm.build_dataset(TEXTS, vocab, model.block_size)
    model.train_steps(X, Y, [0.1] * 2000, batch_size=32, seed=1)
    return model


def ln_p(model, text):
    X, Y = mm.build_dataset([text], model.vocab, model.block_size)
    return sum(model.log_probs(X)[np.arange(len(Y)), Y].tolist())


# -- a program -------------------------------------------------------------------------------------
def test_cpp_and_python_compute_the_same_bits(program, tmp_path):
    scores, samples, file = run_on_texts(program, tmp_path)
    model = trained_on_texts()
    model.save(tmp_path / "python.safetensors")
    assert file.read_bytes() == (tmp_path / "python.safetensors").read_bytes()
    assert [(text, float(score)) for text, score in scores] == [(w, ln_p(model, w)) for w in TEXTS]
    assert samples == model.sample(20, seed=42)


def test_the_package_may_be_moved(package, tmp_path):
    prefix = tmp_path / "prefix"
    for folder in ("include", "lib"):
        shutil.copytree(package / folder, prefix / folder)
    program = build(tmp_path / "build", f"-DCMAKE_PREFIX_PATH={prefix}")
    cache = (tmp_path / "build" / "CMakeCache.txt").read_text()
    assert f"makemore_cpp_DIR:PATH={prefix}" in cache
    rules = [path.read_text() for path in prefix.rglob("*.cmake")]
    assert len(rules) == 4
    assert not any(str(package) in text for text in rules)
    prefix.rename(tmp_path / "gone")  # the program needs nothing of it
    assert run(program).returncode == 0


@pytest.mark.parametrize(
    ("texts", "model", "sentence"),
    [
        (None, "model", "cannot read .*texts.txt"),
        (b"anna\nb.c\n", "model", "boundary"),
        (b"anna\nzo\xe9\n", "model", "UTF-8"),
        (b"", "model", "tokens is empty"),
        (b"anna\n", "none/model", "cannot write .*none/model.*: No such file or directory"),
    ],
)
def test_an_error_is_one_sentence(program, tmp_path, texts, model, sentence):
    if texts is not None:
        (tmp_path / "texts.txt").write_bytes(texts)
    result = run(program, tmp_path / "texts.txt", tmp_path / model)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert re.match(f"names: .*{sentence}", result.stderr), result.stderr
    assert not (tmp_path / "model").exists()


# -- the package -----------------------------------------------------------------------------------
def test_every_header_is_installed(package):
    headers = {path.name: path.read_text() for path in (ROOT / "cpp/include").rglob("*.hpp")}
    installed = {path.name: path.read_text() for path in Path(mm.get_include()).rglob("*.hpp")}
    assert headers == installed


def test_another_minor_version_is_refused(package, tmp_path):
    script = tmp_path / "find.cmake"
    for version in ("0.0", "99.0"):
        script.write_text(
            f"find_package(makemore_cpp {version} CONFIG QUIET PATHS {package} NO_DEFAULT_PATH)\n"
            'message(NOTICE "${makemore_cpp_FOUND} ${makemore_cpp_CONSIDERED_VERSIONS}")\n'
        )
        found, considered = cmake("-P", script).split()
        assert found == "0"
        assert mm.__version__.startswith(considered)


@pytest.mark.parametrize("ask", [mm.get_include, mm.get_cmake_dir])
def test_a_source_tree_has_no_cpp_package(ask, tmp_path, monkeypatch):
    monkeypatch.setattr(_core, "__file__", str(tmp_path / "_core.so"))
    sentence = re.escape(f"{tmp_path} has no folder ") + ".*pip install"
    with pytest.raises(mm.FileError, match=sentence):
        ask()
