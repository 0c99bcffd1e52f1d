"""No output makes a terminal obey it, whatever a model, file or argument holds."""

from __future__ import annotations

import re

import pytest
from command_line import on_terminal

import makemore_cpp as mm
from makemore_cpp import runs
from makemore_cpp.cli.main import cli
from makemore_cpp.runs import checkpoint

EVIL = "\x1b]0;title\x07\u202e"


@pytest.fixture(scope="module")
def evil(tmp_path_factory):
    """Return a folder with a run, whose checkpoint and data's name hold commands to a terminal."""
    place = tmp_path_factory.mktemp("evil")
    (place / EVIL).write_text("a\x1b]0;\nb\u202e\n" * 9)
    options = ("--steps", 90, "--checkpoint-every", 30, "--samples", 3)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setattr(checkpoint, "this_build", lambda: EVIL)
        patch.setattr(runs, "save_model", lambda *_: (_ for _ in ()).throw(mm.FileError("stop")))
        command_line = ["train", "--data", EVIL, *map(str, options), "--out", "run"]
        with pytest.raises(mm.FileError, match="stop"):
            cli.main(command_line, standalone_mode=False)
    return place


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("train --resume run", 0),
        (f"eval {EVIL}", 2),
        (f"eval run --{EVIL}", 2),
        (f"eval run --split {EVIL}", 2),
        (f"experiment context --quick --steps 100 --data {EVIL} --out 1{EVIL}", 0),
        (f"experiment ngram --max-block-size 2 --out 2{EVIL}", 0),
        (f"sweep grid --steps 9 --lr 0.1,0.2 --markdown --out 3{EVIL}", 0),
        ("eval run", 0),
        (f"export run {EVIL}.h --name a", 0),
        (f"complete run --k {EVIL}", 2),
    ],
    ids=lambda a: a.replace(EVIL, "EVIL") if isinstance(a, str) else "",
)
def test_nothing_that_a_terminal_would_obey_reaches_it(evil, arguments, code):
    seen = on_terminal(evil, *arguments.split(" "), code=code)
    assert "\x1b]0;" not in seen
    assert not set("\x07\u202e") & set(seen)
    if "sweep" not in arguments:  # of which the Markdown says no name
        assert re.search(r"\\x1b\]0;|\\u\{001B\}\]0;", seen)
