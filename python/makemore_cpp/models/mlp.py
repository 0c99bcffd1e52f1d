"""The MLP of Bengio et al. (2003): five float32 arrays with names and shapes."""

import copy
from collections.abc import Callable
from typing import Any, Literal, Self, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from makemore_cpp import _core, checks
from makemore_cpp._core import ArgumentError
from makemore_cpp.arrays import Float32
from makemore_cpp.data.origin import origin_fields
from makemore_cpp.data.texts import DataOrigin
from makemore_cpp.data.vocab import Vocab, check_vocab
from makemore_cpp.models.frozen import LanguageModel, Net, vocab_of
from makemore_cpp.recipe.options import UpdateOptions, complete_update
from makemore_cpp.text.predictor import Next

NAMES, SHAPES = zip(*_core.PARAMETERS, strict=True)
OptimizerState = dict[str, NDArray[Any]]


def _check_counts(state: object, optimizer: str) -> None:
    """Refuse a state that does not count its steps, on which Adam's corrections depend."""
    if isinstance(state, dict) and state and "step" not in state:
        raise ArgumentError(
            "state does not count its steps under 'step'; "
            f"optimizer_state({checks.quoted(str(optimizer))}) makes a state"
        )


class MLP(Net):
    """Predicts the next token from the last T: embeddings, one tanh layer, one softmax layer.

    ``e = C[x].reshape(K)``, ``h = tanh(e @ W1 + b1)``, ``logits = h @ W2 + b2``, with K = T*E. The
    paper's direct connections are K more rows of W2: ``logits = [h, e] @ W2 + b2``.

    Parameters
    ----------
    vocab : Vocab
        Gives V, the number of tokens.
    block_size : int
        T, the number of tokens in a context.
    n_embd : int
        E, the length of an embedding.
    n_hidden : int
        H, the number of hidden units; with direct connections it may be 0.
    seed : int
        The seed of the initial parameters, in [0, 2**64).
    init : {"scaled", "lecture"}
        scaled: C from N(0,1), W1 from N(0,1) times (5/3)/sqrt(K), W2 from N(0,1) times 0.01,
        biases 0. lecture: everything from N(0,1).
    direct : bool
        Whether there are direct connections from the embeddings to the output layer.

    Attributes
    ----------
    data : DataOrigin or None
        The data that the model was trained on, where they are known.

    Raises
    ------
    ArgumentError
        A size is not positive or is too large, or `init` is unknown.
    """

    data: DataOrigin | None = checks.from_constructor()
    _arrays: tuple[Float32, ...] = checks.from_constructor()
    _vocab: Vocab = checks.from_constructor()

    def __init__(
        self,
        vocab: Vocab,
        block_size: int = 3,
        n_embd: int = 10,
        n_hidden: int = 200,
        seed: int = 1,
        init: Literal["scaled", "lecture"] = "scaled",
        direct: bool = False,
    ) -> None:
        arrays = _core.initial_parameters(
            block_size, n_embd, n_hidden, len(check_vocab(vocab)), seed, init, direct
        )
        self._set(vocab, arrays, None)

    @classmethod
    def from_arrays(
        cls,
        vocab: Vocab,
        C: Float32,
        W1: Float32,
        b1: Float32,
        W2: Float32,
        b2: Float32,
        data: DataOrigin | None = None,
    ) -> "MLP":
        """Return a model that holds copies of five float32 arrays, shaped as the properties say.

        Raises
        ------
        TypeError
            An array is not float32.
        ArgumentError
            The shapes do not fit each other and `vocab`.
        """
        V = len(check_vocab(vocab))
        named = {
            name: checks.floats(name, array)
            for name, array in zip(NAMES, (C, W1, b1, W2, b2), strict=True)
        }
        for name, array in named.items():
            if array.dtype != np.float32:
                raise TypeError(f"{name} must be float32, not {checks.shown(array.dtype)}")
        checks.parameter_shapes(named, SHAPES, {"V": V})
        model = cls.__new__(cls)
        model._set(vocab, tuple(np.array(array, order="C") for array in named.values()), data)
        return model

    def _set(self, vocab: Vocab, arrays: tuple[Float32, ...], data: DataOrigin | None) -> None:
        self._vocab = vocab
        self._arrays = arrays
        self.data = data

    @property
    def vocab(self) -> Vocab:
        """The vocabulary."""
        return self._vocab

    @property
    def C(self) -> Float32:
        """Embeddings, (V,E). This and the other arrays are the model's memory, not copies."""
        return self._arrays[0]

    @property
    def W1(self) -> Float32:
        """Weights of the hidden layer, (K,H)."""
        return self._arrays[1]

    @property
    def b1(self) -> Float32:
        """Biases of the hidden layer, (H,)."""
        return self._arrays[2]

    @property
    def W2(self) -> Float32:
        """Weights of the output layer, (F,V): F = H, or H + K with direct connections."""
        return self._arrays[3]

    @property
    def W(self) -> Float32:
        """Weights of the direct connections, the last rows of `W2`: (K,V), or (0,V) without any."""
        return self.W2[self.n_hidden :]

    @property
    def b2(self) -> Float32:
        """Biases of the output layer, (V,)."""
        return self._arrays[4]

    @property
    def parameters(self) -> dict[str, Float32]:
        """The five arrays by name."""
        return dict(zip(NAMES, self._arrays, strict=True))

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """(T, E, H, V)."""
        (V, E), (K, H) = self.C.shape, self.W1.shape
        return K // E, E, H, V

    @property
    def direct(self) -> bool:
        """Whether there are direct connections from the embeddings to the output layer."""
        return len(self.W2) > len(self.b1)

    @property
    def n_parameters(self) -> int:
        """The number of elements of all five arrays."""
        return sum(array.size for array in self._arrays)

    def log_probs(self, X: ArrayLike, threads: int | None = None) -> Float32:
        """Return the log-probabilities (N,V) of the token after each context X (N,T).

        Raises
        ------
        TypeError
            X does not hold integers.
        ArgumentError
            X has another shape, or `threads` is not positive.
        RangeError
            A token is outside the vocabulary [0, V).
        """
        return _core.log_probs(*self._five(), X, threads=threads)

    def loss(self, X: ArrayLike, Y: ArrayLike, threads: int | None = None) -> float:
        """Return the mean loss of targets Y (N,) after contexts X (N,T), in nats per token.

        The call's memory does not grow with N. The loss is not finite where the parameters are so
        large that the logits overflow.

        Raises
        ------
        TypeError
            X or Y does not hold integers.
        ArgumentError
            N is 0, X or Y has another shape, or `threads` is not positive.
        RangeError
            A token is outside the vocabulary [0, V).
        """
        return _core.mean_loss(*self._five(), X, Y, threads=threads)

    def optimizer_state(self, optimizer: str) -> OptimizerState:
        """Return the state of an optimiser before its first step; SGD has an empty one.

        The state holds zeros under names like "m.W1", and under "step" the number of steps that it
        has seen, an int64 array of shape (1,). `train_steps` changes all of them in place.
        """
        moments = _core.moments_of(optimizer)
        state: OptimizerState = {
            f"{moment}.{name}": np.zeros_like(array)
            for moment in moments
            for name, array in self.parameters.items()
        }
        return {**state, "step": np.zeros(1, np.int64)} if moments else state

    def train_steps(
        self,
        X: ArrayLike,
        Y: ArrayLike,
        lr: ArrayLike,
        *,
        steps: int | None = None,
        batch_size: int | None = None,
        seed: int = 1,
        first_step: int | None = None,
        rows: ArrayLike | Literal["all"] | None = None,
        state: OptimizerState | None = None,
        threads: int | None = None,
        should_stop: Callable[[], bool] | None = None,
        exchange: Any = None,
        **options: Unpack[UpdateOptions],
    ) -> Float32:
        """Take one step per entry of `lr`, changing the parameters in place.

        The result depends on the arguments alone: n steps in one call equal any division into
        calls that continue with `first_step` or a state, bit for bit, whatever the number of
        threads. A call copies all parameters and moments, which takes as long as a few steps at the
        lecture's size and, with AdamW and 17,000 words, as three: take many steps in a call.

        Parameters
        ----------
        X : integer array, shape (N,T)
        Y : integer array, shape (N,)
        lr : float array, shape (steps,), or float
            The learning rate of each step, or of all `steps`.
        steps : int, optional
            The number of steps, where `lr` is one number.
        batch_size : int, optional
            B, the number of examples in a step, drawn with replacement from (seed, step); 32 by
            default. It must not contradict `rows`.
        seed : int
            The seed of the minibatches, the dropout and the negatives, in [0, 2**64).
        first_step : int, optional
            The number of the first step, on which its minibatch depends; by default the count of
            `state`, which it must not contradict, or 0 without a state.
        rows : integer array, shape (steps,B), or "all", optional
            The examples of each step instead of drawn ones; "all" takes all N in every step.
        state : dict of arrays, optional
            The optimiser's state, changed in place; `optimizer_state` makes it for the first call,
            and SGD needs none.
        threads : int, optional
            The number of threads; by default that of the CPUs that this process may use.
        should_stop : callable, optional
            A function that is called between steps; true ends the call after the last completed
            step.
        exchange : object, optional
            The ranks, processes that make this call together and share its work; each gets the
            whole result. `training.MpiRanks` makes one; it has `rank`, `size` and a function
            ``all_gather(message, counts)``, where ``counts[i]`` bytes of a uint8 array belong to
            rank i.
        **options
            The options on how a step changes the parameters; see `recipe.UpdateOptions`.

        Returns
        -------
        losses : float32 array
            The mean loss of each completed step's minibatch before its update: (steps,), or fewer
            when stopped.

        Raises
        ------
        DivergedError
            A loss or parameter is not finite; parameters and state are as before the call.
        TypeError
            X, Y or `rows` does not hold integers, or a parameter is not a float32 array.
        ArgumentError
            A shape does not fit, an option is outside its range, `state` is not this optimiser's,
            or another call that has not ended trains the model or changes `state`.
        RangeError
            A token of a minibatch is outside the vocabulary [0, V), or a row outside [0, N). Where
            X or Y is not contiguous int32, all its tokens are checked.
        """
        core_options = complete_update(options)
        _check_counts(state, core_options["optimizer"])
        core_options["beta1"], core_options["beta2"] = core_options.pop("betas")
        lr = checks.per_step("lr", lr, steps)
        return _core.train_steps(
            *self._five(),
            X,
            Y,
            lr,
            batch_size=batch_size,
            seed=seed,
            first_step=first_step,
            rows=rows,
            state=state,
            threads=threads,
            should_stop=should_stop,
            exchange=exchange,
            **core_options,
        )

    def freeze(self) -> LanguageModel:
        """Return a copy of the model as it is now, which never changes.

        The copy gives the same bits. It is faster where results are needed often: it prepares once
        what this model prepares at every call.

        Raises
        ------
        ArgumentError
            A parameter is not finite.
        """
        return LanguageModel(self._contents(), self.vocab, self.data)

    def core_predictor(self) -> Next:
        """Return a frozen copy, or `log_probs` where a subclass predicts in a way of its own."""
        is_its_own = type(self).log_probs is not MLP.log_probs
        return self.log_probs if is_its_own else _core.LanguageModel(self._contents())

    def _contents(self) -> _core.SavedModel:
        return _core.SavedModel(self.vocab, *self._five(), data=origin_fields(self.data))

    def _embeddings(self) -> Float32:
        return self.C

    @classmethod
    def _of_contents(cls, saved: _core.SavedModel, data: DataOrigin | None) -> Self:
        model = cls.__new__(cls)
        model._set(vocab_of(saved), saved.parameters, data)  # new arrays, checked by the reader
        return model

    # A shallow copy has its own arrays too, so that training it does not change the original.
    def __copy__(self) -> "MLP":
        other = type(self).__new__(type(self))
        vars(other).update(vars(self), _arrays=tuple(array.copy() for array in self._arrays))
        return other

    def __deepcopy__(self, memo: dict[int, Any]) -> "MLP":
        memo[id(self)] = other = type(self).__new__(type(self))
        vars(other).update(copy.deepcopy(vars(self), memo))
        return other

    def __reduce__(self) -> tuple[Any, ...]:
        # The attributes beside the bytes keep a vocabulary's own class and what a subclass adds.
        others = {name: value for name, value in vars(self).items() if name != "_arrays"}
        return type(self).from_bytes, (self.to_bytes(), "the pickled model"), others

    def _five(self) -> tuple[Float32, Float32, Float32, Float32, Float32]:
        C, W1, b1, W2, b2 = self._arrays
        return C, W1, b1, W2, b2

    def __repr__(self) -> str:
        return (
            f"MLP(block_size={self.block_size}, n_embd={self.n_embd}, n_hidden={self.n_hidden}, "
            f"vocab_size={self.vocab_size}{', direct=True' * self.direct}): "
            f"{self.n_parameters:,} parameters"
        )
