"""Arguments that act when they are asked for their value lead to exceptions or results only.

``MAKEMORE_CAMPAIGN=1`` raises the number of calls from some hundreds to 10,000.
"""

from __future__ import annotations

import contextlib
import gc
import numbers
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import NonCallableMock

import numpy as np
import pytest
from binding_calls import BINDINGS, TEXT_FUNCTIONS, Arguments
from extent import CAMPAIGN
from forked import ends_by

import makemore_cpp as mm
from makemore_cpp import _core

CALLS = {**BINDINGS, **TEXT_FUNCTIONS}
EACH = 160 if CAMPAIGN else 6  # calls of each function
Deed = Callable[[], object]


# -- values that do a deed when they are asked -----------------------------------------------------
class Asked:
    """A stand-in for a value, which does its deed before it answers a question about the value."""

    def __init__(self, value: Any, deed: Deed, others: list[Any]) -> None:
        self.value, self.deed, self.others = value, deed, others

    def answer(self) -> Any:
        self.deed()
        if self.others:  # asked again, it is another value
            self.value, answer = self.others.pop(), self.value
            return answer
        return self.value

    def __index__(self) -> int:
        return self.answer()

    def __float__(self) -> float:
        return float(self.answer())

    def __bool__(self) -> bool:
        return bool(self.answer())

    def __array__(self, *_: object, **__: object) -> np.ndarray:
        return np.asarray(self.answer())

    def __len__(self) -> int:
        return len(self.answer())

    def __getitem__(self, key: Any) -> Any:
        return self.answer()[key]

    def __iter__(self) -> Iterator[Any]:
        for element in self.answer():
            yield element
            self.deed()

    def __call__(self, *arguments: Any) -> Any:
        return self.answer()(*arguments)

    def __fspath__(self) -> str:
        return self.answer()

    @property
    def __class__(self) -> type:
        self.deed()
        return type(self.value)


numbers.Real.register(Asked)


class AskedDict(dict):
    """A dict that does a deed in each of its methods."""

    deed: Deed = staticmethod(lambda: None)

    def __getattribute__(self, name: str) -> Any:
        object.__getattribute__(self, "deed")()
        return super().__getattribute__(name)


class AskedTuple(tuple):
    """A tuple that is shorter than it says."""

    __len__ = lambda self: 3  # noqa: E731


def asked(value: Any, deed: Deed, random: Random) -> Any:
    """Return an object that looks like the value and does the deed."""
    if isinstance(value, dict) and random.random() < 0.5:
        one = AskedDict({name: asked(each, deed, random) for name, each in value.items()})
        one.deed = deed
        return one
    if isinstance(value, tuple) and random.random() < 0.5:
        return AskedTuple(value[: random.randrange(4)])
    others = [another(value, random) for _ in range(random.randrange(3))]
    return Asked(value, deed, others)


def another(value: Any, random: Random) -> Any:
    """Return a value of another size, kind or shape."""
    if isinstance(value, np.ndarray):
        return random.choice(
            [value[:1], np.repeat(value, 3, axis=0), np.repeat(value, 50, axis=-1), value.T,
             value.astype("f8"), value.astype("i8"), value.tolist(), value[..., :0], None]
        )  # fmt: skip
    if isinstance(value, int):
        return random.choice([0, 1, value + 1, 2**31, 2**63 - 1, -1])
    if isinstance(value, list | tuple):
        return random.choice([value[:1], list(value) * 100, [], None, 3])
    return random.choice([None, 0, "", "a", 0.5, []])


# -- deeds -----------------------------------------------------------------------------------------
def spoil(array: np.ndarray, random: Random) -> None:
    """Change an array in place, as its owner may."""
    with contextlib.suppress(ValueError, TypeError):
        match random.randrange(6):
            case 0:
                array[...] = random.choice([-1, 5, 2**31 - 1, 0])
            case 1:
                array.shape = array.shape[::-1]
            case 2:
                array.dtype = random.choice(["i1", "f8", "f4"])
            case 3:
                array.resize((0,) * array.ndim)  # refused while others hold it
            case 4:
                array.flags.writeable = False
            case 5:
                array.shape = (-1,)


def deeds(
    function: Callable[..., Any], plain: Arguments, arguments: Arguments, random: Random
) -> list[Deed]:
    """Return the deeds that a caller may do while a call looks at its arguments."""
    owner = getattr(function, "__self__", None)
    objects = [one for one in (owner, *plain.values()) if type(one) in CONSTRUCTORS]
    arrays = [one for one in every(plain) if isinstance(one, np.ndarray)]

    def again() -> None:
        function(**plain)

    def elsewhere() -> None:
        thread = threading.Thread(target=quietly, args=(again,))
        thread.start()
        thread.join()

    def construct() -> None:
        for one in objects:
            one.__init__(*CONSTRUCTORS[type(one)]())

    def empty() -> None:
        for one in (*plain.values(), arguments):
            if isinstance(one, list | dict):
                one.clear()

    def change() -> None:
        for array in arrays:
            spoil(array, random)

    def stop() -> None:
        raise KeyError("a foreign error")

    return [again, elsewhere, construct, empty, change, change, change, gc.collect, stop]


def every(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for each in value.values():
            yield from every(each)
    yield value


CONSTRUCTORS: dict[type, Callable[[], list[Any]]] = {
    _core.Vocabulary: lambda: [["x", "y"]],
    _core.LanguageModel: lambda: [BINDINGS["LanguageModel"]()[1]["saved"]],
    _core.SavedModel: lambda: list(BINDINGS["SavedModel"]()[1].values()),
}


def quietly(deed: Deed) -> None:
    with contextlib.suppress(Exception):
        deed()


# -- the attack ------------------------------------------------------------------------------------
def attack(name: str, number: int) -> None:
    """Call a function with some arguments that do something when they are asked."""
    random = Random(f"{name} {number}")
    function, plain = CALLS[name]()
    borders = guard(plain)
    arguments = dict(plain)
    depth = 0
    chosen: list[Deed] = []

    def deed() -> None:
        nonlocal depth
        if depth > 2:
            return
        depth += 1
        try:
            random.choice(chosen)()
        finally:
            depth -= 1

    chosen += deeds(function, plain, arguments, random)
    for key in random.sample([*arguments], random.randint(1, min(3, len(arguments)))):
        arguments[key] = asked(arguments[key], deed, random)
    try:
        function(**arguments)
    except Exception as error:
        check(error)
    assert all((border == BORDER).all() for border in borders), "written behind an array"
    function, plain = CALLS[name]()
    with contextlib.suppress(mm.Error):
        function(**plain)  # works as before


def check(error: Exception) -> None:
    assert not isinstance(error, AssertionError | SystemError | RuntimeError), repr(error)


BORDER = 7  # the value of the memory behind an array


def guard(arguments: Arguments) -> list[np.ndarray]:
    """Move the arrays into larger ones; return the memory behind them there."""
    borders = []
    for name, array in arguments.items():
        if isinstance(array, dict):
            borders += guard(array)
        if isinstance(array, np.ndarray):
            whole = np.full(9 * array.size, BORDER, array.dtype)
            arguments[name] = whole[: array.size].reshape(array.shape)
            arguments[name][...] = array
            borders.append(whole[array.size :])
    return borders


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.filterwarnings("ignore")
def test_arguments_that_do_something(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def all_of_them() -> None:
        gc.freeze()  # what pytest has made: some attacks collect garbage
        for i in range(EACH):
            attack(name, i)

    # All attacks run in one child; where it ends badly, each runs in a child of its own.
    if ends_by(all_of_them, 60):
        ends = {i: ends_by(lambda i=i: attack(name, i)) for i in range(EACH)}
        assert {i: end for i, end in ends.items() if end} == {}


# -- instances -------------------------------------------------------------------------------------
class Says:
    """Answers each question about its value by a function."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self.ask = function

    def __index__(self) -> int:
        return self.ask()

    def __float__(self) -> float:
        return self.ask()

    def __array__(self, *_: object, **__: object) -> np.ndarray:
        return self.ask()


numbers.Real.register(Says)


@pytest.mark.parametrize("dtype", ["i1", "f8"])
def test_an_update_writes_what_the_array_was_when_it_was_looked_at(dtype: str) -> None:
    whole = np.ones(100, np.float32)
    w, dw = whole[:20], np.ones(100, np.float32)[:20]

    def rate() -> float:
        w.dtype = dtype
        return 0.5

    _core.sgd_update(w, dw, Says(rate), 0.0)
    assert whole.tolist() == [0.5] * 20 + [1.0] * 80


def interrupted() -> Any:
    raise KeyboardInterrupt


INTERRUPTED: dict[str, Callable[[], Any]] = {
    "__index__": lambda: mm.MLP(mm.Vocab(["a"]), Says(interrupted)),
    "__index__ of a seed": lambda: _core.sample_uniforms(Says(interrupted), 0, 1, 0),
    "__float__": lambda: _core.sgd_update(*np.zeros((2, 2), "f4"), Says(interrupted), 0.0),
    "__array__ of tokens": lambda: mm.MLP(mm.Vocab(["a"])).log_probs(Says(interrupted)),
    "__array__ of floats": lambda: mm.ops.log_softmax(Says(interrupted)),
    "__array__ of rates": lambda: mm.MLP(mm.Vocab(["a"])).train_steps(
        np.zeros((1, 3), int), [0], Says(interrupted)
    ),
}


@pytest.mark.parametrize("name", INTERRUPTED)
def test_an_interrupt_while_a_value_is_asked_for_is_not_taken_for_a_wrong_value(name: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        INTERRUPTED[name]()


@pytest.mark.parametrize("name", ["Sampler", "complete", "SavedModel", "LanguageModel"])
def test_what_says_that_it_is_of_another_class(name: str) -> None:
    """A mock says so of itself."""
    for argument, value in BINDINGS[name]()[1].items():
        if type(value) not in CONSTRUCTORS:
            continue
        function, arguments = BINDINGS[name]()
        with pytest.raises(TypeError, match=rf"^{argument} must be a \w+.*, not NonCallableMock$"):
            function(**{**arguments, argument: NonCallableMock(spec=value)})
    with pytest.raises(TypeError, match=r"^lr must be a real number, not NonCallableMock$"):
        _core.sgd_update(*np.zeros((2, 2), "f4"), NonCallableMock(spec=0.5), 0.0)
