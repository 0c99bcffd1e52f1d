"""Every option of a training, declared once: its type, default, range, help and owner."""

import math
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any, Literal, NamedTuple, Self, TypedDict

import numpy as np

from makemore_cpp import checks
from makemore_cpp._core import ArgumentError
from makemore_cpp.arrays import Float64
from makemore_cpp.recipe import schedules

# Who takes an option: `MLP`, `train`, also `MLP.train_steps`, or a sweep for each of its runs.
Part = Literal["model", "training", "update", "budget"]
OPTIMIZERS = ("sgd", "momentum", "adam", "adamw")
MAX_EXAMPLES = 10**15
DEFAULT_EVALUATIONS = 10  # of a run


class Owner(NamedTuple):
    """The option on which another one depends, and the values with which that one is looked at."""

    option: str
    values: tuple[str, ...]
    phrase: str  # these values in a sentence


ADAMS = Owner("optimizer", ("adam", "adamw"), "adam and adamw")
MOMENTUM = Owner("optimizer", ("momentum",), "momentum")
COSINE = Owner("schedule", ("cosine",), "the cosine schedule")
INVERSE = Owner("schedule", ("inverse",), "the inverse schedule")


@dataclass(frozen=True)
class Option:
    """What is declared of an option beside its name.

    Attributes
    ----------
    part : Part
    kind : type
        Of its values; one whose default is None may be None.
    default : the value where nothing is said
    help : str
        One line.
    check : callable
        From name and value to nothing, or to the error that says what is wrong.
    words : tuple of str
        That the option takes instead of a number.
    owner : Owner, optional
    default_text : str
        What is done where the default is None.
    """

    part: Part
    kind: type
    default: Any
    help: str
    check: Callable[[str, Any], object]
    words: tuple[str, ...] = ()
    owner: Owner | None = None
    default_text: str = ""

    @property
    def types(self) -> tuple[type, ...]:
        """The types that a value has in a file."""
        numbers: tuple[type, ...] = (int, float) if self.kind is float else (self.kind,)
        return (*numbers, *(str,) * bool(self.words), *(type(None),) * (self.default is None))

    def check_value(self, name: str, value: Any) -> None:
        """Raise what is wrong with a value; only an option whose default is None may be None."""
        if value is not None or self.default is not None:
            self.check(name, value)


def _integer(low: int, high: int) -> Callable[[str, Any], object]:
    return partial(checks.integer, low=low, high=high)


def _positive(name: str, value: Any) -> None:
    if np.float32(checks.non_negative(name, value)) == 0:
        raise ArgumentError(f"{name} = {value} is not above 0 as a float32")


def _betas(name: str, value: Any) -> None:
    for i, beta in enumerate(checks.pair(name, value), 1):
        checks.fraction(f"beta{i}", beta)


def _choice(*known: str) -> Callable[[str, Any], object]:
    return partial(checks.choice, known=known)


def _batch_size(name: str, value: Any) -> None:
    if not isinstance(value, str):
        checks.integer(name, value, 1, 2**31 - 1)
    elif value != "all":
        raise ArgumentError(f"{name} is {checks.quoted(value)}, no number and not 'all'")


def _option(
    part: Part,
    kind: type,
    default: Any,
    check: Callable[[str, Any], object],
    help: str,
    **more: Any,
) -> Any:
    option = Option(part, kind, default, help, check, **more)
    return field(default=default, metadata={"option": option})


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a model is made and trained; the defaults are the lecture's but for `init`.

    `OPTIONS` says of each field what it is. All values are checked, also together.

    Raises
    ------
    TypeError, ArgumentError
        A value is of a wrong type or out of its range, or an option belongs to another optimiser
        or schedule.
    """

    block_size: int = _option("model", int, 3, _integer(1, 2**16), "Tokens of context.")
    n_embd: int = _option("model", int, 10, _integer(1, 2**16), "Length of an embedding.")
    n_hidden: int = _option("model", int, 200, _integer(0, 2**20), "Hidden units.")
    init: str = _option(
        "model", str, "scaled", _choice("scaled", "lecture"),
        "Initial parameters: scaled, or lecture, all from N(0,1).",
    )  # fmt: skip
    direct: bool = _option(
        "model", bool, False, checks.flag, "Connect the embeddings to the softmax, too."
    )
    steps: int = _option(
        "training", int, 200_000, _integer(1, schedules.MAX_STEPS), "Steps of the optimizer."
    )
    batch_size: int | Literal["all"] = _option(
        "training", int, 32, _batch_size, "Examples in a step.", words=("all",)
    )
    lr: float = _option("training", float, 0.1, checks.non_negative, "First learning rate.")
    schedule: str = _option(
        "training", str, "step", _choice(*schedules.SCHEDULES),
        f"One of {', '.join(schedules.SCHEDULES)}.",
    )  # fmt: skip
    lr_floor: float | None = _option(
        "training", float, None, checks.non_negative, "End of the cosine schedule.",
        owner=COSINE, default_text="lr / 10",
    )  # fmt: skip
    lr_decay: float | None = _option(
        "training", float, None, checks.non_negative, "r of lr / (1 + r t), the inverse schedule.",
        owner=INVERSE, default_text="9 / steps",
    )  # fmt: skip
    seed: int = _option(
        "training", int, 1, _integer(0, checks.MAX_SEED),
        "Seed of the initial parameters and the minibatches.",
    )  # fmt: skip
    eval_every: int | None = _option(
        "training", int, None, _integer(0, schedules.MAX_STEPS), "Steps between dev losses.",
        default_text="steps / 10",
    )  # fmt: skip
    patience: int | None = _option(
        "training", int, None, _integer(1, schedules.MAX_STEPS),
        "Stop after so many dev losses that are no better.",
    )  # fmt: skip
    optimizer: str = _option(
        "update", str, "sgd", _choice(*OPTIMIZERS), f"One of {', '.join(OPTIMIZERS)}."
    )
    momentum: float = _option(
        "update", float, 0.9, checks.fraction, "Of the optimizer of that name.", owner=MOMENTUM
    )
    betas: tuple[float, float] = _option(
        "update", tuple, (0.9, 0.999), _betas, "Of adam and adamw.", owner=ADAMS
    )
    epsilon: float = _option("update", float, 1e-8, _positive, "Of adam and adamw.", owner=ADAMS)
    weight_decay: float = _option(
        "update", float, 0.0, checks.non_negative, "lambda, on C, W1 and W2."
    )
    decay_biases: bool = _option(
        "update", bool, False, checks.flag, "Weight decay on b1 and b2 too."
    )
    dropout: float = _option(
        "update", float, 0.0, checks.fraction, "Share of the hidden units that are left out."
    )
    negatives: int | None = _option(
        "update", int, None, _integer(1, 2**20),
        "Tokens that the softmax of a step has beside its targets.", default_text="all",
    )  # fmt: skip
    max_seconds: float | None = _option(
        "budget", float, None, checks.non_negative, "End a run after this time."
    )
    max_examples: int | None = _option(
        "budget", int, None, _integer(1, MAX_EXAMPLES), "End a run after so many examples."
    )

    def __post_init__(self) -> None:
        for name, option in OPTIONS.items():
            value = getattr(self, name)
            option.check_value(name, value)
            object.__setattr__(self, name, _plain(value))
        _check_owners(vars(self))
        if self.n_hidden == 0 and not self.direct:
            raise ArgumentError("n_hidden is 0; without direct connections it must be at least 1")

    @classmethod
    def of(cls, options: Mapping[str, Any], *parts: Part) -> Self:
        """Return the recipe of these options; TypeError for one that these parts do not have."""
        _check_names(options, names_of(*parts))
        return cls(**options)

    def options(self, *parts: Part) -> dict[str, Any]:
        """Return the options of these parts."""
        return {name: getattr(self, name) for name in names_of(*parts)}

    @property
    def evaluation_every(self) -> int:
        """The steps between losses on dev, 0 for never."""
        if self.eval_every is not None:
            return self.eval_every
        return math.ceil(self.steps / DEFAULT_EVALUATIONS)

    def evaluation_every_of(self, examples: int) -> int:
        """Return the steps between losses on a dev split of so many examples, 0 for never.

        Raises
        ------
        ArgumentError
            Patience would wait for what never comes.
        """
        every = self.evaluation_every if examples > 0 else 0
        if self.patience is not None and every == 0:
            raise ArgumentError("patience needs evaluations on dev, of which there are none")
        return every

    def minibatches(self) -> dict[str, Any]:
        """Return how `MLP.train_steps` is told which examples each step has."""
        is_whole = self.batch_size == "all"
        return {"rows": "all"} if is_whole else {"batch_size": self.batch_size}

    def learning_rates(self, first_step: int, count: int) -> Float64:
        """Return the learning rates (count,) of a part of the run."""
        return schedules.learning_rates(
            self.schedule,
            self.lr,
            self.steps,
            first_step=first_step,
            count=count,
            floor=self.lr_floor,
            decay=self.lr_decay,
        )


OPTIONS: dict[str, Option] = {one.name: one.metadata["option"] for one in fields(Recipe)}


def names_of(*parts: Part) -> list[str]:
    """Return the names of the options of these parts, in their order."""
    return [name for name, option in OPTIONS.items() if option.part in parts]


UPDATE_DEFAULTS = {name: OPTIONS[name].default for name in names_of("update")}


def complete_update(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return all options of an update; it raises what a `Recipe` of them would, in a tenth of time.

    A call of one step takes 40 us, and a recipe 60.
    """
    _check_names(options, UPDATE_DEFAULTS)
    for name, value in options.items():
        OPTIONS[name].check_value(name, value)
    complete = {**UPDATE_DEFAULTS, **options}
    complete["betas"] = tuple(complete["betas"])
    _check_owners(complete)
    return complete


def _check_names(options: Mapping[str, Any], known: Iterable[str]) -> None:
    for name in options:
        if name not in known:
            raise TypeError(
                f"there is no option {checks.shown(name)}; there are {', '.join(known)}"
            )


def _check_owners(values: Mapping[str, Any]) -> None:
    """Refuse a value that is not the default where nobody looks at it."""
    for name, value in values.items():
        option = OPTIONS[name]
        if option.owner is None or value == option.default:
            continue
        setting = values[option.owner.option]
        if setting not in option.owner.values:
            raise ArgumentError(f"{name} belongs to {option.owner.phrase}, not to {setting!r}")


def _plain(value: Any) -> Any:
    """Return the value of an option as Python's own number, text or tuple of numbers."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, tuple | list):
        return tuple(_plain(number) for number in value)
    try:
        return operator.index(value)
    except TypeError:
        return float(value)


# -- the same for signatures -----------------------------------------------------------------------
class UpdateOptions(TypedDict, total=False):
    """How a step changes the parameters, and its regularisation: options of `MLP.train_steps`.

    Attributes
    ----------
    optimizer : {"sgd", "momentum", "adam", "adamw"}
        As PyTorch's SGD without and with momentum, Adam and AdamW, but for their defaults:
        PyTorch's AdamW decays all parameters, by 0.01.
    momentum : float
        Of the optimiser of that name, in [0, 1); by default 0.9.
    betas : (float, float)
        Of Adam and AdamW, each in [0, 1); by default 0.9 and 0.999.
    epsilon : float
        Of Adam and AdamW, above 0; by default 1e-8.
    weight_decay : float
        lambda: adds lambda * w to the gradients of C, W1 and W2; AdamW subtracts
        lr * lambda * w from w instead. By default 0.
    decay_biases : bool
        Weight decay for b1 and b2 too; by default not.
    dropout : float
        In [0, 1), by default 0: the probability with which a hidden unit is 0 for an example,
        while the others are divided by 1 - dropout. Losses of steps are with dropout, all
        others without.
    negatives : int, optional
        In [1, V): a sampled softmax, for a vocabulary that is large. The softmax of a step,
        and so its loss, is that of the minibatch's targets and so many other tokens, drawn
        without replacement from (seed, step) with weights that are roots of 1 + how often
        each token is in Y; their logits are less ln(how often they were to be expected). With
        V - 1 it is the softmax of all tokens, as by default. A step changes W2, b2 and their
        moments where they belong to these tokens, and leaves all others as they are: also
        without weight decay and with moments that do not fade.
    """

    optimizer: str
    momentum: float
    betas: tuple[float, float]
    epsilon: float
    weight_decay: float
    decay_biases: bool
    dropout: float
    negatives: int | None


class TrainingOptions(UpdateOptions, total=False):
    """How a whole run goes; see `train`."""

    steps: int
    batch_size: int | Literal["all"]
    lr: float
    schedule: str
    lr_floor: float | None
    lr_decay: float | None
    seed: int
    eval_every: int | None
    patience: int | None
