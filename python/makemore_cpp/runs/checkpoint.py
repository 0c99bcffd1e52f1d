"""The checkpoint: the file from which an interrupted training run goes on."""

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from makemore_cpp import _core, checks, files
from makemore_cpp._core import ArgumentError, FileError
from makemore_cpp.data.dataset import Dataset
from makemore_cpp.data.origin import load_origin, recalled
from makemore_cpp.files import tensors
from makemore_cpp.files.tensors import Content, check_types, naming
from makemore_cpp.models.frozen import (
    CHECKPOINT_FILE,
    MODEL_FILE,
    data_of,
    description_fields,
    take_description,
    take_parameters,
)
from makemore_cpp.models.mlp import MLP
from makemore_cpp.recipe.options import OPTIONS, Recipe, names_of
from makemore_cpp.recipe.schedules import MAX_STEPS
from makemore_cpp.training.snapshots import MAX_ELEMENTS, Snapshot, every_of
from makemore_cpp.training.state import Evaluation, TrainingState

FORMAT = "makemore_cpp checkpoint"
VERSION = 1

NUMBER = (int, float)
# Options that the first release did not have. A file holds them only where they are not the
# default, so that files of that release can be read and files without these options are as before.
YOUNGER = ("negatives",)
MAX_SAMPLES = 10**6
MAX_PROGRESS_BYTES = 1 << 14


class Checkpoint(NamedTuple):
    """The state of a training run, and what only the command line needs to go on.

    Attributes
    ----------
    state : TrainingState
    init : str
        How the initial parameters were drawn.
    samples : int
        The number of samples to print at the end.
    builds : tuple of str
        The builds of the core (see `this_build`) that took part, in their order; where it is empty,
        `save` writes the present one. With a single build the result is that of an uninterrupted
        run.
    """

    state: TrainingState
    init: str = "scaled"
    samples: int = 20
    builds: tuple[str, ...] = ()


def this_build() -> str:
    """Return the release and the instruction set: the bits of a result depend on them."""
    return f"{_core.__version__}, {_core.build_info()['isa']['used']}"


# -- writing -------------------------------------------------------------------------------------
def save(path: str | bytes | os.PathLike[str], checkpoint: Checkpoint) -> None:
    """Write the file, atomically and durably.

    Raises
    ------
    FileError
        The file cannot be written; an older one is as it was.
    ArgumentError
        A number is not finite.
    """
    files.replace(checks.path("path", path), to_bytes(checkpoint))


def to_bytes(checkpoint: Checkpoint) -> bytes:
    """Return the bytes that `save` writes; raise ArgumentError where `save` does."""
    state = checkpoint.state
    dev_losses = [evaluation.dev_loss for evaluation in state.evaluations]
    arrays: dict[str, NDArray[Any]] = {
        "dev_losses": np.array(dev_losses, np.float64),
        "losses": state.losses,
        **state.model.parameters,
        **{name: array for name, array in state.optimizer_state.items() if name != "step"},
        **{f"best.{name}": array for name, array in state.best.items()},
    }
    snapshots = {}  # files of the first release and those of larger nets have none
    if state.snapshots:
        arrays["snapshots"] = np.array([snapshot.C for snapshot in state.snapshots])
        snapshots = {"snapshots": len(state.snapshots)}
    fields = {
        **description_fields(state.model),
        "optimizer": state.options["optimizer"],
        "steps": len(state.losses),
        "evaluations": len(dev_losses),
        "best": int(bool(state.best)),
        **snapshots,
        "progress": _text(checkpoint),
    }
    return tensors.to_bytes(FORMAT, VERSION, fields, arrays)


def _text(checkpoint: Checkpoint) -> str:
    state = checkpoint.state
    is_said = {
        name: value
        for name, value in state.options.items()
        if name not in YOUNGER or value != OPTIONS[name].default
    }
    text = tensors.canonical(
        {
            "options": is_said,
            "examples_sha256": state.examples_sha256,
            "seconds": state.seconds,
            "init": checkpoint.init,
            "samples": checkpoint.samples,
            "builds": checkpoint.builds or (this_build(),),
        }
    )
    _check_size(text)
    return text


def _check_size(progress: str) -> None:
    size = len(progress.encode())
    if size > MAX_PROGRESS_BYTES:
        raise ArgumentError(
            f"progress has {size} bytes; it must be of at most {MAX_PROGRESS_BYTES}"
        )


# -- reading -------------------------------------------------------------------------------------
def load(path: str | bytes | os.PathLike[str]) -> Checkpoint:
    """Return the checkpoint of a file.

    Raises
    ------
    FileError
        The file cannot be read.
    FormatError
        Its bytes are not a checkpoint's, or were changed.
    """
    name = checks.path("path", path)
    content = Content(_core.read_tensor_file(name), name)
    with naming(name):
        content.check_format(FORMAT, VERSION)
        checkpoint = _checkpoint_of(content)
        content.check_nothing_left()
    return checkpoint


def _checkpoint_of(content: Content) -> Checkpoint:
    description = take_description(content)
    optimizer = content.take("optimizer", str)
    done = checks.integer("the number of losses", content.take("steps", int), 1, MAX_STEPS)
    evaluations = content.take("evaluations", int)
    has_best = content.take("best", int)
    snapshots = content.take("snapshots", int) if content.has("snapshots") else None
    progress = _parse(content.take("progress", str))

    options = progress["options"]
    if optimizer != options["optimizer"]:
        raise ArgumentError(
            f"it holds the state of {optimizer!r} and names {options['optimizer']!r}"
        )
    every = options["eval_every"]
    if evaluations and (every == 0 or evaluations != done // every):
        raise ArgumentError(
            f"it holds {evaluations} evaluations of {done} steps with eval_every {every}"
        )
    if snapshots not in (None, 1 + evaluations // every_of(evaluations)):
        raise ArgumentError(
            f"it holds {snapshots} snapshots, wrongly, at {evaluations} evaluations"
        )
    if has_best != (options["patience"] is not None and evaluations > 0):
        raise ArgumentError("it holds parameters of a best evaluation, or lacks them, wrongly")

    dev_losses = content.array("dev_losses", np.float64, evaluations).tolist()
    losses = content.array("losses", np.float32, done)
    saved = description.with_parameters(take_parameters(content, description))
    moments = {
        f"{moment}.{name}": array
        for moment in _core.moments_of(optimizer)
        for name, array in take_parameters(content, description, f"{moment}.").items()
    }
    best = take_parameters(content, description, "best.") if has_best else {}
    done_evaluations = [Evaluation((i + 1) * every, loss) for i, loss in enumerate(dev_losses)]
    state = TrainingState(
        options=options,
        model=MLP._of_contents(saved, data_of(saved)),
        optimizer_state={**moments, "step": np.array([done])} if moments else {},
        losses=losses,
        evaluations=done_evaluations,
        best=best,
        examples_sha256=progress["examples_sha256"],
        seconds=progress["seconds"],
        snapshots=[]
        if snapshots is None
        else _snapshots(content, description.sizes, done_evaluations),
    )
    _check_options(state)
    return Checkpoint(state, progress["init"], progress["samples"], tuple(progress["builds"]))


def _snapshots(
    content: Content, sizes: tuple[int, int, int, int], evaluations: list[Evaluation]
) -> list[Snapshot]:
    every = every_of(len(evaluations))
    steps = [0, *(evaluation.step for evaluation in evaluations[every - 1 :: every])]
    _, E, _, V = sizes
    if V * E > MAX_ELEMENTS:
        raise ArgumentError(f"it holds snapshots of more than {MAX_ELEMENTS} numbers")
    return list(map(Snapshot, steps, content.array("snapshots", np.float32, len(steps), V, E)))


def _parse(text: str) -> dict[str, Any]:
    """Return the fields of the text that `_text` writes; check their types."""
    _check_size(text)
    progress = tensors.parse("its progress", text)
    types = {
        "options": (dict,),
        "examples_sha256": (str,),
        "seconds": NUMBER,
        "init": (str,),
        "samples": (int,),
        "builds": (list,),
    }
    check_types("its progress", progress, types)
    options = progress["options"]
    if isinstance(options.get("betas"), list):  # JSON has no tuples
        options["betas"] = tuple(options["betas"])
    for name in YOUNGER:
        options.setdefault(name, OPTIONS[name].default)
    option_types = {name: OPTIONS[name].types for name in names_of("training", "update")}
    option_types["eval_every"] = (int,)  # None has become the number of steps
    check_types("options in its progress", options, option_types)
    if not all(isinstance(build, str) for build in progress["builds"]) or not progress["builds"]:
        raise ArgumentError("builds in its progress is not a list of texts")
    OPTIONS["init"].check("init", progress["init"])
    checks.integer("samples", progress["samples"], 0, MAX_SAMPLES)
    checks.non_negative("seconds", progress["seconds"])
    return progress


def _check_options(state: TrainingState) -> None:
    """Raise what `train` would raise before its first step; there must be steps left."""
    recipe = Recipe.of(state.options, "training", "update")
    checks.integer("steps", recipe.steps, len(state.losses) + 1, MAX_STEPS)


# -- going on ------------------------------------------------------------------------------------
def load_run(folder: str | os.PathLike[str]) -> Checkpoint:
    """Return the checkpoint in a run folder.

    Raises
    ------
    FileError
        There is no checkpoint, or it cannot be read.
    FormatError
        Its bytes are not a checkpoint's, or were changed.
    """
    path = Path(folder) / CHECKPOINT_FILE
    if not path.exists() and (Path(folder) / MODEL_FILE).exists():
        raise FileError(f"{folder} holds a finished run: there is nothing to resume")
    return load(path)


def find_data(
    state: TrainingState, folder: str | os.PathLike[str], path: str | None = None
) -> Dataset:
    """Return the data of the run in a folder, read and split again, from `path` if they have moved.

    Raises
    ------
    ArgumentError
        The run does not remember its data, or the data have changed since.
    FileError, FormatError
        The file cannot be read.
    """
    origin = recalled(folder, state.model.data)
    if origin is None or origin.split_seed is None:
        raise ArgumentError("the run to resume does not remember its data")
    advice = "if the data have moved, name their file with --data"
    texts = load_origin(origin, advice, "the run's beginning", path)
    model = state.model
    return Dataset.again(texts, model.block_size, origin.split_seed, model.vocab)
