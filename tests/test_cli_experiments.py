"""The commands `sweep` and `experiment`, as a user meets them: in a process of their own."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import makemore_cpp as mm
from makemore_cpp.sweeps.experiments import EXPERIMENTS, run_experiment

PACKAGE_PARENT = Path(__import__("makemore_cpp").__file__).parents[1]
GRID = ["sweep", "grid", "--n-hidden", "8,16", "--lr", "0.1,0.3", "--steps", "200"]


def command(*arguments):
    return [sys.executable, "-m", "makemore_cpp", *map(str, arguments)]


def environment():
    path = os.pathsep.join(filter(None, [str(PACKAGE_PARENT), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, "NO_COLOR": "1"}


def run(folder, *arguments, code=0):
    result = subprocess.run(
        command(*arguments), cwd=folder, env=environment(), capture_output=True, timeout=120
    )
    error = result.stderr.decode()
    assert result.returncode == code, error
    assert "Traceback" not in error
    return result.stdout.decode(), error


def refuse(folder, *arguments):
    """Run a command that must fail; return its one sentence."""
    out, error = run(folder, *arguments, code=2)
    assert out == ""
    assert error.startswith("makemore_cpp: ")
    assert error.count("\n") == 1
    return error


def read_csv(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def is_png(path):
    return path.read_bytes().startswith(b"\x89PNG")


# -- sweep grid -----------------------------------------------------------------------------------
def test_grid(tmp_path):
    out, error = run(tmp_path, *GRID, "--seeds", "1,2", "--csv", "mine.csv")
    assert error == ""
    for text in ("n_hidden", "dev std", "gap", "lowest dev loss: n_hidden", "sweeps/1"):
        assert text in out
    folder = tmp_path / "sweeps" / "1"
    assert {path.name for path in folder.iterdir()} == {
        "sweep.json", "rows.jsonl", "table.csv", "picture.png",
    }  # fmt: skip
    assert is_png(folder / "picture.png")
    assert (folder / "table.csv").read_text() == (tmp_path / "mine.csv").read_text()
    rows = read_csv(tmp_path / "mine.csv")
    assert [(row["n_hidden"], row["lr"]) for row in rows] == [
        ("8", "0.1"), ("8", "0.3"), ("16", "0.1"), ("16", "0.3"),
    ]  # fmt: skip
    assert len((folder / "rows.jsonl").read_text().splitlines()) == 8


def test_grid_again_prints_the_same(tmp_path):
    first, _ = run(tmp_path, *GRID, "--out", "mine", "--markdown")
    assert first.startswith("| n_hidden | lr | parameters | train | dev | gap | seconds |\n")
    assert run(tmp_path, *GRID, "--out", "mine", "--markdown")[0] == first, "the same times too"
    assert "different sweep: options lr is [0.1, 0.3] there and [0.1] here" in refuse(
        tmp_path, *GRID, "--out", "mine", "--lr", "0.1"
    )


def test_grid_as_json_with_a_diverged_cell(tmp_path):
    arguments = ["--batch-size", "32,all", "--lr", "0.1,1e30", "--n-hidden", "8", "--steps", "5"]
    out, _ = run(tmp_path, "sweep", "grid", *arguments, "--json")
    cells = json.loads(out)["cells"]
    assert [cell["batch_size"] for cell in cells] == [32, 32, "all", "all"]
    assert [cell["diverged"] for cell in cells] == [0, 1, 0, 1]
    assert cells[1]["dev"] is None


def test_interrupted_and_continued(tmp_path):
    arguments = ["sweep", "grid", "--n-hidden", "8,9,10", "--steps", "2000,1000000", "--jobs", "2"]
    process = subprocess.Popen(
        command(*arguments, "--out", "mine"),
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    rows = tmp_path / "mine" / "rows.jsonl"
    while process.poll() is None and not (rows.exists() and rows.read_bytes()):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=60)
    assert process.returncode == 130, error
    assert out == b""
    assert error == (
        b"makemore_cpp: interrupted; the same command with --out mine goes on from here\n"
    )
    assert 1 <= len(rows.read_text().splitlines()) < 6


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--n-hidden", "8,x"], "'x' is not an integer"),
        (["--n-hidden", "8,0"], "--n-hidden is 0"),
        (["--n-hidden", ""], "'' is not an integer"),
        (["--lr", "0.1,0.1"], "lr has the value 0.1 twice"),
        (["--lr", "nan"], "lr is nan"),
        (["--batch-size", "some"], "'some' is not an integer or all"),
        (["--optimizer", "newton"], "newton"),
        (["--decay-biases", "perhaps"], "'perhaps' is not true or false"),
        (["--seeds", "one"], "'one' is not an integer"),
        (["--seeds", "-1"], "seeds is -1"),
        (["--jobs", "0"], "jobs is 0"),
        (["--data", "missing.txt"], "cannot read missing.txt"),
        (["--csv", "no/such/folder.csv"], "cannot write 'no/such/folder.csv'"),
    ],
)
def test_grid_refuses(tmp_path, arguments, sentence):
    assert sentence in refuse(tmp_path, *GRID, *arguments)
    if "--csv" not in arguments:
        assert not (tmp_path / "sweeps").exists()


# -- sweep lr -------------------------------------------------------------------------------------
def test_lr(tmp_path):
    out, error = run(tmp_path, "sweep", "lr", "--n-hidden", "50")
    assert error == ""
    assert "recommended: " in out
    assert "suggested: 0." in out
    assert out.count("│ ") >= 10
    folder = tmp_path / "sweeps" / "1"
    assert is_png(folder / "picture.png")
    assert is_png(folder / "growing_rate.png")
    assert (folder / "table.csv").read_text().count("\n") == 11


def test_lr_as_json_with_rates_that_diverge(tmp_path):
    options = ["--optimizer", "adam", "--n-hidden", "8", "--rates", "0.01,1e30", "--steps", "200"]
    out, _ = run(tmp_path, "sweep", "lr", *options, "--low", "-4", "--high", "0", "--json")
    result = json.loads(out)
    assert 1e-4 < result["suggested"] < 1
    assert result["recommended"] == {"low": 0.01, "best": 0.01, "high": 0.01}
    assert [cell["diverged"] for cell in result["cells"]] == [0, 1]


def test_lr_where_everything_diverges(tmp_path):
    options = ["--n-hidden", "8", "--rates", "1e20,1e30", "--steps", "100"]
    out, _ = run(tmp_path, "sweep", "lr", *options)
    assert "every rate diverged" in out
    assert "must grow" in refuse(tmp_path, "sweep", "lr", "--low", "1")
    assert "too large a rate" in refuse(tmp_path, "sweep", "lr", "--low", "28", "--high", "29")


# -- experiments ----------------------------------------------------------------------------------
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_experiment(tmp_path, name):
    out, error = run(tmp_path, "experiment", name, "--quick", "--out", "mine")
    assert error == ""
    assert "lowest dev loss: " in out
    assert is_png(tmp_path / "mine" / "picture.png")
    table = read_csv(tmp_path / "mine" / "table.csv")
    assert set(EXPERIMENTS[name].columns) <= table[0].keys()
    assert out.count("samples with ") == (5 if name == "context" else 0)


def test_ngram(tmp_path):
    out, _ = run(tmp_path, "experiment", "ngram", "--max-block-size", "3")
    assert "531,441" in out
    assert is_png(tmp_path / "sweeps" / "1" / "picture.png")
    rows = read_csv(tmp_path / "sweeps" / "1" / "table.csv")
    assert [row["possible_contexts"] for row in rows] == ["27", "729", "19683"]
    (tmp_path / "one.txt").write_text("anna\n")
    options = ["--data", "one.txt", "--max-block-size", "2", "--json"]
    result = json.loads(run(tmp_path, "experiment", "ngram", *options)[0])
    assert result["rows"][0]["unseen_share"] is None
    assert "--max-block-size is 0" in refuse(
        tmp_path, "experiment", "ngram", "--max-block-size", "0"
    )


def test_what_does_not_go_on_does_not_say_that_it_does(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    sentence = refuse(tmp_path, "experiment", "ngram", "--out", "full").strip()
    assert sentence.endswith("full is not empty; give another folder")
    assert "goes on" not in run(tmp_path, "experiment", "ngram", "--help")[0]
    assert "goes on" in run(tmp_path, "experiment", "batch", "--help")[0]


def test_one_text(tmp_path):
    (tmp_path / "one.txt").write_text("anna\n")
    out, error = run(tmp_path, "experiment", "scaling", "--data", "one.txt", "--steps", "10")
    assert error == ""
    assert out.count("n/a") == 16


def test_timed_experiments_refuse_to_share(tmp_path):
    assert "one after another" in refuse(tmp_path, "experiment", "context", "--jobs", "2")


def test_help_loads_neither_pictures_nor_clusters():
    code = "import sys; sys.argv[1:] = ['--help']; from makemore_cpp.__main__ import main\n"
    code += "try: main()\nexcept SystemExit: pass\n"
    code += "print(*[n for n in ('matplotlib', 'distributed', 'rich') if n in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True
    )
    assert result.stdout.splitlines()[-1] == ""
    assert "experiment" in result.stdout


@pytest.mark.parametrize(
    "arguments",
    [("ngram",), ("batch", "--quick"), ("optimizers", "--quick"), ("scaling", "--quick")],
)
def test_tables_fit_a_terminal_of_80_columns(tmp_path, monkeypatch, arguments):
    monkeypatch.setenv("COLUMNS", "80")
    out, _ = run(tmp_path, "experiment", *arguments, "--out", "new")
    table = out[: out.index("folder:")].rpartition("\n")[0]
    prose = ("samples with", "data: ", "all runs: ", "lowest dev loss: ")
    lines = [line for line in table.splitlines() if not line.startswith(prose)]
    assert max(len(line.rstrip()) for line in lines) <= 80
    assert "…" not in table
    monkeypatch.setenv("COLUMNS", "150")
    wide, _ = run(tmp_path, "experiment", *arguments, "--out", "wide")
    assert "┃" in wide, "there is room for a frame"


@pytest.mark.parametrize("columns", ["\u00b2", "x", "0", "-3", "", "1"])
def test_whatever_the_width_is_said_to_be(tmp_path, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    out, error = run(tmp_path, "experiment", "ngram", "--max-block-size", 1, "--out", "new")
    assert "2.4524" in out
    assert error == ""


def test_an_experiment_says_on_what_it_was_done(tmp_path):
    out, _ = run(tmp_path, "experiment", "weight-decay", "--quick", "--out", "first")
    assert "data: name names_us2017, train texts 2,000, dev texts 3,247, seeds 1" in out
    assert "all runs: block_size 5, n_embd 10, n_hidden 300, init scaled, steps 600, " in out
    given = ("--n-hidden", 7, "--block-size", 2, "--train-texts", 50, "--steps", 100, "--lr", 0.2)
    out, _ = run(tmp_path, "experiment", "weight-decay", *given, "--json", "--out", "second")
    found = json.loads(out)
    assert found["data"] == {
        "name": "names_us2017", "train texts": 50, "dev texts": 3247, "seeds": [1],
    }  # fmt: skip
    shown = {name: found["all runs"][name] for name in ("n_hidden", "block_size", "steps", "lr")}
    assert shown == {"n_hidden": 7, "block_size": 2, "steps": 100, "lr": 0.2}
    assert "No such option" in refuse(
        tmp_path, "experiment", "weight-decay", "--weight-decay", "0.1"
    )


def test_what_an_experiment_varies_cannot_be_given():
    data = mm.Dataset.split(mm.load_texts()[:50])
    for name, option in (("scaling", "n_hidden"), ("batch", "lr"), ("optimizers", "weight_decay")):
        with pytest.raises(mm.ArgumentError, match=f"{option} is what '{name}' varies"):
            run_experiment(name, data, options={option: 1})
