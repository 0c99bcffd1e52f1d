"""Pictures of sweeps: their axes are right, and nothing else changes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from architecture import loaded_by
from matplotlib.figure import Figure

import makemore_cpp as mm
from makemore_cpp.sweeps import lr_search, pictures
from makemore_cpp.sweeps.table import Row, Table

MISSING = {"train": None, "dev": None, "last_100": None, "diverged": True}


def table(*options, **change):
    rows = [
        Row(
            options=o, seed=1, parameters=10, steps=5, examples=160, train=2.0 + i, dev=2.1 + i,
            last_100=2.2 + i, seconds=1.0, isa="avx2", diverged=False,
        )
        for i, o in enumerate(options)
    ]  # fmt: skip
    rows[-1] = replace(rows[-1], **change)
    return Table.of(rows)


PRODUCT = [{"n_hidden": h, "lr": lr} for h in (50, 100) for lr in (0.1, 0.2, 0.3)]


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_axes_are_given_or_new():
    for draw, drawn in (
        (pictures.heat_map, table(*PRODUCT)),
        (pictures.sweep, table(*PRODUCT)),
        (pictures.lines, table(*PRODUCT)),
        (pictures.fixed_rates, table(*PRODUCT[:3])),
        (pictures.ngrams, mm.evaluation.ngram_table(mm.Dataset.split(["anna", "emma"] * 9), 2)),
        (
            pictures.rate_curve,
            lr_search.growing_rate(mm.Dataset.split(["anna"]), {"n_hidden": 2}, steps=50),
        ),
    ):
        ax = Figure().add_subplot()
        assert draw(drawn, ax=ax) is ax
        draw(drawn).figure.canvas.draw()
    assert loaded_by("import makemore_cpp.sweeps.pictures", ["matplotlib.pyplot"]) == []


def test_heat_map_has_every_cell():
    ax = pictures.heat_map(table(*PRODUCT, **MISSING))
    assert [text.get_text() for text in ax.texts] == [
        "2.1000", "3.1000", "4.1000", "5.1000", "6.1000", "diverged",
    ]  # fmt: skip
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["50", "100"]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["0.1", "0.2", "0.3"]
    with pytest.raises(mm.ArgumentError, match="two options that vary"):
        pictures.heat_map(table(*PRODUCT[:3]))


def test_a_heat_map_without_any_loss():
    everything = table(*PRODUCT)
    rows = [replace(row, **MISSING) for row in everything.rows]
    ax = pictures.heat_map(Table.of(rows))
    ax.figure.canvas.draw()
    assert {text.get_text() for text in ax.texts} == {"diverged"}


def test_lines():
    ax = pictures.sweep(table(*PRODUCT[:3]))
    assert legend(ax) == ["train", "dev"]
    assert ax.get_xscale() == "log"
    ax = pictures.lines(table(*PRODUCT, **MISSING))
    assert set(legend(ax)) == {"n_hidden 50", "n_hidden 100", "diverged"}
    ax = pictures.lines(table({"batch_size": 32}, {"batch_size": "all"}, {"batch_size": 1}))
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["1", "32", "all"]


def test_the_recommended_range_is_shown():
    ax = pictures.fixed_rates(table(*PRODUCT[:3], **MISSING))
    assert set(legend(ax)) == {
        "mean loss of the last 100 steps", "within 0.05 of the lowest loss", "diverged",
    }  # fmt: skip
