"""The recipes of .readme/arrow.md, with the libraries for which they are written."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from extent import SANITIZED
from test_architecture import ROOT
from text_models import model_of

import makemore_cpp as mm

PAGE = ROOT / ".readme" / "arrow.md"
NAMES = ["emma", None, "xqzt", "", "bartholomewandmary", "annabellachristina", None, "jayden"]
KNOWN = [name for name in NAMES if name is not None]
MODEL = model_of("tabulated")
SCORES = [None if name is None else MODEL.score([name])[0] for name in NAMES]

pytestmark = [
    pytest.mark.skipif(SANITIZED, reason="these libraries are not built for it"),
    pytest.mark.filterwarnings("default"),  # the libraries' own warnings
]


def blocks() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def recipe(word: str) -> str:
    """Return the one block of the page that has this word."""
    (found,) = [block for block in blocks() if word in block]
    return found


def with_nulls(scores: np.ndarray) -> list[float | None]:
    return [None if math.isnan(score) else score for score in scores.tolist()]


# -- columns of all sorts --------------------------------------------------------------------------
def arrow_columns() -> dict[str, Callable[[], Any]]:
    pa = pytest.importorskip("pyarrow")

    def column(kind: Any) -> Any:
        return pa.array(NAMES, kind)

    return {
        "string": lambda: column(pa.string()),
        "large_string": lambda: column(pa.large_string()),
        "string_view": lambda: column(pa.string_view()),
        "slice": lambda: pa.array(["x", *NAMES, "y"]).slice(1, len(NAMES)),
        "slice of views": lambda: pa.array(["x", *NAMES], pa.string_view()).slice(1),
        "chunked": lambda: pa.chunked_array([NAMES[:3], [], NAMES[3:]]),
        "column of a table": lambda: pa.table({"name": NAMES})["name"],
    }


@pytest.mark.parametrize("kind", [
    "string", "large_string", "string_view", "slice", "slice of views", "chunked",
    "column of a table",
])  # fmt: skip
def test_columns_of_pyarrow(kind: str) -> None:
    column = arrow_columns()[kind]()
    for model in (MODEL, model_of("KneserNey")):
        expected = [None if n is None else model.score([n])[0] for n in NAMES]
        assert with_nulls(model.score(column)) == expected
    if "view" not in kind:  # pyarrow can drop none of them
        assert mm.Vocab.from_texts(column.drop_null()) == mm.Vocab.from_texts(KNOWN)


def test_tables_and_other_types_of_pyarrow() -> None:
    pa = pytest.importorskip("pyarrow")
    table = pa.table({"name": KNOWN})
    for wrong in (table, table.to_batches()[0]):
        with pytest.raises(TypeError, match="texts is a table"):
            MODEL.score(wrong)
    with pytest.raises(TypeError, match="texts is a table of Arrow columns; give one of them"):
        MODEL.score(table.to_reader())
    with pytest.raises(TypeError, match="texts holds Arrow values of a dictionary"):
        MODEL.score(pa.array(KNOWN).dictionary_encode())
    with pytest.raises(TypeError, match="texts holds Arrow values of the format 'l'"):
        MODEL.score(pa.array([1, 2]))


def test_a_generator_of_pyarrow_that_raises() -> None:
    pa = pytest.importorskip("pyarrow")

    def chunks() -> Any:
        yield pa.array(["emma"])
        raise OSError("the disk\nis gone")

    class Lazy:
        """A column that is made while it is read."""

        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            return pa.RecordBatchReader.from_batches(
                pa.schema({"name": pa.string()}),
                (pa.record_batch([chunk], ["name"]) for chunk in chunks()),
            ).__arrow_c_stream__()

    with pytest.raises(TypeError, match="is a table of Arrow columns"):
        MODEL.score(Lazy())


def test_columns_of_polars() -> None:
    pl = pytest.importorskip("polars")
    column = pl.Series("name", NAMES)
    for series in (column, pl.concat([column[:3], column[3:]], rechunk=False), column[::1]):
        assert with_nulls(MODEL.score(series)) == SCORES
    assert mm.Dataset.split(column.drop_nulls()).texts == mm.Dataset.split(KNOWN).texts
    sampled = pl.Series(MODEL.sample(100, as_arrow=True))
    assert sampled.to_list() == MODEL.sample(100)
    with pytest.raises(TypeError, match="texts is a table"):
        MODEL.score(pl.DataFrame({"name": column}))


def test_columns_of_pandas() -> None:
    pd = pytest.importorskip("pandas")
    for column in (pd.Series(KNOWN), pd.Series(KNOWN, dtype="string"), pd.Series(KNOWN)[::2]):
        assert MODEL.score(column).tolist() == MODEL.score(column.tolist()).tolist()
    with pytest.raises(TypeError, match="texts is a table"):
        MODEL.score(pd.DataFrame({"name": KNOWN}))


def test_samples_are_not_copied() -> None:
    pa = pytest.importorskip("pyarrow")
    column = MODEL.sample(1000, as_arrow=True)
    first, second = pa.array(column), pa.array(column)
    first.validate(full=True)
    assert first.type == pa.large_string()
    assert [b and b.address for b in first.buffers()] == [b and b.address for b in second.buffers()]
    del column, second
    assert first.to_pylist() == MODEL.sample(1000)


# -- the recipes of the page -----------------------------------------------------------------------
@pytest.fixture
def namespace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return the names that the first block of the page defines, in a folder with a run."""
    pytest.importorskip("pyarrow")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "1").mkdir(parents=True)
    MODEL.save("runs/1/model.safetensors")
    names: dict[str, Any] = {}
    exec(recipe("import pyarrow as pa"), names)
    return names


def test_the_first_block(namespace: dict[str, Any]) -> None:
    expected = [MODEL.score([name])[0] for name in ("emma", "xqzt")]
    assert namespace["scores"].to_pylist() == [expected[0], None, expected[1]]
    assert namespace["new"].to_pylist() == MODEL.sample(1000, seed=1)
    lists = [mm.text.per_char(MODEL, name).tolist() for name in ("emma", "xqzt")]
    assert namespace["each"].to_pylist() == lists


def test_polars(namespace: dict[str, Any]) -> None:
    pytest.importorskip("polars")
    exec(recipe("map_batches"), namespace)
    scores = namespace["frame"]["score"].to_list()
    assert scores == namespace["scores"].to_pylist()


def test_duckdb(namespace: dict[str, Any]) -> None:
    pytest.importorskip("duckdb")
    exec(recipe("map_batches"), namespace)
    exec(recipe("create_function"), namespace)
    emma, _, xqzt = namespace["scores"].to_pylist()
    assert namespace["rows"] == [("xqzt", xqzt), ("emma", emma), (None, None)]


def test_dask_partitions(namespace: dict[str, Any]) -> None:
    pytest.importorskip("dask.dataframe")
    exec(recipe("map_partitions"), namespace)
    scored = namespace["scored"]
    assert scored["score"].tolist() == MODEL.score(["emma", "xqzt", "jayden"]).tolist()


def test_the_function_for_spark(namespace: dict[str, Any]) -> None:
    pa = namespace["pa"]
    exec(recipe("def with_scores"), namespace)
    batches = [pa.RecordBatch.from_arrays([pa.array(n)], ["name"]) for n in (NAMES[:3], NAMES[3:])]
    rows = [row for batch in namespace["with_scores"](iter(batches)) for row in batch.to_pylist()]
    assert [row["name"] for row in rows] == NAMES
    assert [row["score"] for row in rows] == SCORES


def test_shards_on_a_cluster(namespace: dict[str, Any], tmp_path: Path) -> None:
    """Two processes sample 5,000 texts in shards of 500 in place of the page's billion."""
    distributed, parquet = (
        pytest.importorskip("distributed"),
        pytest.importorskip("pyarrow.parquet"),
    )
    block = recipe("def write_shard").replace("1_000_000_000", "5_000").replace("1_000_000", "500")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        exec(block.replace("tcp://scheduler:8786", cluster.scheduler_address), namespace)
    assert namespace["total"] == 5_000
    files = sorted(tmp_path.glob("names-*.parquet"))
    assert len(files) == 10
    tables = [parquet.read_table(file) for file in files]
    names = [name for table in tables for name in table["name"].to_pylist()]
    assert names == MODEL.sample(5_000, seed=1)
    scores = [score for table in tables for score in table["score"].to_pylist()]
    assert scores == MODEL.score(names).tolist()
