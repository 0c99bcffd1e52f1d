"""Exported headers, tested by compilers, sanitizers and the Python model."""

from __future__ import annotations

import hashlib
import itertools
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import makemore_cpp as mm
from makemore_cpp.export import header as header_export
from makemore_cpp.export.header import export_header, header_name, header_text
from makemore_cpp.reference import random as reference_random

DRIVER = Path(__file__).with_name("header_driver.c")
PACKAGE_PARENT = Path(mm.__file__).parents[1]
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
LANGUAGES = {"C99": ["cc", "-std=c99", "-x", "c"], "C++11": ["c++", "-std=c++11", "-x", "c++"]}
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
NOT_UTF8, UNKNOWN, NO_SPACE, BAD_TEMPERATURE = -1, -2, -3, -4

# Characters that could end a comment or continue a line, invisible ones, and the ends of UTF-8's
# ranges.
HAZARDS = '*/\\?"%\n\r\0\u202e\x7f\x80\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff'
ALPHABETS = {
    "letters": "abcdefghijklmnopqrstuvwxyz",
    "hazards": HAZARDS,
    "unsorted": "zebra 漢字éЯ😀",
}


def make_model(alphabet, boundary=".", **sizes):
    """Return a model whose predictions differ much from context to context."""
    model = mm.MLP(mm.Vocab(list(alphabet), boundary), seed=3, **sizes)
    rng = np.random.default_rng(7)
    model.W2[:] *= 25
    model.b1[:] = rng.normal(size=model.b1.shape)
    model.b2[:] = rng.normal(size=model.b2.shape)
    return model


MODELS = {
    "letters": make_model(ALPHABETS["letters"], block_size=3, n_embd=10, n_hidden=50),
    "hazards": make_model(ALPHABETS["hazards"], "$", block_size=1, n_embd=3, n_hidden=17),
    "unsorted": make_model(ALPHABETS["unsorted"], block_size=8, n_embd=5, n_hidden=33),
}


# -- what a header should give -----------------------------------------------------------------
def exact_log_probs(model, contexts):
    """Return the model's log-probabilities in float64, from its definition."""
    C, W1, b1, W2, b2 = (array.astype(np.float64) for array in model.parameters.values())
    h = np.tanh(C[contexts].reshape(len(contexts), -1) @ W1 + b1)
    logits = h @ W2 + b2
    z = logits - logits.max(axis=1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=1, keepdims=True))


def contexts_of(model, text):
    """Return the contexts (N,T) of all tokens of a text and of its end, and these tokens (N,)."""
    tokens = [*model.vocab.encode(text).tolist(), 0]
    padded = [0] * model.block_size + tokens
    return np.array([padded[i : i + model.block_size] for i in range(len(tokens))]), tokens


def exact_sample(model, seed, index, max_length, temperature):
    """Return a text whose tokens are chosen one by one by the documented numbers."""
    context, text = [0] * model.block_size, ""
    for position in range(max_length):
        log_p = exact_log_probs(model, np.array([context]))[0]
        if temperature == 0:
            token = int(log_p.argmax())
        else:
            p = np.exp((log_p - log_p.max()) / temperature)
            u = reference_random.sample_uniforms(seed, index, 1, position)[0]
            token = int((np.cumsum(p / p.sum()) > u).argmax())
        if token == 0:
            break
        context, text = [*context[1:], token], text + model.vocab.itos[token]
    return text


def random_texts(model, count):
    rng = np.random.default_rng(11)
    characters = model.vocab.characters
    return [
        "".join(characters[i] for i in rng.integers(0, len(characters), length))
        for length in rng.integers(0, 20, count)
    ]


# -- programs ------------------------------------------------------------------------------------
def compile_program(folder, language, source, options=()):
    compiler, *flags = LANGUAGES[language]
    if shutil.which(compiler) is None:
        pytest.skip(f"there is no {compiler}")
    program = folder / "program"
    command = [compiler, *flags, *STRICT, "-O1", "-I", folder, *options, source, "-lm"]
    result = subprocess.run([*command, "-o", program], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return program


def compile_text(folder, language, text):
    source = folder / "source"
    source.write_text(text)
    return compile_program(folder, language, source)


def run(program, text=""):
    result = subprocess.run([program], input=text, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def sanitize(tmp_path_factory):
    """Return the compiler's options for sanitizers, where it has their libraries."""
    folder = tmp_path_factory.mktemp("sanitize")
    (folder / "empty.c").write_text("int main(void) { return 0; }\n")
    command = ["cc", *SANITIZE, folder / "empty.c", "-o", folder / "empty"]
    if shutil.which("cc") is None or subprocess.run(command, capture_output=True).returncode != 0:
        return []
    return SANITIZE


class Exported:
    """A driver with a model compiled into it: one line in, one line out."""

    def __init__(self, folder, model, language, options):
        export_header(model, folder / "m.h")
        self.model = model
        self._program = compile_program(folder, language, DRIVER, options)

    def ask(self, lines):
        return run(self._program, "".join(line + "\n" for line in lines)).splitlines()

    def scores(self, texts):
        """Return the code and the sum for each text, str or bytes."""
        raw = (text.encode() if isinstance(text, str) else text for text in texts)
        answers = [line.split() for line in self.ask(f"score {text.hex()}" for text in raw)]
        return [(int(code), float(score)) for code, score in answers]

    def next(self, text):
        code, *log_probs = self.ask([f"next {text.encode().hex()}"])[0].split()
        assert code == "0"
        return np.array(log_probs, np.float64)

    def sample(self, *, seed=42, index=0, max_length=20, size=200, temperature=1.0):
        """Return m_sample's result and the text; a list of them if `index` is a range."""
        indexes = [index] if isinstance(index, int) else index
        answers = self.ask(f"draw {seed} {i} {max_length} {size} {temperature!r}" for i in indexes)
        both = [line.split(" ") for line in answers]
        assert all(len(fields) == 2 for fields in both)  # no other sentence of the driver
        found = [(int(length), bytes.fromhex(text).decode()) for length, text in both]
        return found[0] if isinstance(index, int) else found


@pytest.fixture(scope="module", params=itertools.product(MODELS, LANGUAGES), ids="-".join)
def exported(request, tmp_path_factory, sanitize):
    """Each model in C, with sanitizers, and in C++."""
    name, language = request.param
    options = sanitize if language == "C99" else []
    return Exported(tmp_path_factory.mktemp("exported"), MODELS[name], language, options)


@pytest.fixture(scope="module")
def hazards(tmp_path_factory, sanitize):
    return Exported(tmp_path_factory.mktemp("hazards"), MODELS["hazards"], "C99", sanitize)


# -- scores and predictions ----------------------------------------------------------------------
def test_scores(exported):
    model = exported.model
    texts = ["", *model.vocab.characters, "".join(model.vocab.characters), *random_texts(model, 40)]
    for text, (code, score) in zip(texts, exported.scores(texts), strict=True):
        contexts, tokens = contexts_of(model, text)
        rows = np.arange(len(tokens))
        exact = exact_log_probs(model, contexts)[rows, tokens].sum()
        single = model.log_probs(contexts)[rows, tokens].sum(dtype=np.float64)
        assert code == 0
        assert score == pytest.approx(exact, abs=1e-11)
        assert score == pytest.approx(single, abs=1e-5)


def test_log_probs(exported):
    for text in random_texts(exported.model, 10):
        found = exported.next(text)
        contexts, _ = contexts_of(exported.model, text)
        assert np.exp(found).sum() == pytest.approx(1, abs=1e-13)
        np.testing.assert_allclose(found, exact_log_probs(exported.model, contexts[-1:])[0], 1e-12)


def test_a_zero_byte_is_a_character_like_others(hazards):
    (code, with_zero), (_, without) = hazards.scores(["*\0*", "**"])
    assert code == 0
    assert with_zero != without
    ((code, _),) = hazards.scores(["\0"])
    assert code == 0


# -- samples -------------------------------------------------------------------------------------
@pytest.mark.filterwarnings("ignore::makemore_cpp.LengthWarning")
@pytest.mark.parametrize("seed", [42, 2**64 - 1])
def test_samples_are_those_of_python(exported, seed):
    expected = mm.text.sample(exported.model, 300, seed=seed, max_length=20)
    assert exported.sample(seed=seed, index=range(300)) == [
        (len(text.encode()), text) for text in expected
    ]


@pytest.mark.parametrize("temperature", [0.0, 0.3, 1.0, 2.5])
@pytest.mark.parametrize("index", [7, 2**32 + 7, 2**64 - 1])
def test_samples_are_those_of_the_definition(exported, index, temperature):
    expected = exact_sample(exported.model, 5, index, 12, temperature)
    found = exported.sample(seed=5, index=index, max_length=12, temperature=temperature)
    assert found[1] == expected


def test_extreme_temperatures(exported):
    coldest = exported.sample(temperature=1e-320)
    assert coldest == exported.sample(temperature=0.0)
    assert coldest == exported.sample(temperature=0.0, seed=1, index=9)
    exported.sample(temperature=math.inf)  # uniform, and no sanitizer says a word


@pytest.mark.parametrize("temperature", [-1.0, -math.inf, math.nan])
def test_a_bad_temperature(exported, temperature):
    assert exported.sample(temperature=temperature) == (BAD_TEMPERATURE, "")


def test_space(exported):
    index = next(i for i in range(20) if exported.sample(index=i)[0] > 1)
    length, text = exported.sample(index=index)
    assert exported.sample(index=index, size=length + 1) == (length, text)
    for size in range(length + 1):
        assert exported.sample(index=index, size=size) == (NO_SPACE, "")


def test_max_length(exported):
    index = next(i for i in range(20) if len(exported.sample(index=i)[1]) > 2)
    text = exported.sample(index=index)[1]
    longest = 4 * len(text) + 1
    for n in range(len(text)):
        assert exported.sample(index=index, max_length=n, size=longest)[1] == text[:n]
    assert exported.sample(index=index, max_length=2**64 - 1)[1].startswith(text)


# -- invalid texts -------------------------------------------------------------------------------
def expected_code(vocab, text):
    try:
        valid, code = text.decode(), 0
    except UnicodeDecodeError as error:
        valid, code = text[: error.start].decode(), NOT_UTF8
    return UNKNOWN if set(valid) - set(vocab.characters) else code


def test_every_short_string(hazards):
    edges = [0x00, 0x2A, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF]
    leads = [0xC2, 0xDF, 0xE0, 0xE1, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xF7, 0xF8,
             0xFC, 0xFF]  # fmt: skip
    texts = [bytes(pair) for pair in itertools.product(range(256), repeat=2)]
    texts += [bytes([byte]) for byte in range(256)]
    texts += [bytes(t) for t in itertools.product(leads, edges, edges)]
    texts += [bytes(t) for t in itertools.product(leads, edges, edges, edges)]
    texts += [bytes(t) for t in itertools.product([0x2A], leads, edges, edges)]
    codes = [code for code, _ in hazards.scores(texts)]
    assert codes == [expected_code(hazards.model.vocab, text) for text in texts]
    assert {0, NOT_UTF8, UNKNOWN} == set(codes)


def test_invalid_texts(exported):
    known = exported.model.vocab.characters[0].encode()
    boundary = exported.model.vocab.boundary.encode()
    texts = [boundary, known + boundary, "ω".encode(), known + b"\xed\xa0\x80", b"\xff" + boundary]
    codes = [UNKNOWN, UNKNOWN, UNKNOWN, NOT_UTF8, NOT_UTF8]
    assert exported.scores(texts) == [(code, 12345.0) for code in codes]  # the sum stays
    assert exported.ask(f"next {text.hex()}" for text in texts) == [str(code) for code in codes]


# -- the header itself ---------------------------------------------------------------------------
@pytest.mark.parametrize("language", LANGUAGES)
def test_parameters_keep_every_bit(tmp_path, language):
    extremes = [0.0, -0.0, 1.0, -1e10, 1e-45, 1.17549435e-38, 3.4028235e38, 0.1, 1 / 3, 16777217.0]
    model = make_model("ab", block_size=2, n_embd=3, n_hidden=10)
    model.b1[:] = extremes
    texts = np.random.default_rng(5).integers(0, 2**32, model.W2.shape, np.uint32)
    any_bits = texts.view(np.float32)
    model.W2[:] = np.where(np.isfinite(any_bits), any_bits, 1)
    answer = Exported(tmp_path, model, language, []).ask(["parameters"])[0]
    expected = np.concatenate([array.ravel() for array in model.parameters.values()])
    assert [int(word, 16) for word in answer.split()] == expected.view(np.uint32).tolist()


def example_of(text):
    """Return the program in a header's comment."""
    lines = text.split("Link with")[0].splitlines()
    return "\n".join(line[4:] for line in lines if line.startswith("    ")) + "\n"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", ["letters", "unsorted"])
@pytest.mark.filterwarnings("ignore::makemore_cpp.LengthWarning")
def test_the_example_in_the_comment(tmp_path, language, name):
    model = MODELS[name]
    export_header(model, tmp_path / "greek_names2.h")
    example = example_of((tmp_path / "greek_names2.h").read_text())
    lines = run(compile_text(tmp_path, language, example)).splitlines()
    texts = mm.text.sample(model, 5, seed=42, max_length=20)
    assert [line.rpartition(" ")[0] for line in lines] == texts
    contexts, tokens = contexts_of(model, texts[0])
    score = -model.loss(contexts, tokens) * len(tokens)
    assert float(lines[0].rpartition(" ")[2]) == pytest.approx(score, abs=2e-4)


TWO = """
#include "first.h"
#include "second.h"
#include "first.h"
#include <stdio.h>
int main(void) {
  double a, b;
  if (first_score("", 0, &a) || second_score(NULL, 0, &b)) return 1;
  printf("%.17g %.17g %d %d\\n", a, b, first_block_size, second_block_size);
  return 0;
}
"""


@pytest.mark.parametrize("language", LANGUAGES)
def test_two_models_in_one_program(tmp_path, language):
    models = MODELS["letters"], MODELS["hazards"]
    for model, name in zip(models, ("first", "second"), strict=True):
        export_header(model, tmp_path / f"{name}.h")
    *scores, first_size, second_size = run(compile_text(tmp_path, language, TWO)).split()
    assert (first_size, second_size) == ("3", "1")
    for model, score in zip(models, scores, strict=True):
        exact = exact_log_probs(model, np.zeros((1, model.block_size), np.int64))[0, 0]
        assert float(score) == pytest.approx(exact, abs=1e-12)


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_the_comment(model, tmp_path):
    model.save(tmp_path / "model.safetensors")
    digest = hashlib.sha256((tmp_path / "model.safetensors").read_bytes()).hexdigest()
    text = header_text(model, "some_name")
    assert text == header_text(model, "some_name")
    assert text.isascii()
    assert "NAME" not in text
    assert "$" not in text
    assert "??" not in text
    assert "\\\n" not in text
    comment = text.split("*/")[0]
    assert f"SHA-256 {digest}" in comment
    assert f"{model.n_parameters:,} parameters" in comment
    assert max(map(len, comment.splitlines())) <= 100


def test_the_vocabulary_in_the_comment():
    def shown(alphabet):
        text = header_text(make_model(alphabet, n_hidden=2), "m").split("Memory:")[0]
        return " ".join(text.split("a text, ")[1].split())

    assert shown("abcxz") == "a-c x z"
    assert shown("ab*/é") == "a-b U+002A U+002F U+00E9"
    assert shown("cba") == "c b a"
    assert shown([chr(c) for c in range(0x4E00, 0x5000)]) == "U+4E00-U+4FFF"
    assert shown([chr(c) for c in range(0x4E00, 0x5000, 2)]).endswith(" U+4EC6 and others")


def test_where_the_data_come_from():
    model = make_model("ab", n_hidden=2)
    assert "unknown data" in header_text(model, "m")
    model.data = mm.data.DataOrigin("/home/*/secret.txt", "5" * 64, 1)
    text = header_text(model, "m")
    assert f"data of SHA-256 {'5' * 64}" in text
    assert "secret" not in text


# -- refusals ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "name", ["", "my-names", "1st", "_x", "a__b", "a_", "näme", "a b", "a\n", "x" * 41, "a*/"]
)
def test_a_name_that_cannot_begin_an_identifier(tmp_path, name):
    model = MODELS["letters"]
    with pytest.raises(mm.ArgumentError, match=r"name .*cannot begin the names of a header"):
        export_header(model, tmp_path / "file.h", name)
    with pytest.raises(mm.ArgumentError, match=r"the name of the file .* give another with name"):
        export_header(model, tmp_path / f"{name}.h")
    assert list(tmp_path.iterdir()) == []


def test_names_by_default():
    assert header_name("runs/1/my_names2.h") == "my_names2"
    assert header_name("class.hpp") == "class"
    assert header_name("int") == "int"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", ["class", "NAME", "x" * 40])
def test_a_name_that_is_a_word_of_the_language(tmp_path, language, name):
    export_header(MODELS["hazards"], tmp_path / f"{name}.h")
    text = f'#include "{name}.h"\nint main(void) {{ return {name}_block_size - 1; }}\n'
    run(compile_text(tmp_path, language, text))


def test_too_many_parameters(monkeypatch):
    model = MODELS["letters"]
    monkeypatch.setattr(header_export, "MAX_PARAMETERS", model.n_parameters)
    header_text(model, "m")
    monkeypatch.setattr(header_export, "MAX_PARAMETERS", model.n_parameters - 1)
    with pytest.raises(mm.ArgumentError, match=r"the model has 3,197 parameters; a header holds"):
        header_text(model, "m")


def test_too_much_stack():
    model = make_model("ab", block_size=1, n_embd=1, n_hidden=33_000)
    with pytest.raises(mm.ArgumentError, match=r"33,000 hidden units and 3 tokens.*264,028 bytes"):
        header_text(model, "m")


def test_no_model_no_name_no_number(tmp_path):
    with pytest.raises(TypeError, match=r"model must be a makemore_cpp\.MLP, not str"):
        export_header("model", tmp_path / "m.h")
    with pytest.raises(TypeError, match="name must be a str, not int"):
        header_text(MODELS["letters"], 3)
    with pytest.raises(TypeError, match="path must be a path, not int"):
        export_header(MODELS["letters"], 3)
    model = make_model("ab", n_hidden=2)
    model.b2[1] = np.nan
    with pytest.raises(mm.ArgumentError, match="b2"):
        export_header(model, tmp_path / "m.h")
    assert list(tmp_path.iterdir()) == []


# -- files ---------------------------------------------------------------------------------------
def test_places_that_cannot_be_written(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    for place, reason in [
        ("folder", "it is a folder"),
        ("missing/m.h", "No such file or directory"),
        ("file/m.h", "Not a directory"),
        ("m.h/", "the path does not end in the name of a file"),
    ]:
        with pytest.raises(mm.FileError, match=f"^cannot write .*{reason}"):
            export_header(MODELS["letters"], os.path.join(tmp_path, place), "m")
    with pytest.raises(mm.ArgumentError, match=r"is not one that a file can have"):
        export_header(MODELS["letters"], os.path.join(tmp_path, "\ud800.h"), "m")
    with pytest.raises(mm.ArgumentError, match=r"^path .* contains a zero byte"):
        export_header(MODELS["letters"], os.path.join(tmp_path, "zero\0.h"), "m")
    with pytest.raises(mm.FileError, match="/dev/null': it is not a regular file"):
        export_header(MODELS["letters"], "/dev/null", "m")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def command(folder, *arguments):
    path = os.pathsep.join(filter(None, [str(PACKAGE_PARENT), os.environ.get("PYTHONPATH")]))
    return subprocess.run(
        [sys.executable, "-m", "makemore_cpp", "export", *arguments],
        cwd=folder, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True,
        timeout=60,
    )  # fmt: skip


def test_the_command(tmp_path):
    MODELS["letters"].save(tmp_path / "model.safetensors")
    result = command(tmp_path, ".", "names.h")
    assert (result.returncode, result.stderr) == (0, "")
    assert (tmp_path / "names.h").read_text() == header_text(MODELS["letters"], "names")
    assert "names_score, names_log_probs and names_sample" in result.stdout
    result = command(tmp_path, "model.safetensors", "my-names.h", "--name", "mine", "--json")
    size = (tmp_path / "my-names.h").stat().st_size
    assert result.stdout == (
        f'{{"run": "model.safetensors", "header": "my-names.h", "name": "mine", "bytes": {size}}}\n'
    )


def test_a_command_that_fails(tmp_path):
    MODELS["letters"].save(tmp_path / "model.safetensors")
    result = command(tmp_path, ".", "my-names.h")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("makemore_cpp: the name of the file 'my-names.h' cannot begin")
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "my-names.h").exists()


def test_the_suffix_says_the_form(tmp_path):
    MODELS["letters"].save(tmp_path / "model.safetensors")
    for name in ("names.hpp", "names.HH"):
        assert command(tmp_path, ".", name).returncode == 0
        assert (tmp_path / name).read_text() == header_text(MODELS["letters"], "names")
    for name, what in (
        ("names", "no suffix"),
        ("names.pt", "the suffix .pt"),
    ):
        result = command(tmp_path, ".", name)
        assert (result.returncode, result.stdout) == (2, "")
        assert what in result.stderr
        assert "what can be written is .h, .hpp, .hh, .onnx" in result.stderr
        assert result.stderr.count("\n") == 1
    assert not (tmp_path / "names.pt").exists()
    result = command(tmp_path, ".", "names.onnx", "--name", "x")
    assert "--name is for headers" in result.stderr


def test_an_onnx_file_by_the_command(tmp_path):
    pytest.importorskip("onnx")
    MODELS["letters"].save(tmp_path / "model.safetensors")
    result = command(tmp_path, ".", "names.onnx")
    assert result.returncode == 0, result.stderr
    mm.export_onnx(MODELS["letters"], tmp_path / "again.onnx")
    assert (tmp_path / "names.onnx").read_bytes() == (tmp_path / "again.onnx").read_bytes()
