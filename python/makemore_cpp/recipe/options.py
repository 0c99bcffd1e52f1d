"""Declares every option of a training once: its type, default, range, help and owner."""

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

# The part of a training to which an option belongs: "model" options are those of `MLP`, "training"
# those of `train`, "update" those of both `train` and `MLP.train_steps`, and "budget" those of a
# sweep, which apply to each of its runs.
Part = Literal["model", "training", "update", "budget"]
OPTIMIZERS = ("sgd", "momentum", "adam", "adamw")
MAX_EXAMPLES = 10**15
DEFAULT_EVALUATIONS = 10  # of a run


class Owner(NamedTuple):
    """The option on which another option depends: the other has an effect only with some values."""

    option: str
    values: tuple[str, ...]  # the values with which the other option has an effect
    phrase: str  # these values in a sentence


ADAMS = Owner("optimizer", ("adam", "adamw"), "adam and adamw")
MOMENTUM = Owner("optimizer", ("momentum",), "momentum")
COSINE = Owner("schedule", ("cosine",), "the cosine schedule")
INVERSE = Owner("schedule", ("inverse",), "the inverse schedule")


@dataclass(frozen=True)
class Option:
    """The declaration of an option, without its name.

    Attributes
    ----------
    part : Part
    kind : type
        The type of the values; an option whose default is None may also be None.
    default : object
    help : str
        One line for the help of the command line.
    check : callable
        A function of name and value that raises the error where the value is wrong.
    words : tuple of str
        Words that the option takes instead of a number.
    owner : Owner, optional
    default_text : str
        For the help, what None does where it is the default.
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
        """Raise unless a value is right; only an option whose default is None may be None."""
        if value is not None or self.default is not None:
            self.check(name, value)


def _integer(low: int, high: int) -> Callable[[str, Any], object]:
    return partial(checks.integer, low=low, high=high)


def _above_zero(name: str, value: Any) -> None:
    if checks.non_negative(name, value) == 0:
        raise ArgumentError(f"{name} is {value}; it must be above 0")


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
    """How a model is made and trained; the defaults are the lecture's except for `init`.

    `OPTIONS` describes each field. The constructor checks all values, also together.

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
        "model", bool, False, checks.flag, "Connect the embeddings to the softmax too."
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
        "training", float, None, checks.non_negative, "Last rate of the cosine schedule.",
        owner=COSINE, default_text="lr / 10",
    )  # fmt: skip
    lr_decay: float | None = _option(
        "training", float, None, checks.non_negative, "r of the inverse schedule, lr / (1 + r t).",
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
        "Stop after this many dev losses without a better one.",
    )  # fmt: skip
    optimizer: str = _option(
        "update", str, "sgd", _choice(*OPTIMIZERS), f"One of {', '.join(OPTIMIZERS)}."
    )
    momentum: float = _option(
        "update", float, 0.9, checks.fraction, "Factor of the optimizer momentum.", owner=MOMENTUM
    )
    betas: tuple[float, float] = _option(
        "update",
        tuple,
        (0.9, 0.999),
        _betas,
        "Decay rates of adam's and adamw's moments.",
        owner=ADAMS,
    )
    epsilon: float = _option(
        "update", float, 1e-8, _positive, "Added to adam's and adamw's denominator.", owner=ADAMS
    )
    weight_decay: float = _option(
        "update", float, 0.0, checks.non_negative, "Weight decay lambda, on C, W1 and W2."
    )
    decay_biases: bool = _option(
        "update", bool, False, checks.flag, "Weight decay on b1 and b2 too."
    )
    dropout: float = _option(
        "update", float, 0.0, checks.fraction, "Share of the hidden units that are left out."
    )
    negatives: int | None = _option(
        "update", int, None, _integer(1, 2**20),
        "Tokens in the softmax of a step beside its targets.", default_text="all",
    )  # fmt: skip
    seconds: float | None = _option(
        "budget",
        float,
        None,
        _above_zero,
        "Do the steps that this machine does in so many seconds.",
    )
    max_examples: int | None = _option(
        "budget", int, None, _integer(1, MAX_EXAMPLES), "End a run after this many examples."
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
        """Return the recipe of these options; raise TypeError for one of another part."""
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
        """Return the steps between losses on a dev split of this many examples, 0 for never.

        Raises
        ------
        ArgumentError
            There is patience, which counts evaluations on dev, but no evaluation.
        """
        every = self.evaluation_every if examples > 0 else 0
        if self.patience is not None and every == 0:
            raise ArgumentError("patience needs evaluations on dev, of which there are none")
        return every

    def minibatches(self) -> dict[str, Any]:
        """Return the arguments by which `MLP.train_steps` knows the examples of each step."""
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
    """Return all options of an update; it raises what a `Recipe` of them would.

    It takes a tenth of the time of a `Recipe`, which would take longer than a call of one step.
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
    """Refuse a value, other than the default, that has no effect with the owner's setting."""
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


# -- the options as types of keyword arguments -----------------------------------------------------
class UpdateOptions(TypedDict, total=False):
    """The options of `MLP.train_steps` on how a step changes the parameters.

    Attributes
    ----------
    optimizer : {"sgd", "momentum", "adam", "adamw"}
        The same as PyTorch's SGD without and with momentum, Adam and AdamW, except for the default
        of the weight decay: PyTorch's AdamW decays all parameters, by 0.01. By default "sgd".
    momentum : float
        The momentum of the optimiser of that name, in [0, 1); by default 0.9.
    betas : (float, float)
        The decay rates of the moments of Adam and AdamW, in [0, 1); by default 0.9 and 0.999.
    epsilon : float
        The term that Adam and AdamW add to a denominator, above 0; by default 1e-8.
    weight_decay : float
        lambda: adds lambda * w to the gradients of C, W1 and W2; AdamW subtracts
        lr * lambda * w from w instead. By default 0.
    decay_biases : bool
        Whether the weight decay applies to b1 and b2 too; by default not.
    dropout : float
        The probability, in [0, 1), with which a hidden unit is 0 for an example, while the others
        are divided by 1 - dropout; by default 0. The losses of steps are computed with dropout, all
        other losses without.
    negatives : int, optional
        The number of negatives of a sampled softmax, in [1, V), for a large vocabulary. A step's
        softmax, and so its loss, is over its candidates: the minibatch's targets and this many
        other tokens, drawn without replacement as a function of (seed, step); see
        `reference.candidates`. The step changes W2, b2 and their moments only where they belong to
        candidates; the others do not even decay. With V - 1 the softmax is over all tokens, as it
        is by default.
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
    """The options of a whole run; see `train`."""

    steps: int
    batch_size: int | Literal["all"]
    lr: float
    schedule: str
    lr_floor: float | None
    lr_decay: float | None
    seed: int
    eval_every: int | None
    patience: int | None
