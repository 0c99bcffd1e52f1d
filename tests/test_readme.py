"""The README and its pages are right about files, commands and Python."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path

import click
import pytest
from test_architecture import ROOT

import makemore_cpp as mm
from makemore_cpp.cli.main import cli

README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / ".readme").glob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def commands(page: Path) -> list[list[str]]:
    """Return the arguments of each command of ours in the shell blocks and in the text."""
    text = page.read_text().replace("\\\n", " ")
    found = re.findall(r"python -m makemore_cpp ([^`#|>&)\n]*)", text)
    return [shlex.split(arguments) for arguments in found if arguments.strip()]


def test_it_is_short() -> None:
    assert len(README.read_text().splitlines()) <= 250


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_files_that_it_names_exist(page: Path) -> None:
    text = page.read_text()
    for target in re.findall(r"\]\(([^)#:]+)\)|src=\"([^\"]+)\"", text):
        assert (page.parent / (target[0] or target[1])).is_file(), target
    for name in re.findall(r"`((?:cpp|python|tests|benchmarks)/[\w./]*)`", text):
        assert (ROOT / name).exists(), name


def test_the_spine_exists() -> None:
    text = README.read_text()
    spine = text[text.index("Read these files in this order") : text.index("[How a step is made]")]
    names = re.findall(r"`(\w+/[\w/]+\.[a-z]+)`", spine)
    assert len(names) == 20
    for name in names:
        assert any((ROOT / base / name).is_file() for base in ("python/makemore_cpp", "cpp/src"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_its_commands_and_their_options_exist(page: Path) -> None:
    for arguments in commands(page):
        command: click.Command = cli
        while isinstance(command, click.Group) and arguments[0] in command.commands:
            command = command.commands[arguments.pop(0)]
        options = {name for parameter in command.params for name in parameter.opts} | {"--help"}
        given = {argument for argument in arguments if re.match("--?[a-z]", argument)}
        assert not isinstance(command, click.Group) or given, arguments
        assert given <= options, (command.name, given - options)


def test_the_pages_have_commands() -> None:
    assert sum(len(commands(page)) for page in PAGES) > 20


def test_its_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    other = mm.MLP(mm.Dataset.split(mm.load_texts()).vocab, block_size=3)
    namespace = {**other.parameters, "state_dict": mm.to_makemore_py(other)}
    python = blocks(README, "python")
    assert len(python) == 5
    for block in python:
        if importlib.util.find_spec("onnx") is None:
            block = re.sub(r"^.*export_onnx.*$", "", block, flags=re.MULTILINE)
        exec(block, namespace)
    assert {path.name for path in tmp_path.iterdir()} >= {"names.safetensors", "both.model"}
