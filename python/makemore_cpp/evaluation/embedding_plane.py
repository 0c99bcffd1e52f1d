"""The plane on which embeddings are drawn: their first two principal components."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from makemore_cpp.arrays import Float64


class EmbeddingPlane(NamedTuple):
    """The plane on which embeddings are drawn, and the labels of its two axes.

    Embeddings of two dimensions are drawn as they are; those of one get heights without a meaning,
    which keep their labels apart.
    """

    mean: Float64  # (E,)
    components: Float64  # (E,2)
    heights: Float64 | None  # (V,), if E is 1
    labels: tuple[str, str]

    @classmethod
    def of(cls, C: ArrayLike) -> "EmbeddingPlane":
        """Return the plane of embeddings C (V,E)."""
        C = np.asarray(C, np.float64)
        E = C.shape[1]
        if E == 1:
            # Neighbours take turns on five levels, so that their labels stay apart.
            rank = np.argsort(np.argsort(C[:, 0], kind="stable"), kind="stable")
            heights = (rank * 2 % 5).astype(np.float64)
            labels = ("dimension 1", "(the height has no meaning)")
            return cls(np.zeros(1), np.eye(1, 2), heights, labels)
        if E == 2:
            return cls(np.zeros(2), np.eye(2), None, ("dimension 1", "dimension 2"))
        mean = C.mean(axis=0)
        _, s, vt = np.linalg.svd(C - mean, full_matrices=False)
        components = np.zeros((E, 2))
        components[:, : len(vt[:2])] = vt[:2].T
        points = (C - mean) @ components
        farthest = points[np.abs(points).argmax(axis=0), [0, 1]]
        components *= np.where(farthest < 0, -1.0, 1.0)  # fixed signs
        share = 100 * np.resize(s**2, 2) / max(float((s**2).sum()), np.finfo(np.float64).tiny)
        return cls(
            mean,
            components,
            None,
            (
                f"principal component 1 ({share[0]:.0f} % of the variance)",
                f"principal component 2 ({share[1]:.0f} % of the variance)",
            ),
        )

    def points(self, C: ArrayLike) -> Float64:
        """Return the points (V,2) of embeddings C (V,E) on the plane."""
        points = (np.asarray(C, np.float64) - self.mean) @ self.components
        if self.heights is not None:
            points[:, 1] = self.heights
        return points
