"""The lecture: all its parts are there, and each number is the result of the code beside it."""

from __future__ import annotations

import ast
import json
import re
import warnings
from html.parser import HTMLParser
from pathlib import Path
from string import Formatter
from typing import Any, NamedTuple

import numpy as np
import pytest
from click.testing import CliRunner
from command_line import refuse, run
from hostile_texts import PAYLOADS
from in_chromium import chromium, violations

import makemore_cpp as mm
from makemore_cpp import lecture, reference
from makemore_cpp.cli.main import cli
from makemore_cpp.lecture import Segment, Shown
from makemore_cpp.lecture.page import text_of
from makemore_cpp.lecture.walk import NOTHING
from makemore_cpp.lecture.walk import run as run_code

STEPS, SEED = 2_000, 3
MINUTES = ["0:00", "1:48", "5:43", "9:02", "12:21", "18:37", "29:41", "33:38", "37:59", "44:45",
           "52:00", "56:31", "71:00", "73:24"]  # fmt: skip
EXERCISES = [
    *(f"Question {i}" for i in range(1, 6)),
    *(f"Challenge {i}" for i in range(1, 6)),
    *(f"Reflection {i}" for i in range(1, 4)),
]


class Section(NamedTuple):
    """The texts of one part of the page."""

    title: str
    codes: list[str]
    values: dict[str, str]
    finding: str


class Parsed(HTMLParser):
    """The parts of a page, and the names of all its elements."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.sections: list[Section] = []
        self.place, self.name = "", ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag == "section":
            self.sections.append(Section("", [], {}, ""))
        if tag == "code" and self.sections:
            self.sections[-1].codes.append("")
        if ("class", "finding") in attrs:
            self.place = "finding"
        elif tag in {"h2", "code", "dt", "dd"}:
            self.place = tag
        if tag == "dt":
            self.name = ""
        if tag == "dd":
            self.sections[-1].values[self.name] = ""

    def handle_endtag(self, tag: str) -> None:
        if tag in {"h2", "code", "dt", "dd", "p"}:
            self.place = ""

    def handle_data(self, data: str) -> None:
        if not self.sections:
            return
        here = self.sections[-1]
        if self.place == "code":
            here.codes[-1] += data
        elif self.place == "dt":
            self.name += data
        elif self.place == "dd":
            here.values[self.name] += data
        elif self.place in ("h2", "finding"):
            field = {"h2": "title"}.get(self.place, self.place)
            self.sections[-1] = here._replace(**{field: getattr(here, field) + data})


def names_file(folder: Path, n: int = 600) -> Path:
    path = folder / "names.txt"
    path.write_text("".join(f"{name}\n" for name in mm.load_texts()[:n]))
    return path


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> list[Segment]:
    path = names_file(tmp_path_factory.mktemp("names"))
    return lecture.segments(str(path), SEED, STEPS)


@pytest.fixture(scope="module")
def shown(parts: list[Segment]) -> list[Shown]:
    return list(lecture.walk(parts))


@pytest.fixture(scope="module")
def folder(shown: list[Shown], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lecture")
    lecture.save(path, shown)
    return path


@pytest.fixture(scope="module")
def again(folder: Path) -> list[dict[str, Any]]:
    """Run the code that the page shows once more, and return its values."""
    namespace: dict[str, Any] = {}
    found = []
    for section in Parsed((folder / lecture.PAGE_FILE).read_text()).sections:
        code, *pictures = section.codes
        found.append(run_code(code, namespace))
        for picture in pictures:
            assert run_code(picture, namespace)._repr_png_().startswith(b"\x89PNG")
    return found


def is_time(name: str) -> bool:
    return name == "seconds" or name.endswith("_us")


def faults(page: str, parts: list[Segment], again: list[dict[str, Any]]) -> list[str]:
    """Return the titles of the parts of a page whose numbers are not these values."""
    sections = Parsed(page).sections
    assert [section.title.strip() for section in sections] == [
        re.sub(r"\((\d+:\d+)\)$", r"\1", part.title) for part in parts
    ]
    return [
        part.title
        for section, part, values in zip(sections, parts, again, strict=True)
        if not (sentence_fits(section.finding, part, values) and values_fit(section, values))
    ]


def sentence_fits(sentence: str, part: Segment, values: dict[str, Any]) -> bool:
    if any(value is None for value in values.values()):
        return sentence == NOTHING
    pattern = ""
    for text, name, form, _ in Formatter().parse(part.sentence):
        pattern += re.escape(text)
        if name is not None:
            pattern += r"[\d.,]+" if is_time(name) else re.escape(format(values[name], form))
    return re.fullmatch(pattern, sentence) is not None


def values_fit(section: Section, values: dict[str, Any]) -> bool:
    values = {name: value for name, value in values.items() if value != section.finding}
    if list(section.values) != list(values):
        return False
    return all(
        re.fullmatch(pattern_of(name, value), section.values[name])
        for name, value in values.items()
    )


def pattern_of(name: str, value: Any) -> str:
    """Return a pattern for a value on the page; of a time it accepts any number."""
    if is_time(name):
        return r"[\d.,e+-]+"
    if isinstance(value, list) and value and isinstance(value[0], dict):
        cells = [pattern_of(key, one) for row in value for key, one in row.items()]
        return re.escape("".join(value[0])) + "".join(cells)
    if isinstance(value, list):
        return "".join(pattern_of(name, one) for one in value)
    return re.escape(text_of(value))


# -- the script ----------------------------------------------------------------------------------
def test_every_segment_and_exercise_is_there(parts: list[Segment]) -> None:
    titles = [part.title for part in parts]
    for minute in MINUTES:
        assert any(title.endswith(f"({minute})") for title in titles), minute
    for exercise in EXERCISES:
        assert sum(title.startswith(f"{exercise}:") for title in titles) == 1, exercise
    assert titles.index("Question 1: why not count longer contexts?") + 13 == len(titles)


def test_no_number_of_a_sentence_is_written_in_it(parts: list[Segment]) -> None:
    for part in parts:
        assert part.claim
        assert part.sentence
        for text, name, _, _ in Formatter().parse(part.sentence):
            assert not re.search(r"\d", text), part.title
            assert name is None or name.isidentifier(), part.title


def test_what_segments_refuse() -> None:
    with pytest.raises(mm.ArgumentError, match="steps"):
        lecture.segments(steps=0)
    with pytest.raises(mm.ArgumentError, match="seed"):
        lecture.segments(seed=-1)
    with pytest.raises(TypeError, match="path"):
        lecture.segments(path=3)  # type: ignore[arg-type]
    assert "seed, steps = 7, 1_000\n" in lecture.segments(None, 7, 1_000)[0].code


# -- what the page says --------------------------------------------------------------------------
def test_every_number_is_the_librarys(
    folder: Path, parts: list[Segment], again: list[dict[str, Any]]
) -> None:
    assert faults((folder / lecture.PAGE_FILE).read_text(), parts, again) == []


def test_a_changed_number_is_noticed(
    folder: Path, parts: list[Segment], again: list[dict[str, Any]]
) -> None:
    page = (folder / lecture.PAGE_FILE).read_text()
    changed = 0
    for pattern in (r'<b title="(\w+)">[^<]*?(\d)', r"<dt>(\w+)</dt><dd><bdi>(\d)"):
        for found in re.finditer(pattern, page):
            if not is_time(found[1]):
                digit = str((int(found[2]) + 1) % 10)
                wrong = page[: found.start(2)] + digit + page[found.end(2) :]
                assert len(faults(wrong, parts, again)) == 1, found[0]
                changed += 1
    assert changed > 150


def test_values_by_other_means(shown: list[Shown], parts: list[Segment]) -> None:
    found = {one.segment.title: one.values for one in shown}
    texts = [str(text) for text in mm.load_texts()[:600]]
    data = mm.Dataset.split(texts, block_size=3)
    assert found["Texts and tokens (0:00)"]["examples"] == sum(len(t) + 1 for t in texts)
    assert found["A window slides over a text (9:02)"]["windows"] == [
        "... -> e", "..e -> m", ".em -> m", "emm -> a", "mma -> .",
    ]  # fmt: skip
    curse = found["The curse of dimensionality (0:00)"]
    padded = ["." * 9 + text + "." for text in data.train.texts]
    assert curse["seen"] == len({t[i : i + 9] for t in padded for i in range(len(t) - 9)})
    assert curse["possible"] == len(data.vocab) ** 9
    lookup = found["Looking up is multiplying by one-hot vectors (12:21)"]
    assert lookup["difference"] == 0
    assert lookup["product_bytes"] == len(data.vocab) * lookup["lookup_bytes"] == 32 * 3 * 27 * 4
    view = found["A view copies nothing (18:37)"]
    assert (view["equal"], view["view_bytes"], view["copy_bytes"]) == (True, 0, 32 * 6 * 4)
    net = mm.MLP(data.vocab, 3, 2, 100, SEED, "lecture")
    wide = {name: array.astype(np.float64) for name, array in net.parameters.items()}
    expected = reference.mean_loss(**wide, X=data.train.X[:32], Y=data.train.Y[:32])
    forward = found["The forward pass and its first loss (29:41)"]
    assert forward["by_hand"] == pytest.approx(expected, rel=1e-5)
    assert forward["loss"] == pytest.approx(expected, rel=1e-5)
    softmax = found["A softmax that does not overflow (33:38)"]
    assert (softmax["naive"], softmax["stable"]) == ("nan, nan, nan", "0.0900, 0.2447, 0.6652")
    assert found["Challenge 1: implement the MLP"]["difference"] < 1e-4
    names = found["New names (73:24)"]
    assert names["new"] == sum(text not in data.train.texts for text in names["samples"])


def test_a_value_that_there_is_not_says_so() -> None:
    code = "dict(answer=None, n=3)"
    one = next(lecture.walk([Segment("A title", "A claim.", code, "{n} and {answer}")]))
    assert one.sentence == NOTHING


def test_a_picture_that_fails_costs_nothing_else(tmp_path: Path) -> None:
    part = Segment("A title (1:00)", "A claim.", "n = 3\ndict(n=n)", "{n}", "It", "n / 0")
    shown = list(lecture.walk([part]))
    assert (shown[0].sentence, shown[0].png) == ("3", None)
    lecture.save(tmp_path, shown)
    assert "ZeroDivisionError: division by zero" in (tmp_path / lecture.PAGE_FILE).read_text()
    assert not list(tmp_path.glob("*.png"))


# -- the notebook --------------------------------------------------------------------------------
def test_the_notebook_has_the_code_of_the_page(folder: Path) -> None:
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.read(folder / lecture.NOTEBOOK_FILE, as_version=4)
    nbformat.validate(notebook)
    sources = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    sections = Parsed((folder / lecture.PAGE_FILE).read_text()).sections
    assert sources == [code for section in sections for code in section.codes]


def test_the_notebook_runs_and_gives_the_same_values(
    folder: Path, again: list[dict[str, Any]]
) -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    notebook = nbformat.read(folder / lecture.NOTEBOOK_FILE, as_version=4)
    nbclient.NotebookClient(notebook, timeout=600).execute()
    results = [cell.outputs[-1].data for cell in notebook.cells if cell.cell_type == "code"]
    values = [data["text/plain"] for data in results if "image/png" not in data]
    assert sum("image/png" in data for data in results) == len(list(folder.glob("*.png")))
    for text, expected in zip(values, again, strict=True):
        found = ast.literal_eval(text)
        assert same(found, expected), text


def same(found: Any, expected: Any) -> bool:
    """Whether values are equal, times aside."""
    if isinstance(expected, dict):
        return found.keys() == expected.keys() and all(
            is_time(name) or same(found[name], value) for name, value in expected.items()
        )
    if isinstance(expected, list | tuple):
        return len(found) == len(expected) and all(map(same, found, expected))
    return bool(found == expected)


# -- hostile texts, and a browser ----------------------------------------------------------------
@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("hostile")
    file = place / "<img src=x onerror=alert(1)>'\"\\\n.txt"
    texts = [text.replace(".", "·").replace("\n", "") for text in PAYLOADS]
    file.write_text("".join(f"{text}\n" for text in texts * 4))
    with warnings.catch_warnings():  # samples of so few steps do not end
        warnings.simplefilter("ignore", mm.LengthWarning)
        lecture.save(place, list(lecture.walk(lecture.segments(str(file), steps=200))))
    return place


def test_no_text_becomes_markup(folder: Path, hostile: Path) -> None:
    good, bad = (Parsed((place / lecture.PAGE_FILE).read_text()) for place in (folder, hostile))
    assert bad.tags == good.tags
    assert bad.attributes == good.attributes
    assert len(bad.sections) == len(good.sections)
    assert "script" not in bad.tags
    nbformat = pytest.importorskip("nbformat")
    nbformat.validate(nbformat.read(hostile / lecture.NOTEBOOK_FILE, as_version=4))


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_in_a_browser(folder: Path, hostile: Path, width: int, dark: bool) -> None:
    with chromium() as browser:
        tab = browser.new_page()
        for place in (folder, hostile):
            path = place / lecture.PAGE_FILE
            tab.open(path, width, dark)
            assert tab.complaints == []
            assert tab.dialogs == 0
            assert [url for url in tab.requests if not url.startswith("data:")] == [path.as_uri()]
            assert tab.run("document.documentElement.scrollWidth") <= width
            assert tab.run("Array.from(document.images).every((one) => one.naturalWidth > 500)")


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [360, 1280])
def test_axe_finds_nothing(folder: Path, width: int, dark: bool) -> None:
    with chromium() as browser:
        tab = browser.new_page()
        tab.open(folder / lecture.PAGE_FILE, width, dark)
        assert violations(tab) == []


# -- the command ---------------------------------------------------------------------------------
def test_the_command(tmp_path: Path) -> None:
    names_file(tmp_path, 300)
    arguments = ["lecture", "--data", "names.txt", "--steps", 500, "--seed", 2]
    found = json.loads(run(tmp_path, *arguments, "--json")[0])
    folder = tmp_path / found["folder"]
    assert found["folder"] == "lectures/1"
    assert len(found["parts"]) > 25
    pictures = {part["picture"] for part in found["parts"] if part["picture"]}
    assert {path.name for path in folder.iterdir()} == pictures | {"lecture.html", "lecture.ipynb"}
    out, error = run(tmp_path, *arguments, "--out", "mine")
    assert error == ""
    assert out.endswith("lecture folder: mine, with lecture.html\n")
    timeless = [part for part in found["parts"] if not re.search(r"µs|\d s ", part["sentence"])]
    assert len(timeless) > 20
    for part in timeless:
        assert f"{part['title']}\n  {part['sentence']}\n" in out
    assert "mine is not empty" in refuse(tmp_path, *arguments, "--out", "mine")


def test_what_was_shown_stays_when_no_file_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shown: list[Shown]
) -> None:
    def save(*_: object) -> None:
        raise mm.FileError("cannot write 'lecture.html': No space left on device")

    monkeypatch.setattr(lecture, "walk", lambda *_: iter(shown[:2]))
    monkeypatch.setattr(lecture, "save", save)
    result = CliRunner().invoke(cli, ["lecture", "--out", str(tmp_path / "new")])
    assert isinstance(result.exception, mm.FileError)
    assert f"{shown[1].segment.title}\n  {shown[1].sentence}\n" in result.output
    assert not (tmp_path / "new").exists()


def test_what_the_command_refuses(tmp_path: Path) -> None:
    names_file(tmp_path, 12)
    few = refuse(tmp_path, "lecture", "--data", "names.txt")
    assert "the lecture needs 200 texts or more; there are 12" in few
    (tmp_path / "many.txt").write_text("".join(f"{chr(0x4E00 + i)}\n" for i in range(300)))
    assert "at most 256 different characters" in refuse(tmp_path, "lecture", "--data", "many.txt")
    assert "--data - is no file" in refuse(tmp_path, "lecture", "--data", "-", text="a\n")
    assert "cannot read" in refuse(tmp_path, "lecture", "--data", "missing.txt")
    assert "--steps" in refuse(tmp_path, "lecture", "--steps", 0)
    (tmp_path / "file").touch()
    assert "cannot make the folder file" in refuse(tmp_path, "lecture", "--out", "file")
    assert not (tmp_path / "lectures").exists()
