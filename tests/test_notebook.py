"""The output of a notebook: a bar while a training goes on, and each picture once."""

import base64

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

CELLS = (
    "import makemore_cpp as mm\n"
    "data = mm.Dataset.split(mm.load_texts()[:2000], block_size=3)\n"
    "model = mm.MLP(data.vocab, block_size=3, n_embd=2, n_hidden=20)",
    "history = mm.train(model, data, steps=3000, progress=True)",
    "mm.plots.loss_curve(history)",
    "mm.plots.hidden_units(model, data.dev.X)",
    "%matplotlib inline\nmm.plots.embeddings(model)",
    "mm.plots.hidden_units(model, data.dev.X)",
    "import matplotlib.pyplot as plt\nmm.plots.embeddings(model, ax=plt.gca());",
)


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    cells = [nbformat.v4.new_code_cell(cell) for cell in CELLS]
    notebook = nbformat.v4.new_notebook(cells=cells)
    folder = str(tmp_path_factory.mktemp("notebook"))
    client = nbclient.NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": folder}}
    )
    client.execute()
    return [cell.outputs for cell in notebook.cells]


def test_a_bar_that_stays_as_it_was_at_the_end(outputs):
    (shown,) = outputs[1]
    assert shown.output_type == "display_data"
    assert shown.data["text/plain"].startswith("step 3,000 of 3,000, loss ")
    assert '<progress value="3000" max="3000"></progress> step 3,000' in shown.data["text/html"]


@pytest.mark.parametrize("i", range(2, len(CELLS)))
def test_each_picture_is_shown_once(outputs, i):
    pictures = [one.data["image/png"] for one in outputs[i] if "image/png" in one.get("data", {})]
    assert len(pictures) == 1
    assert base64.b64decode(pictures[0]).startswith(b"\x89PNG")


def test_no_bar_where_nobody_would_see_it(capsys):
    import makemore_cpp as mm

    data = mm.Dataset.split(mm.load_texts()[:100], block_size=2)
    model = mm.MLP(data.vocab, block_size=2, n_embd=2, n_hidden=5)
    mm.train(model, data, steps=50, progress=True)
    assert capsys.readouterr() == ("", "")
    with pytest.raises(TypeError, match="progress"):
        mm.train(model, data, steps=50, progress=1)
