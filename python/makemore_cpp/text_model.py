"""What every model of this package can do with texts: methods that are the functions themselves."""

from makemore_cpp import completion, sampling, scoring
from makemore_cpp.arrays import Float32
from makemore_cpp.origin import training_words
from makemore_cpp.words import DataOrigin


class TextModel:
    """A base for models: anything with ``vocab``, ``block_size`` and ``log_probs``."""

    __slots__ = ()

    sample = sampling.sample
    iter_samples = sampling.iter_samples
    loss = scoring.loss
    score = scoring.score
    per_char = scoring.per_char
    perplexity = scoring.perplexity
    bits_per_char = scoring.bits_per_char
    complete = completion.complete

    def next(self, prefix: str) -> Float32:
        """Return the probabilities (V,) of the token after `prefix`; see `next_probs`."""
        return completion.next_probs(self, prefix)  # type: ignore[arg-type]  # of a subclass

    def training_words(self) -> frozenset[str] | None:
        """Return the words that the model was trained on, or None where it does not know them.

        Raises
        ------
        ArgumentError
            The file that the model was trained on has changed.
        FileError
            The file cannot be read.
        """
        data: DataOrigin | None = getattr(self, "data", None)
        return None if data is None else frozenset(training_words(data))
