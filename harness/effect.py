"""What replacing each head alone does to a model's output, for all heads at once, from a few backward passes.

Let a head's attention A become P. To second order, the KL divergence from the model's output distribution to what it becomes is
1/2 d' F d, where d is the change of the logits and F their Fisher information: half the mean of a^2 over the draws of
`harness.gradients` (d to first order in P - A: the Gauss-Newton approximation). Without a language-model head it is the squared
relative change of the final hidden states.

Where other heads are replaced already, the divergence from the original model has a slope too: its derivative along P - A is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.gradients import SAMPLES, Gradients, gradients
from harness.measure import Sample
from harness.patterns import PatternSource, Sources
from harness.replace import Head

if TYPE_CHECKING:
    import numpy as np

SHARED = 0.5  # of what pairs of heads do together that is believed
TEXTS = 48  # of a sample that are used, as many of each domain


@dataclass(frozen=True, eq=False)
class Effects:
    """Draws of every head's effect, in the order of `heads`.

    values (draws, heads): a of each passage and draw; weights (draws,): a mean over them that counts every domain alike, per token
    read. slope (heads,): change of the divergence from the original model, per token read, to first order.
    """

    heads: tuple[Head, ...]
    values: np.ndarray
    weights: np.ndarray
    slope: np.ndarray

    @property
    def alone(self) -> dict[Head, float]:
        """The estimated divergence (nats per token; without a language-model head the squared relative error) of each head."""
        found = self.slope + 0.5 * self.weights @ self.values**2
        return dict(zip(self.heads, found.tolist(), strict=True))

    def ordered(self, shared: float = SHARED) -> list[Head]:
        """The heads one after the other, each time that which adds least to the estimated divergence of all so far.

        The mean of a_g a_h over draws estimates what heads g and h do together beyond what they do alone. It counts `shared`: about
        a hundred draws tell these products, one for each pair of heads, less well than the squares.
        """
        import numpy as np

        together = (self.values * self.weights[:, None]).T @ self.values  # (heads, heads)
        added = self.slope + 0.5 * np.diag(together)
        left, found = list(range(len(self.heads))), []
        while left:
            best = min(left, key=added.__getitem__)
            left.remove(best)
            found.append(self.heads[best])
            added = added + shared * together[best]
        return found


def effects(
    model: Any,
    sample: Sample,
    sources: Sources,
    replaced: Sources | None = None,
    samples: int = SAMPLES,
    texts: int = TEXTS,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Effects:
    """The effect of putting each of `sources` in place, with `replaced` in place already (the heads of both are not estimated).

    Of the sample's texts `texts` are used, the first of each domain.
    """
    heads = tuple(sorted(head for head in sources if head not in (replaced or {})))
    found = gradients(model, sample, heads, replaced, samples, texts, seed, progress)
    return gathered(heads, [drawn(part, [sources[head] for head in heads]) for part in found])


def drawn(part: Gradients, sources: Sequence[PatternSource]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(a (draws * B, heads), weights of these draws, slope (heads,)) of one batch, one source for each of its heads."""
    import numpy as np

    values, slope = [], np.zeros(len(sources))
    for h, source in enumerate(sources):
        change = part.change(h, source(part.batch.texts))
        values.append(part.values(h, change).ravel())
        if part.along:
            slope[h] = part.along[h] @ change
    return np.stack(values, 1), np.tile(part.weights / len(part.scales), len(part.scales)), slope


def gathered(heads: tuple[Head, ...], parts: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> Effects:
    """The effects of all batches' draws."""
    import numpy as np

    values, weights, slopes = zip(*parts, strict=True)
    return Effects(heads, np.concatenate(values), np.concatenate(weights), np.sum(slopes, axis=0))
