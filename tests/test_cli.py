"""The command line, as a user meets it: in a process of its own."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time

import click
import pytest
from command_line import PACKAGE_PARENT, command, environment, is_one_sentence, refuse, run

import makemore_cpp as mm
from makemore_cpp.cli.main import cli, main
from makemore_cpp.recipe.presets import TEN_SECONDS

SMALL = ["--steps", "300", "--n-hidden", "20", "--n-embd", "4"]
RUN_FILES = {
    "model.safetensors", "config.json", "metrics.jsonl", "embeddings.jsonl", "loss.png",
    "embeddings.png",
}  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return a folder with a trained run in runs/1, and what `train` printed."""
    folder = tmp_path_factory.mktemp("trained")
    out, error = run(folder, "train", *SMALL)
    assert error == "", "no progress where nobody would see it"
    return folder, out


# -- train ----------------------------------------------------------------------------------------
def test_train_prints_losses_samples_and_folder(trained):
    folder, out = trained
    assert {path.name for path in (folder / "runs" / "1").iterdir()} == RUN_FILES
    losses = [float(number) for number in re.findall(r"\d\.\d{4}", out)]
    assert losses[:3] == [3.2958, 3.2958, 0.0]
    assert len(losses) == 13, "train, dev and gap of four models, and the floor"
    assert "% of the dev texts also stand in train.\nUnderfitting: " in out
    new = re.search(r"(\d+) new samples: (.*)", out)
    known = re.search(r"(\d+) already in the data(.*)", out)
    assert int(new[1]) + int(known[1]) == 20
    assert len(new[2].split(", ")) == int(new[1])
    assert "run folder: runs/1" in out


def test_train_writes_numbers(trained):
    folder, _ = trained
    config = json.loads((folder / "runs" / "1" / "config.json").read_text())
    assert config["data"]["name"] == "names_us2017"
    assert config["steps"] == config["steps_done"] == 300
    lines = (folder / "runs" / "1" / "metrics.jsonl").read_text().splitlines()
    metrics = [json.loads(line) for line in lines]
    assert [m["step"] for m in metrics] == sorted(m["step"] for m in metrics)
    assert sum("dev_loss" in m for m in metrics) == 10
    assert metrics[-1]["name"] == "this model"
    assert metrics[-1]["dev"] == [m["dev_loss"] for m in metrics if "dev_loss" in m][-1]


def test_same_command_same_bytes(trained):
    folder, _ = trained
    out, _ = run(folder, "train", *SMALL, "--threads", "2", "--json")
    result = json.loads(out)
    assert result["run"] != "runs/1"
    for name in RUN_FILES:
        first, second = folder / "runs" / "1" / name, folder / result["run"] / name
        assert first.read_bytes() == second.read_bytes(), name
    assert len(result["samples"]["new"]) + len(result["samples"]["known"]) == 20
    assert [row["name"] for row in result["losses"]][-1] == "this model"


def test_out_and_overwrite(trained, tmp_path):
    folder, _ = trained
    out = tmp_path / "mine"
    run(folder, "train", *SMALL, "--out", out)
    run(folder, "eval", out, "--split", "test")
    assert (out / "test_looks.jsonl").exists()
    before = (out / "model.safetensors").read_bytes()
    sentence = refuse(folder, "train", *SMALL, "--out", out, "--seed", 2)
    assert "is not empty; give another folder, or --overwrite" in sentence
    assert "try a smaller --lr" in refuse(
        folder, "train", *SMALL, "--out", out, "--overwrite", "--lr", "1e37"
    )
    assert (out / "model.safetensors").read_bytes() == before
    run(folder, "train", *SMALL, "--out", out, "--seed", 2, "--overwrite")
    assert (out / "model.safetensors").read_bytes() != before
    assert not (out / "test_looks.jsonl").exists()


def test_presets_and_what_is_given_beside_them(tmp_path):
    small = ["--steps", "30", "--n-hidden", "16", "--samples", "1", "--json", "--out", "run"]

    def config(*arguments):
        run(tmp_path, "train", *small, "--overwrite", *arguments)
        return json.loads((tmp_path / "run" / "config.json").read_text())

    best = config("--preset", "best")
    for name, value in {**TEN_SECONDS.sizes, **TEN_SECONDS.training}.items():
        if name not in ("steps", "n_hidden"):
            assert best[name] == value, name
    assert (best["steps"], best["n_hidden"], best["best_step"]) == (30, 16, None)
    lecture = config("--preset", "lecture")
    assert lecture == {**config(), "init": "lecture"}, "the lecture's own initial parameters"
    # The end of the preset's schedule does not stand in the way of another schedule.
    other = config("--schedule", "inverse", "--preset", "best-context-3", "--batch-size", "all")
    assert (other["schedule"], other["lr_floor"], other["batch_size"]) == ("inverse", None, "all")
    early = config("--eval-every", "1", "--patience", "1", "--lr", "5", "--schedule", "constant")
    assert early["best_step"] < early["steps_done"] < 30
    sentence = refuse(tmp_path, "train", "--schedule", "step", "--lr-floor", "0.1")
    assert "--lr-floor belongs to the cosine schedule" in sentence


def test_one_text(tmp_path):
    (tmp_path / "one.txt").write_text("anna\n")
    out, _ = run(tmp_path, "train", "--data", "one.txt", *SMALL)
    assert out.count("n/a") == 6, "dev and gap of three models"
    assert "No verdict: there is no dev text" in out
    assert "nan" not in out
    out, _ = run(tmp_path, "eval", "runs/1", "--split", "test")
    assert "n/a" in out
    out, _ = run(tmp_path, "eval", "runs/1", "--json")
    assert [row["loss"] is None for row in json.loads(out)["losses"]] == [False, True]


def test_any_alphabet(tmp_path):
    texts = "中文\nżółw.\n[red]x[/red]\n"
    (tmp_path / "w.txt").write_text(texts, encoding="utf-8")
    assert "boundary" in refuse(tmp_path, "train", "--data", "w.txt", *SMALL)
    run(tmp_path, "train", "--data", "w.txt", "--boundary", "#", *SMALL)
    out, _ = run(tmp_path, "sample", "runs/1", "-n", "50")
    assert set("".join(out.split("\n"))) <= set(texts)
    assert (
        "cannot show"
        in run(tmp_path, "sample", "runs/1", "-n", "50", code=2, PYTHONIOENCODING="ascii")[1]
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--lr", "nan"], "lr is nan"),
        (["--lr", "inf"], "lr is inf"),
        (["--lr", "-1"], "lr is -1"),
        (["--lr", "fast"], "'fast' is not a valid float"),
        (["--lr", "1e37"], "try a smaller --lr"),
        (["--steps", "0"], "steps is 0"),
        (["--steps", 2**40], "steps is 1099511627776"),
        (["--n-hidden", "0"], "--n-hidden"),
        (["--n-hidden", 2**40], "--n-hidden"),
        (["--n-embd", 2**70], "--n-embd"),
        (["--block-size", "-3"], "--block-size"),
        (["--block-size", 2**40], "--block-size"),
        (["--batch-size", "0"], "--batch-size"),
        (["--batch-size", 2**40], "--batch-size"),
        (["--schedule", "linear"], "schedule is 'linear'"),
        (["--init", "zeros"], "zeros"),
        (["--seed", "-1"], "seed"),
        (["--threads", "0"], "threads"),
        (["--samples", "-1"], "samples is -1"),
        (["--samples", 2**40], "samples is 1099511627776, outside [0, 1000000]"),
        (["--split-seed", "-1"], "--split-seed is -1"),
        (["--schedule", "cosine", "--lr-floor", "nan"], "--lr-floor is nan"),
        (["--schedule", "inverse", "--lr-decay", "-1"], "--lr-decay is -1"),
        (["--boundary", "ab"], "boundary"),
        (["--data", "missing.txt"], "cannot read missing.txt: No such file"),
        (["--data", "."], "cannot read .: Is a directory"),
        (["--data", "empty.txt"], "empty.txt is empty"),
        (["--data", "blank.txt"], "blank.txt has only blank lines"),
        (["--data", "bytes.txt"], "line 2 of bytes.txt is not UTF-8: byte 3"),
        (["--bogus"], "--bogus"),
        (["extra"], "extra"),
    ],
)
def test_train_refuses(tmp_path, arguments, sentence):
    (tmp_path / "empty.txt").write_bytes(b"")
    (tmp_path / "blank.txt").write_bytes(b"\n\r\n  \n")
    (tmp_path / "bytes.txt").write_bytes(b"ok\nab\xff\n")
    assert sentence in refuse(tmp_path, "train", *SMALL, *arguments)
    assert not (tmp_path / "runs").exists(), "a run that kept nothing leaves no folder"
    refuse(tmp_path, "train", *SMALL, *arguments, "--out", "new/run")
    assert not (tmp_path / "new").exists()


def test_full_disk(tmp_path):
    if not os.path.exists("/dev/full"):
        pytest.skip("needs /dev/full")
    with open("/dev/full", "wb") as full:
        result = subprocess.run(
            command("info"), env=environment(), stdout=full, stderr=subprocess.PIPE, timeout=60
        )
    assert result.returncode == 2
    assert result.stderr.decode() == "makemore_cpp: standard output: No space left on device\n"


@pytest.mark.parametrize("subcommand", ["sample", "eval"])
def test_closed_output(trained, subcommand):
    folder, _ = trained
    arguments = " ".join(command(subcommand, "runs/1"))
    result = subprocess.run(
        ["sh", "-c", f"{arguments} >&-"], cwd=folder, env=environment(), stderr=subprocess.PIPE
    )
    assert result.returncode == 2
    assert result.stderr == b"makemore_cpp: standard output is closed, so nothing can be shown\n"


def test_closed_stderr(trained):
    folder, _ = trained
    for arguments, code in ((("train", *SMALL, "--out", "quiet"), 0), (("eval", "missing"), 2)):
        result = subprocess.run(
            ["sh", "-c", f"{' '.join(command(*arguments))} 2>&-"],
            cwd=folder,
            env=environment(),
            stdout=subprocess.PIPE,
        )
        assert result.returncode == code
        assert b"makemore_cpp: " not in result.stdout


def test_interrupt_keeps_the_model(tmp_path):
    process = subprocess.Popen(
        command("train", "--steps", 10**9, "--n-hidden", 20),
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    while not (tmp_path / "runs" / "1").exists() and process.poll() is None:
        time.sleep(0.05)
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=60)
    assert process.returncode == 130, error
    assert out == b""
    assert re.fullmatch(
        rb"makemore_cpp: interrupted after [\d,]+ of 1,000,000,000 steps, kept in runs/1; "
        rb"train --resume runs/1 goes on\n",
        error,
    )
    assert len(run(tmp_path, "sample", "runs/1", "-n", 3)[0].splitlines()) == 3


def test_live_progress_on_a_terminal(tmp_path):
    controller, terminal = pty.openpty()
    result = subprocess.Popen(
        command("train", *SMALL, "--steps", 100_000),
        cwd=tmp_path,
        env=environment(TERM="xterm", COLUMNS="120"),
        stdout=subprocess.PIPE,
        stderr=terminal,
    )
    os.close(terminal)
    seen = b""
    while True:
        try:
            part = os.read(controller, 65536)
        except OSError:
            break
        if not part:
            break
        seen += part
    out, _ = result.communicate(timeout=120)
    os.close(controller)
    assert result.returncode == 0
    assert b"of 100,000" in seen
    assert b"steps/s" in seen
    assert b"loss" in seen
    assert b"steps/s" not in out


def test_a_last_update_that_is_too_large_keeps_the_older_run(tmp_path):
    run(tmp_path, "train", *SMALL, "--out", "y")
    before = {path.name: path.read_bytes() for path in (tmp_path / "y").iterdir()}
    for more in ((), ("--eval-every", 0)):
        error = refuse(
            tmp_path, "train", "--steps", 1, "--lr", "1e38", "--out", "y", "--overwrite", *more
        )
        assert "loss nan, learning rate 1e+38); try a smaller --lr" in error
    assert {path.name: path.read_bytes() for path in (tmp_path / "y").iterdir()} == before


def test_a_train_loss_that_is_not_finite_keeps_nothing(tmp_path):
    code = (
        "import sys; from makemore_cpp import evaluation; from makemore_cpp.cli.main import main\n"
        "row = evaluation.ModelLosses('this model', float('inf'), 2.0)\n"
        "evaluation.model_losses = lambda *arguments: row\n"
        f"sys.argv = ['makemore_cpp', 'train', *{SMALL}]\n"
        "main()"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment(), capture_output=True
    )
    assert result.returncode == 2
    assert b"the train loss after its update is not finite (loss inf" in result.stderr
    assert list(tmp_path.iterdir()) == []


# -- sample ---------------------------------------------------------------------------------------
def test_sample(trained):
    folder, _ = trained
    out, error = run(folder, "sample", "runs/1", "-n", 30, "--seed", 5)
    assert len(out.splitlines()) == 30
    assert error == ""
    first, _ = run(folder, "sample", "runs/1/model.safetensors", "-n", 7, "--seed", 5)
    assert out.startswith(first)
    assert run(folder, "sample", "runs/1", "-n", 0)[0] == ""
    lines = run(folder, "sample", "runs/1", "-n", 30, "--seed", 5, "--json")[0].splitlines()
    assert [json.loads(line)["text"] for line in lines] == out.splitlines()


def test_samples_that_do_not_end_are_drawn_again(trained):
    folder, _ = trained
    out, error = run(folder, "sample", "runs/1", "-n", 30, "--max-length", 2)
    assert len(out.splitlines()) == 30
    assert {len(line) for line in out.splitlines()} <= {1, 2}, "none is blank, none is marked"
    assert error == ""
    keep = ("--max-length", 2, "--unfinished", "keep")
    out, error = run(folder, "sample", "runs/1", "-n", 30, *keep)
    assert max(map(len, out.splitlines())) == 2, "the mark is for a terminal"
    cut = int(re.fullmatch(r"makemore_cpp: (\d+) of 30 samples were cut at 2 tokens\n", error)[1])
    assert 0 < cut < 30


def test_what_is_sampled_in_bulk_can_be_trained_on(trained):
    """No mark of a cut becomes a letter, and no line is blank."""
    folder, _ = trained
    out, _ = run(folder, "sample", "runs/1", "-n", 3000, "--unique", "--exclude", "train",
                 PYTHONIOENCODING="ascii")  # fmt: skip
    (folder / "new.txt").write_text(out)
    assert set(out) <= set("abcdefghijklmnopqrstuvwxyz\n")
    assert "" not in out.splitlines()
    result, _ = run(folder, "train", *SMALL, "--data", "new.txt", "--out", "second", "--json")
    assert json.loads(result)["steps"] == 300
    config = json.loads((folder / "second" / "config.json").read_text())
    assert config["characters"] == "abcdefghijklmnopqrstuvwxyz"


@pytest.mark.parametrize("n", [5, 100_000])
def test_closed_pipe_is_quiet(trained, n):
    folder, _ = trained
    process = subprocess.Popen(
        command("sample", "runs/1", "-n", n),
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.readline()
    process.stdout.close()
    error = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=60) in (0, 1)
    assert error == b""


@pytest.mark.parametrize("name", ["missing", ".", "text"])
@pytest.mark.parametrize("subcommand", ["sample", "eval"])
def test_no_model(tmp_path, subcommand, name):
    (tmp_path / "text").write_text("hello")
    refuse(tmp_path, subcommand, name)


# -- eval -----------------------------------------------------------------------------------------
def test_eval(trained):
    folder, printed = trained
    out, _ = run(folder, "eval", "runs/1", "--json")
    losses = {row["split"]: row["loss"] for row in json.loads(out)["losses"]}
    assert list(losses) == ["train", "dev"]
    for loss in losses.values():
        assert f"{loss:.4f}" in printed
    assert not (folder / "runs" / "1" / "test_looks.jsonl").exists()


def test_eval_says_how_well_the_model_fits(trained):
    folder, _ = trained
    for arguments in ((), ("--split", "dev")):
        out, _ = run(folder, "eval", "runs/1", *arguments)
        for text in ("uniform", "bigram", "4-gram, Kneser-Ney", "6-gram, Kneser-Ney", "this model",
                     "floor with 3 tokens of context", "gap", "% of the dev texts"):  # fmt: skip
            assert text in out
        assert out.count("\nUnderfitting: ") == 1
    found = json.loads(run(folder, "eval", "runs/1", "--json")[0])["diagnosis"]
    assert found["verdict"] == "underfitting"
    assert found["sentence"] in out
    assert f"{found['floor']:.4f}" in out
    (folder / "half.txt").write_text("\n".join(["anna", "bob", "hannah"] * 10))
    out, _ = run(folder, "eval", "runs/1", "--data", "half.txt")
    assert "No verdict: the model was not trained on this train split." in out


def test_eval_draws_pictures(trained, tmp_path):
    folder, _ = trained
    out, error = run(folder, "eval", "runs/1", "--pictures", tmp_path / "new")
    assert error == ""
    files = [tmp_path / "new" / name for name in ("embeddings.png", "hidden.png")]
    assert [line for line in out.splitlines() if line.startswith("picture: ")] == [
        f"picture: {file}" for file in files
    ]
    assert files[0].read_bytes() == (folder / "runs" / "1" / "embeddings.png").read_bytes()
    (tmp_path / "file").write_text("")
    error = refuse(folder, "eval", "runs/1", "--split", "test", "--pictures", tmp_path / "file")
    assert "cannot make the folder" in error
    assert not (folder / "runs" / "1" / "test_looks.jsonl").exists(), "nothing was shown"


def test_looks_at_test_are_recorded(trained, tmp_path):
    folder, _ = trained
    model = tmp_path / "model.safetensors"
    model.write_bytes((folder / "runs" / "1" / "model.safetensors").read_bytes())
    for looks in (1, 2):
        out, _ = run(tmp_path, "eval", model, "--split", "test", "--json")
        assert json.loads(out)["test_looks"] == looks
    run(tmp_path, "eval", ".", "--split", "all")
    run(tmp_path, "eval", ".", "--split", "dev")
    lines = (tmp_path / "test_looks.jsonl").read_text().splitlines()
    assert [json.loads(line)["losses"][0]["split"] for line in lines] == ["test", "test", "all"]


def test_eval_refuses_changed_data(tmp_path):
    path = tmp_path / "w.txt"
    path.write_text("anna\nbob\nhannah\n")
    run(tmp_path, "train", "--data", "w.txt", *SMALL)
    run(tmp_path, "eval", "runs/1", "--split", "all")
    path.write_text("anna\nbob\n")
    assert f"{path} has changed" in refuse(tmp_path, "eval", "runs/1")
    run(tmp_path, "eval", "runs/1", "--data", "w.txt")
    path.write_text("anna\nbobx\n")
    assert "'x'" in refuse(tmp_path, "eval", "runs/1", "--data", "w.txt")
    path.unlink()
    assert "cannot read" in refuse(tmp_path, "eval", "runs/1")


def test_eval_of_a_huge_loss(tmp_path):
    _, error = run(tmp_path, "train", "--steps", 1, "--lr", "1e6", "--out", "a")
    assert error == ""
    out, _ = run(tmp_path, "eval", "a")
    assert out.count("> 1e308") == 2
    rows = json.loads(run(tmp_path, "eval", "a", "--json")[0])["losses"]
    assert all(row["loss"] > 1000 and row["perplexity"] is None for row in rows)


def test_eval_of_a_path_with_markup(trained):
    folder, _ = trained
    for name in ("x[/]", "[red]"):
        (folder / name).mkdir(exist_ok=True, parents=True)
        model = (folder / "runs" / "1" / "model.safetensors").read_bytes()
        (folder / name / "model.safetensors").write_bytes(model)
        assert f"Loss of {name} on" in run(folder, "eval", name)[0]


def test_a_narrow_terminal_cuts_no_figure(trained):
    folder, _ = trained
    wide, narrow = (run(folder, "eval", "runs/1", COLUMNS=columns)[0] for columns in ("120", "20"))
    figures = re.findall(r"[\d,.]*\d", wide[wide.index("split") :])
    assert len(figures) > 20
    assert re.findall(r"[\d,.]*\d", narrow[narrow.index("split") :]) == figures
    assert "…" not in narrow


def test_eval_names_the_text_that_it_cannot_read(trained):
    folder, _ = trained
    (folder / "other.txt").write_text("anna\n" * 20 + "bo!b\n" + "anna\n" * 20)
    for split in ("train", "all"):
        arguments = ("eval", "runs/1", "--data", "other.txt", "--split", split)
        assert "texts[20] 'bo!b': the character '!' at position 2" in refuse(folder, *arguments)


def test_eval_of_an_unknown_split(trained):
    folder, _ = trained
    assert "'half'" in refuse(folder, "eval", "runs/1", "--split", "half")


# -- info and help --------------------------------------------------------------------------------
def test_info(tmp_path):
    out, _ = run(tmp_path, "info", "--json")
    info = json.loads(out)
    assert {"build", "sizes", "cut"} == set(info)
    assert info["build"]["isa"]["used"] in info["build"]["isa"]["found"]
    is_installed = (PACKAGE_PARENT / "makemore_cpp" / "include").exists()
    assert ("include_dir" in info["build"]) == ("cmake_dir" in info["build"]) == is_installed
    out, _ = run(tmp_path, "info", "--n-hidden", 64)
    assert info["build"]["version"] in out
    assert "--n-hidden" in refuse(tmp_path, "info", "--n-hidden", 0)


def test_an_unknown_instruction_set_is_one_sentence(trained):
    folder, _ = trained
    for arguments in (("--help",), ("--version",), ("train", "--help")):
        assert run(folder, *arguments, MAKEMORE_ISA="bogus")[0]
    for arguments in (("info",), ("train", *SMALL), ("sample", "runs/1"), ("eval", "runs/1")):
        assert "MAKEMORE_ISA" in refuse(folder, *arguments, MAKEMORE_ISA="bogus")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("\udcff", r"'\xff'"),
        ("avx2\udce9", r"'avx2\xe9'"),
        ("\x1b[31m\n", r"'\u{001B}[31m\u{000A}'"),
        ("zoë", "'zoë'"),
    ],
)
def test_an_instruction_set_that_is_no_text(tmp_path, name, shown):
    error = refuse(tmp_path, "info", MAKEMORE_ISA=name)
    assert f"MAKEMORE_ISA: {shown} is not an instruction set of this build" in error


def commands(group, path=()):
    for name, one in group.commands.items():
        if isinstance(one, click.Group):
            yield from commands(one, (*path, name))
        else:
            yield (*path, name), one


@pytest.mark.parametrize(
    "path", [path for path, _ in commands(cli)], ids=lambda path: " ".join(path)
)
def test_numbers_that_are_far_too_large(trained, path, monkeypatch, capsys):
    """One sentence about each, also where an experiment does a part of so many steps."""
    folder, _ = trained
    monkeypatch.chdir(folder)
    parameters = dict(commands(cli))[path].params
    places = [p.name for p in parameters if isinstance(p, click.Argument) and p.required]
    start = [*path, *({"run": "runs/1", "file": "header.h", "token": "a"}[name] for name in places)]
    flags = ["--quick"] if any("--quick" in p.opts for p in parameters) else []
    for option in parameters:
        is_integer = re.search("int", option.type.name) and isinstance(option, click.Option)
        if not is_integer or option.is_flag:
            continue
        for number in (10**400, -(10**400)):
            monkeypatch.setattr(sys, "argv", ["", *start, *flags, f"{option.opts[0]}={number}"])
            with pytest.raises(SystemExit) as ended:
                main()
            assert ended.value.code == 2, option.name
            assert is_one_sentence(capsys.readouterr().err), option.name


def test_names_of_the_users_own_stay(tmp_path):
    (tmp_path / "n_hidden").mkdir()
    (tmp_path / "n_hidden" / "x").touch()
    assert "n_hidden is not empty" in refuse(tmp_path, "train", *SMALL, "--out", "n_hidden")
    for name in ("batch_size", "data", "seed"):
        assert f"cannot read {name}: No such file" in refuse(tmp_path, "train", "--data", name)
    mm.NGram(mm.Vocab(["a"]), ["a"]).save(tmp_path / "m")
    assert "NGram(order=2, vocab_size=2)" in refuse(tmp_path, "detect", "m")


def test_help(tmp_path):
    for arguments in ((), ("--help",)):
        out, _ = run(tmp_path, *arguments)
        assert {"train", "sample", "eval", "info"} <= set(out.split())
    for subcommand in ("train", "sample", "eval", "info"):
        assert "--json" in run(tmp_path, subcommand, "--help")[0]
    assert "nonsense" in refuse(tmp_path, "nonsense")


def test_help_imports_little(tmp_path):
    code = (
        "import sys; sys.argv = ['makemore_cpp', '--help']\n"
        "from makemore_cpp.cli import exits; from makemore_cpp.cli.main import cli\n"
        "code = exits.run(cli)\n"
        "heavy = [m for m in ('matplotlib', 'rich', 'importlib.metadata') if m in sys.modules]\n"
        "sys.exit(f'imported: {heavy}' if heavy else code)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, timeout=60
    )
    assert result.returncode == 0, result.stderr


def test_help_does_not_vanish_with_docstrings():
    code = (
        "import click; from makemore_cpp.cli.main import cli\n"
        "def walk(name, command):\n"
        "    print(name, len(command.help or '') > 20)\n"
        "    for part in getattr(command, 'commands', {}).items(): walk(*part)\n"
        "walk('all', cli)"
    )
    shown = subprocess.run(
        [sys.executable, "-OO", "-c", code], env=environment(), capture_output=True, check=True
    )
    lines = shown.stdout.decode().splitlines()
    assert len(lines) > 15
    assert all(line.endswith("True") for line in lines), lines
