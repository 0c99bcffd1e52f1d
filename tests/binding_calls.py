"""A valid call of every binding and of the Python functions that take text, for the attacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import makemore_cpp as mm
from makemore_cpp import _core

T, E, H, V, N = 2, 3, 8, 5, 12
Arguments = dict[str, Any]
Calls = dict[str, Callable[[], tuple[Callable[..., Any], Arguments]]]


def floats(*shape: int) -> np.ndarray:
    return np.random.default_rng(list(shape)).standard_normal(shape).astype(np.float32)


def tokens(*shape: int) -> np.ndarray:
    return np.random.default_rng(list(shape)).integers(0, V, shape).astype(np.int32)


def parameters() -> Arguments:
    shapes = {"C": (V, E), "W1": (T * E, H), "b1": (H,), "W2": (H, V), "b2": (V,)}
    return {name: floats(*shape) for name, shape in shapes.items()}


def vocabulary() -> _core.Vocabulary:
    return _core.Vocabulary(list("abcd"))


def saved() -> _core.SavedModel:
    return _core.SavedModel(vocabulary(), **parameters())


def uniform(X: np.ndarray) -> np.ndarray:
    return np.full((len(X), V), -np.log(V), np.float32)


def adam() -> Arguments:
    moments = {f"{m}.{name}": np.abs(p) for m in "mv" for name, p in parameters().items()}
    X, Y, rows = tokens(N, T), tokens(N), np.arange(8).reshape(2, 4)
    options = {"lr": np.array([0.1, 0.2]), "batch_size": 4, "seed": 1, "first_step": 3}
    options |= {"rows": rows, "optimizer": "adam", "state": moments, "weight_decay": 0.1}
    options |= {"decay_biases": True, "momentum": 0.9, "beta1": 0.9, "beta2": 0.99}
    options |= {"epsilon": 1e-8, "dropout": 0.25, "negatives": 3, "threads": 2}
    options |= {"should_stop": lambda: False, "exchange": None}
    return {**parameters(), "X": X, "Y": Y, **options}


def sampling(next_: Any) -> Arguments:
    options = {"seed": 1, "temperature": 0.9, "top_k": 4, "top_p": 0.9, "prefix": "a"}
    lengths = {"min_length": 1, "max_length": 20}
    return {"next": next_, "vocabulary": vocabulary(), "block_size": T, **options, **lengths}


def completion(next_: Any) -> Arguments:
    question = {"prefix": "a", "k": 3, "max_length": 5}
    return {"next": next_, "vocabulary": vocabulary(), "block_size": T, **question}


def drawn(sampler: _core.Sampler, *arguments: Any, **options: Any) -> Any:
    texts, endings = sampler.draw(*arguments, **options)
    return texts.tolist(), endings


def frozen() -> _core.LanguageModel:
    return _core.LanguageModel(saved())


def column() -> _core.TextColumn:
    column = _core.TextColumn()
    column.append(["ab", "", "dcba"])
    return column


def shape() -> Arguments:
    return {"block_size": T, "n_embd": E, "n_hidden": H, "vocab_size": V}


# Name of a binding -> the function to call and its arguments by name.
BINDINGS: Calls = {
    "how_cut": lambda: (_core.how_cut, {"batch_size": 4, **shape()}),
    "initial_parameters": lambda: (
        _core.initial_parameters, {**shape(), "seed": 1, "init": "lecture"}),
    "batch_rows": lambda: (_core.batch_rows, {
        "seed": 1, "first_step": 2, "steps": 3, "batch_size": 4, "n_examples": N}),
    "sample_uniforms": lambda: (_core.sample_uniforms, {
        "seed": 1, "first_sample": 2, "n_samples": 3, "position": 1}),
    "embedding_forward": lambda: (
        _core.embedding_forward, {"C": floats(V, E), "X": tokens(N, T), "threads": 2}),
    "embedding_backward": lambda: (_core.embedding_backward, {
        "demb": floats(N, T, E), "X": tokens(N, T), "vocab_size": V, "threads": 2}),
    "linear_forward": lambda: (_core.linear_forward, {
        "x": floats(N, E), "W": floats(E, H), "b": floats(H), "threads": 2}),
    "linear_backward": lambda: (_core.linear_backward, {
        "dy": floats(N, H), "x": floats(N, E), "W": floats(E, H), "threads": 2}),
    "linear_tanh_forward": lambda: (_core.linear_tanh_forward, {
        "x": floats(N, E), "W": floats(E, H), "b": floats(H), "threads": 2}),
    "linear_tanh_backward": lambda: (_core.linear_tanh_backward, {
        "dh": floats(N, H), "h": np.tanh(floats(N, H)), "x": floats(N, E), "W": floats(E, H),
        "threads": 2}),
    "cross_entropy": lambda: (
        _core.cross_entropy, {"logits": floats(N, V), "Y": tokens(N), "threads": 2}),
    "log_softmax": lambda: (_core.log_softmax, {"logits": floats(N, V), "threads": 2}),
    "sgd_update": lambda: (_core.sgd_update, {
        "w": floats(E, H), "dw": -floats(E, H), "lr": 0.1, "weight_decay": 0.01}),
    "train_steps": lambda: (_core.train_steps, adam()),
    "moments_of": lambda: (_core.moments_of, {"optimizer": "adam"}),
    "mean_loss": lambda: (_core.mean_loss, {
        **parameters(), "X": tokens(N, T), "Y": tokens(N), "threads": 2, "exchange": None}),
    "log_probs": lambda: (_core.log_probs, {**parameters(), "X": tokens(N, T), "threads": 2}),
    "sample_tokens": lambda: (_core.sample_tokens, {
        "log_probs": uniform(tokens(N, T)), "u": np.linspace(0, 0.9, N)}),
    "Vocabulary": lambda: (
        lambda **options: _core.Vocabulary(**options).tokens,
        {"tokens": ["a", "b"], "boundary": "."}),
    "Vocabulary.encode": lambda: (vocabulary().encode, {"text": "abcd"}),
    "Vocabulary.encode_many": lambda: (vocabulary().encode_many, {"texts": ["ab", "", "dd"]}),
    "Vocabulary.decode": lambda: (vocabulary().decode, {"tokens": tokens(N)}),
    "SavedModel": lambda: (
        lambda **options: _core.SavedModel(**options).to_bytes(),
        {"vocabulary": vocabulary(), **parameters(), "data": ("x", "a" * 64, 1)}),
    "SavedModel.from_bytes": lambda: (
        lambda **options: _core.SavedModel.from_bytes(**options).to_bytes(),
        {"data": saved().to_bytes(), "name": "some.file"}),
    "SavedModel.load": lambda: (_core.SavedModel.load, {"path": "/dev/null/none"}),
    "write_file": lambda: (_core.write_file, {"path": "/dev/null/none", "data": b"data"}),
    "SavedModel.save": lambda: (saved().save, {"path": "/dev/null/none"}),
    "write_tensors": lambda: (
        _core.write_tensors,
        {"metadata": '{"a":1}', "tensors": {"x": floats(N, V), "y": tokens(N, T)}}),
    "read_tensors": lambda: (
        _core.read_tensors,
        {"data": _core.write_tensors('{"a":1}', {"x": floats(N)}), "name": "some.file"}),
    "read_tensor_file": lambda: (_core.read_tensor_file, {"path": "/dev/null/none"}),
    "LanguageModel": lambda: (
        lambda **options: _core.LanguageModel(**options).sizes, {"saved": saved()}),
    "LanguageModel.log_probs": lambda: (frozen().log_probs, {"X": tokens(N, T), "threads": 2}),
    "LanguageModel.next": lambda: (frozen().next, {"prefix": "ab"}),
    "LanguageModel.score": lambda: (
        frozen().score, {"texts": ["ab", "", "dcba"], "oov": "skip", "threads": 2}),
    "LanguageModel.per_char": lambda: (frozen().per_char, {"text": "abcd"}),
    "Sampler": lambda: (
        lambda **options: drawn(_core.Sampler(**options), 0, 5), sampling(frozen())),
    "Sampler of a function": lambda: (
        lambda **options: drawn(_core.Sampler(**options), 0, 5), sampling(uniform)),
    "Sampler.draw": lambda: (
        lambda **options: drawn(_core.Sampler(**sampling(frozen())), **options),
        {"first": 3, "n": 4, "threads": 2}),
    "LanguageModel.score_and_length": lambda: (
        frozen().score_and_length, {"texts": column(), "oov": "skip", "threads": 2}),
    "per_char of many": lambda: (frozen().per_char, {"text": column()}),
    "TextColumn.append": lambda: (
        lambda **options: _core.TextColumn().append(**options), {"texts": ["ab", "é"]}),
    "arrow_reader": lambda: (
        lambda **options: _core.arrow_reader(**options)(), {"texts": column(), "name": "texts"}),
    "complete": lambda: (_core.complete, completion(frozen())),
    "complete of a function": lambda: (_core.complete, completion(uniform)),
}  # fmt: skip


# -- text for the Python layer --------------------------------------------------------------------
def texts() -> list[str]:
    return ["ab", "abc", "dcba", "bad", "cab", "a"] * 5


def vocab() -> mm.Vocab:
    return mm.Vocab(list("abcd"))


def mlp() -> mm.MLP:
    return mm.MLP(vocab(), block_size=T, n_embd=E, n_hidden=H)


def frozen_mlp() -> mm.LanguageModel:
    return mlp().freeze()


def three_samples(model: Any, **options: Any) -> list[str]:
    return mm.text.sample(model, 3, **options)


def counts() -> mm.NGram:
    return mm.NGram(vocab(), texts(), order=2)


TEXT_FUNCTIONS: Calls = {
    "Vocab": lambda: (mm.Vocab, {"tokens": ["a", "b"], "boundary": "."}),
    "Vocab.from_texts": lambda: (mm.Vocab.from_texts, {"texts": texts(), "boundary": "."}),
    "build_dataset": lambda: (
        lambda texts, block_size: mm.build_dataset(texts, vocab(), block_size),
        {"texts": texts(), "block_size": 2}),
    "Dataset.split": lambda: (
        lambda texts, block_size: mm.Dataset.split(texts, block_size=block_size),
        {"texts": texts(), "block_size": 2}),
    "KneserNey": lambda: (
        lambda texts, order: mm.KneserNey(vocab(), texts, order), {"texts": texts(), "order": 2}),
    "load_texts": lambda: (mm.load_texts, {"path": "/dev/null/none"}),
    "shuffled_letters": lambda: (mm.text.shuffled_letters, {"texts": texts(), "seed": 1}),
    "random_letters": lambda: (
        lambda texts, seed: mm.text.random_letters(texts, vocab(), seed),
        {"texts": texts(), "seed": 1}),
    **{
        f"{function.__name__} of {model.__name__}": (
            lambda function=function, model=model, arguments=arguments: (
                lambda **options: function(model(), **options), dict(arguments))
        )
        for model in (mlp, frozen_mlp, counts)
        for function, arguments in (
            (mm.text.score, {"texts": ["ab", "d"], "oov": "error", "threads": 1}),
            (mm.text.per_char, {"text": "abc"}),
            (mm.text.bits_per_char, {"texts": ["ab", "d"], "oov": "skip"}),
            (mm.text.next_probs, {"prefix": "ab"}),
            (mm.text.complete, {"prefix": "ab", "k": 2, "max_length": 4}),
            (three_samples, {"prefix": "a", "seed": 1, "exclude": ["ab"], "max_length": 9}),
        )
    },
}  # fmt: skip
