"""The layers of a net: the formula, shapes and number of parameters of each."""

from typing import NamedTuple

from makemore_cpp import checks
from makemore_cpp.models.frozen import Net


class Layer(NamedTuple):
    """One layer of a net, for a batch of B contexts."""

    name: str
    computes: str  # in the lecture's symbols
    parameters: int
    shape: str  # of what it computes


def layers(model: Net) -> list[Layer]:
    """Return the layers of a net from its contexts to its probabilities (lecture, 5:43).

    Parameters
    ----------
    model : MLP or LanguageModel

    Raises
    ------
    TypeError
        `model` is no net.
    """
    checks.instance("model", model, Net)
    T, E, H, V = model.sizes
    K = T * E
    features = H + K * model.direct
    seen = "[h, x]" if model.direct else "h"
    return [
        Layer("contexts", "X", 0, f"(B, {T})"),
        Layer("embedding", "emb = C[X]", V * E, f"(B, {T}, {E})"),
        Layer("view", "x = emb.view(B, T * E)", 0, f"(B, {K})"),
        Layer("hidden", "h = tanh(x @ W1 + b1)", K * H + H, f"(B, {H})"),
        Layer("output", f"logits = {seen} @ W2 + b2", features * V + V, f"(B, {V})"),
        Layer("softmax", "probs = softmax(logits)", 0, f"(B, {V})"),
    ]
