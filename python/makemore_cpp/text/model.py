"""The base class of all models, with the questions that a model answers."""

from makemore_cpp.arrays import Float32
from makemore_cpp.text import completion, sampling, scoring
from makemore_cpp.text.predictor import Predictor


class Model(Predictor):
    """Predicts the next token, and so can score, sample and complete texts.

    A subclass needs only ``vocab``, a `Vocab`; ``block_size``, T, the number of tokens in a
    context; and a method ``log_probs(X)`` from contexts (N,T), int32, to log-probabilities (N,V),
    float32. All other methods have defaults that use these three; a model may have faster ones.

    Examples
    --------
    >>> class Uniform(Model):
    ...     def __init__(self, vocab):
    ...         self.vocab, self.block_size = vocab, 1
    ...
    ...     def log_probs(self, X):
    ...         V = len(self.vocab)
    ...         return np.full((len(X), V), -np.log(V), np.float32)
    """

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
        return completion.next_probs(self, prefix)
