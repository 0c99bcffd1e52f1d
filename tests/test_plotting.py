"""Pictures: drawn without global state, deterministic, for every odd shape."""

import sys

import numpy as np
import pytest

import makemore_cpp as mm
from makemore_cpp import plots
from makemore_cpp.plots import embedding_map, style
from makemore_cpp.training.state import Evaluation


def model_of(characters, n_embd):
    model = mm.MLP(mm.Vocab(list(characters)), 2, n_embd, 4)
    return model


def history_of(losses, evaluations=()):
    losses = np.asarray(losses, np.float32)
    return mm.History(losses, np.full(len(losses), 0.1), list(evaluations), 1.0)


def draw(ax):
    ax.figure.canvas.draw()
    return ax


def test_pyplot_is_not_imported():
    assert "matplotlib.pyplot" not in sys.modules


@pytest.mark.parametrize("steps", [1, 2, 99, 100, 101, 3000, 3001, 123_457])
def test_loss_curve_of_any_length(steps):
    losses = 2 + np.random.default_rng(0).random(steps)
    ax = draw(plots.loss_curve(history_of(losses, [Evaluation(steps, 2.5)])))
    raw = ax.lines[0]
    assert raw.get_xdata().min() >= 1
    assert raw.get_xdata().max() <= steps
    assert len(raw.get_xdata()) <= max(2 * plots.training.RAW_BINS, 1)
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels[-1] == "dev split (last: 2.5000)"
    assert any("mean of" in label for label in labels) == (steps >= 200)


def test_decimation_keeps_the_extremes_and_the_smooth_line_is_a_mean():
    losses = np.full(10_000, 2.0, np.float32)
    losses[5000], losses[7000] = 9.0, 1.0
    raw, smooth = plots.loss_curve(losses).lines[:2]
    assert raw.get_ydata().max() == 9
    assert raw.get_ydata().min() == 1
    assert abs(raw.get_xdata()[raw.get_ydata().argmax()] - 5001) < 10
    window = 10_000 // plots.training.SMOOTHING_WINDOWS
    assert smooth.get_ydata().max() == pytest.approx(2 + 7 / window)
    peak = smooth.get_xdata()[smooth.get_ydata() > 2.01]
    assert 5001 - window / 2 <= peak.min() <= peak.max() <= 5001 + window / 2


def test_bad_start_stays_outside_and_is_named():
    losses = np.full(10_000, 2.0)
    losses[0] = 27.5
    ax = plots.loss_curve(losses)
    assert ax.get_ylim()[1] < 4
    assert any("27.5 at step 1" in text.get_text() for text in ax.texts)


@pytest.mark.parametrize("last", [1.5, 3.1])
def test_the_legend_hides_no_dev_loss_at_the_end(last):
    evaluations = [Evaluation(step, last) for step in (800, 900, 1000)]
    ax = draw(plots.loss_curve(history_of(np.linspace(2.5, 1.4, 1000), evaluations)))
    box = ax.get_legend().get_window_extent()
    points = ax.transData.transform([(one.step, one.dev_loss) for one in evaluations])
    assert not any(box.contains(*point) for point in points)


@pytest.mark.parametrize("dev_loss", [1e-6, 0.5, 1e6, 1e37])
def test_a_dev_loss_far_from_the_others_stays_in_the_picture(dev_loss, tmp_path):
    ax = plots.loss_curve(history_of([3.3], [Evaluation(1, dev_loss)]))
    plots.save(ax.figure, tmp_path / "loss.png")  # a warning about the layout is an error here
    low, top = ax.get_ylim()
    assert low < dev_loss < top


@pytest.mark.parametrize("losses", [[], [[1.0]]])
def test_losses_of_a_wrong_shape(losses):
    with pytest.raises(mm.ArgumentError, match="losses"):
        plots.loss_curve(losses)


@pytest.mark.parametrize("n_embd", [1, 2, 3, 10])
def test_embeddings_show_every_character(n_embd):
    model = model_of("abcyz-", n_embd)
    ax = draw(plots.embeddings(model))
    assert [text.get_text() for text in ax.texts] == [*".abcyz-"]
    colours = dict(zip(".abcyz-", (text.get_color() for text in ax.texts), strict=True))
    assert colours["a"] != colours["b"] == colours["y"] == colours["z"]
    assert colours["."] == colours["-"] not in (colours["a"], colours["b"])
    labels = {text.get_text() for text in ax.get_legend().get_texts()}
    assert labels == {"vowels", "consonants", "others"}
    places = np.array([text.get_position() for text in ax.texts])
    if n_embd == 2:
        np.testing.assert_allclose(places, model.C, rtol=1e-6)
    if n_embd == 1:
        np.testing.assert_allclose(places[:, 0], model.C[:, 0], rtol=1e-6)


def test_principal_components():
    model = model_of("abcde", 3)
    model.C[:] = np.outer(np.arange(6), [0.0, 3.0, 4.0])
    ax = plots.embeddings(model)
    places = np.array([text.get_position() for text in ax.texts])
    np.testing.assert_allclose(np.abs(np.diff(places[:, 0])), 5, rtol=1e-5)
    assert "100 % of the variance" in ax.get_xlabel()
    assert "(0 % of the variance" in ax.get_ylabel()


def test_equal_embeddings():
    model = model_of("ab", 3)
    model.C[:] = 1
    draw(plots.embeddings(model))


def test_a_notebook_shows_a_png():
    ax = plots.embeddings(model_of("abc", 2))
    assert ax._repr_png_() == ax.figure._repr_png_() == style.png_of(ax.figure)


def test_odd_characters_draw_without_warnings():
    ax = draw(plots.embeddings(model_of(" $_\t中🦀éяΩ\u0301", 3)))
    labels = [text.get_text() for text in ax.texts]
    assert labels[1:] == ["␣", "$", "_", "U+0009", "U+4E2D", "U+1F980", "é", "я", "Ω", "\u0301"]


def test_large_vocabulary():
    ax = plots.embeddings(model_of([chr(0x4E00 + i) for i in range(3000)], 2))
    assert len(ax.texts) == embedding_map.MAX_LABELS


def test_the_title_says_how_well_vowels_cluster():
    model = model_of("abcdefghijklmnop", 3)
    found = mm.evaluation.vowel_clustering(model)
    title = plots.embeddings(model).get_title()
    assert f"silhouette {found.silhouette:.2f}, p = {found.p_value:.4f}" in title
    assert plots.embeddings(model_of("abc", 3)).get_title() == "Embeddings of 4 tokens"


# -- hidden units ---------------------------------------------------------------------------------
def test_activations_and_saturation_by_hand():
    model = model_of("ab", 1)  # two tokens of context, four units
    model.C[:] = [[0], [1], [-1]]
    model.W1[:] = [[3, 0, 2.45, 0.5], [0, 0, 0, 0.5]]  # tanh(2.45) is 0.985
    model.b1[:] = [0, -5, 0, 0]
    X = [[0, 0], [1, 0], [2, 2], [1, 1]]
    h = mm.evaluation.hidden_activations(model, X)
    expected = np.tanh(
        [[0, -5, 0, 0], [3, -5, 2.45, 0.5], [-3, -5, -2.45, -1], [3, -5, 2.45, 1]],
        dtype=np.float32,
    )
    np.testing.assert_allclose(h, expected, rtol=1e-6)
    assert mm.evaluation.saturation(h) == mm.evaluation.Saturation(7 / 16, 1, 4, 4)
    ax = draw(plots.saturation_image(model, X))
    np.testing.assert_array_equal(ax.images[0].get_array(), np.abs(expected) > 0.99)
    assert "43.8 % in 4 examples; dead units: 1 of 4" in ax.get_title()
    ax = draw(plots.activation_histogram(model, X))
    assert "4 hidden units for 4 examples\n43.8 % are saturated" in ax.get_title()
    shares = ax.patches[0].get_data().values
    assert shares.sum() == pytest.approx(1)
    assert shares[0] + shares[-1] == pytest.approx(7 / 16), "the outermost bins are the red ones"


@pytest.mark.parametrize("examples", [1, 99, 100, 101, 250])
def test_the_image_of_many_examples_is_thinned(examples):
    ax = plots.saturation_image(model_of("ab", 2), np.zeros((examples, 2), np.int32))
    assert ax.images[0].get_array().shape == (-(-examples // -(-examples // 100)), 4)
    assert f"in {examples} examples" in ax.get_title()


def test_contexts_that_do_not_fit():
    model = model_of("ab", 2)
    for draw_units in (plots.saturation_image, plots.activation_histogram):
        with pytest.raises(mm.ArgumentError, match="X is empty"):
            draw_units(model, np.zeros((0, 2), np.int32))
        with pytest.raises(mm.ArgumentError, match=r"X has the shape \(3,\)"):
            draw_units(model, [0, 1, 2])
        with pytest.raises(mm.RangeError, match=r"token 9 at X\[0, 1\]"):
            draw_units(model, [[0, 9]])
    model.C[:] = np.inf
    model.W1[:] = 0
    with pytest.raises(mm.ArgumentError, match="not a number"):
        mm.evaluation.hidden_activations(model, [[0, 1]])


def test_model_pictures_in_a_folder(tmp_path):
    model = model_of("abcdef", 3)
    X = np.random.default_rng(0).integers(0, 7, (2500, 2)).astype(np.int32)
    for folder in (tmp_path / "new" / "folder", tmp_path / "again"):
        files = plots.save_model_pictures(folder, model, X)
        assert [file.name for file in files] == ["embeddings.png", "hidden.png"]
        assert sorted(folder.iterdir()) == files
    for name in ("embeddings.png", "hidden.png"):
        one, other = tmp_path / "new" / "folder" / name, tmp_path / "again" / name
        assert one.read_bytes() == other.read_bytes()
    (tmp_path / "file").write_text("")
    with pytest.raises(mm.FileError, match=r"cannot make the folder .*file"):
        plots.save_model_pictures(tmp_path / "file", model, X)


def test_given_axes_are_used():
    from matplotlib.figure import Figure

    ax1, ax2, ax3, ax4 = Figure().subplots(1, 4)
    assert plots.loss_curve(np.ones(10), ax=ax1) is ax1
    assert plots.embeddings(model_of("ab", 2), ax=ax2) is ax2
    assert plots.activation_histogram(model_of("ab", 2), [[0, 0]], ax=ax3) is ax3
    assert plots.saturation_image(model_of("ab", 2), [[0, 0]], ax=ax4) is ax4


def test_same_picture_same_bytes(tmp_path):
    for name in ("a.png", "b.png"):
        plots.save(plots.embeddings(model_of("abc", 5)).figure, tmp_path / name)
    data = (tmp_path / "a.png").read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert data == (tmp_path / "b.png").read_bytes()
