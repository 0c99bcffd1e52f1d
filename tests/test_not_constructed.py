"""Objects whose constructor has not run: every use of them ends in one sentence."""

from __future__ import annotations

import copy
import importlib
import inspect
import pickle
import pkgutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from binding_calls import BINDINGS, TEXT_FUNCTIONS
from extent import CAMPAIGN
from forked import ends_by

import makemore_cpp as mm
from makemore_cpp import _core

NOT_RUN = r"^the constructor, __init__, of this \S+ has not run$"
SPECIAL = {
    "repr": repr, "len": len, "bool": bool, "iter": iter, "hash": hash, "str": str, "dir": dir,
    "equal": lambda one: one == one,
    "less": lambda one: one < one,
    "contains": lambda one: "a" in one, "item": lambda one: one[0],
    "call": lambda one: one(), "copy": copy.copy, "deepcopy": copy.deepcopy,
    "pickle": pickle.dumps,
}  # fmt: skip


def modules() -> Iterator[Any]:
    yield _core
    for info in pkgutil.walk_packages(mm.__path__, "makemore_cpp."):
        if info.name.endswith("estimators") and find_spec("sklearn") is None:
            continue
        if not info.name.endswith("__main__"):
            yield importlib.import_module(info.name)


def classes() -> dict[str, type]:
    """Return every class of the package, public or not."""
    return {
        f"{found.__module__}.{found.__name__}": found
        for module in modules()
        for found in vars(module).values()
        if isinstance(found, type) and found.__module__.startswith("makemore_cpp")
    }


def test_every_class_of_the_core_is_here() -> None:
    found = {kind for name, kind in CLASSES.items() if name.startswith("makemore_cpp._core.")}
    assert found == set(OF_THE_CORE)


CLASSES = classes()
OF_THE_CORE = (
    _core.Vocabulary, _core.SavedModel, _core.LanguageModel, _core.Sampler, _core.TextColumn,
)  # fmt: skip
MODELS = (mm.MLP, mm.LanguageModel, mm.NGram, mm.KneserNey, mm.InterpolatedNGram, mm.Mixture)


def blank(kind: type) -> Any:
    """Return an object of a class, made without its constructor."""
    return tuple.__new__(kind) if issubclass(kind, tuple) else kind.__new__(kind)


def deeds(kind: type) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield the name and function of everything that can be done with a blank object."""
    for name, function in SPECIAL.items():
        yield name, lambda function=function: function(blank(kind))
    for name in dir(kind):
        if name in dir(object) or name in ("__dict__", "__weakref__", "__abstractmethods__"):
            continue
        yield name, lambda name=name: getattr(blank(kind), name)
        if callable(getattr(kind, name, None)):
            for arguments in ([], ["a"], [["a"]], [blank(kind)], [[[0, 1]], [0], 0.1]):
                yield f"{name}()", lambda name=name, a=arguments: getattr(blank(kind), name)(*a)
    if not (CAMPAIGN or issubclass(kind, OF_THE_CORE + MODELS)):
        return
    for name, make in {**BINDINGS, **TEXT_FUNCTIONS}.items():
        for argument in make()[1]:
            yield (
                f"{name} {argument}",
                lambda make=make, argument=argument: with_it(*make(), argument, blank(kind)),
            )


def with_it(function: Callable[..., Any], arguments: Any, argument: str, it: Any) -> Any:
    return function(**{**arguments, argument: it})


def all_of(kind: type) -> None:
    for _, deed in deeds(kind):
        try:
            deed()
        except Exception:
            continue


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CLASSES)
def test_nothing_that_is_done_with_it_ends_the_process(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = CLASSES[name]
    if getattr(kind, "__abstractmethods__", None):
        with pytest.raises(TypeError, match="abstract"):
            blank(kind)
        return
    monkeypatch.chdir(tmp_path)
    # All deeds run in one child; where it ends badly, each runs in a child of its own.
    if ends_by(lambda: all_of(kind)):
        assert {
            what: end for what, deed in deeds(kind) if (end := ends_by(deed, allowed=Exception))
        } == {}


# -- the sentence ----------------------------------------------------------------------------------
@pytest.mark.parametrize("name", [name for name in BINDINGS if "." in name])
def test_methods_of_the_core(name: str) -> None:
    _, arguments = BINDINGS[name]()
    kind, method = name.split(".")
    if "self" not in (inspect.getdoc(getattr(_core, kind).__dict__[method]) or "").split(",")[0]:
        return  # of the class
    with pytest.raises(TypeError, match=NOT_RUN):
        getattr(blank(getattr(_core, kind)), method)(**arguments)


@pytest.mark.parametrize("kind", OF_THE_CORE)
def test_properties_of_the_core(kind: type) -> None:
    one = blank(kind)
    for attribute, found in vars(kind).items():
        if isinstance(found, property):
            with pytest.raises(TypeError, match=NOT_RUN):
                getattr(one, attribute)


@pytest.mark.parametrize("kind", [_core.Vocabulary, mm.Vocab])
def test_operators_of_a_vocabulary(kind: type) -> None:
    whole, one = mm.Vocab(["a"]), blank(kind)
    for deed in (lambda: whole == one, lambda: one == whole, lambda: one != one, lambda: len(one),
                 lambda: repr(one), lambda: str(one), lambda: pickle.dumps(one),
                 lambda: mm.MLP(one), lambda: mm.NGram(one, ["a"])):  # fmt: skip
        with pytest.raises(TypeError, match=r"has not run$|cannot pickle|not Vocabulary$"):
            deed()


@pytest.mark.parametrize("argument", ["next", "vocabulary"])
def test_an_argument_of_the_core(argument: str) -> None:
    for name in ("Sampler", "complete"):
        function, arguments = BINDINGS[name]()
        arguments[argument] = blank(type(arguments[argument]))
        with pytest.raises(TypeError, match=NOT_RUN):
            function(**arguments)
    with pytest.raises(TypeError, match=NOT_RUN):
        _core.LanguageModel(blank(_core.SavedModel))


QUESTIONS: dict[str, Callable[[Any], Any]] = {
    "vocab": lambda model: model.vocab,
    "block_size": lambda model: model.block_size,
    "repr": repr,
    "to_bytes": lambda model: model.to_bytes(),
    "log_probs": lambda model: model.log_probs([[0]]),
    "loss": lambda model: model.loss([[0]], [0]),
    "score": lambda model: mm.text.score(model, ["a"]),
    "method score": lambda model: model.score(["a"]),
    "next": lambda model: model.next("a"),
    "complete": lambda model: mm.text.complete(model, "a"),
    "sample": lambda model: model.sample(2),
    "mix": lambda model: mm.Mixture([model], [1.0]),
    "fit": lambda model: mm.Detector.fit(model, ["a"] * 200),
}


@pytest.mark.parametrize("kind", MODELS)
def test_models(kind: type) -> None:
    for question in QUESTIONS.values():
        with pytest.raises(TypeError, match=NOT_RUN):
            question(blank(kind))


@pytest.mark.parametrize("kind", [mm.Detector, mm.models.NGramCounts])
def test_what_is_made_of_models(kind: type) -> None:
    for attribute in inspect.get_annotations(kind):
        if attribute != "_KIND":
            with pytest.raises(TypeError, match=NOT_RUN):
                getattr(blank(kind), attribute)


# -- constructors that are not called once ---------------------------------------------------------
def test_a_constructor_inside_itself() -> None:
    one = blank(_core.Vocabulary)

    def characters() -> Iterator[str]:
        yield "a"
        one.__init__(["x", "y"])

    with pytest.raises(TypeError, match="called inside itself"):
        one.__init__(characters())
    assert one.tokens == ["x", "y"]


def test_a_constructor_that_failed_can_be_called_again() -> None:
    one = blank(_core.Vocabulary)
    with pytest.raises(mm.ArgumentError):
        one.__init__(["aa"])
    with pytest.raises(TypeError, match=NOT_RUN):
        len(one)
    one.__init__(["a"])
    assert len(one) == 2


def test_a_constructor_in_many_threads() -> None:
    for _ in range(20):
        one, barrier = blank(_core.Vocabulary), Barrier(4)

        def characters(barrier: Barrier = barrier) -> Iterator[str]:
            barrier.wait(10)
            yield "a"

        def construct(one: Any = one, characters: Any = characters) -> int:
            try:
                one.__init__(characters())
            except TypeError:
                return 0
            return 1

        with ThreadPoolExecutor(4) as pool:
            assert sum(pool.map(lambda _, c=construct: c(), range(4))) == 1
        assert one.tokens == ["a"]


def test_a_part_of_another_object_needs_no_constructor() -> None:
    model = _core.LanguageModel(BINDINGS["LanguageModel"]()[1]["saved"])
    assert model.vocabulary.decode(model.vocabulary.encode("ab")) == "ab"
    assert _core.complete(model, model.vocabulary, 2, "a", 1)[0]
