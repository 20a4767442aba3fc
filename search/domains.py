"""Kinds of text (domains): how much each text counts in a mean.

Every domain counts the same whatever its number of texts, and every text of a domain the same; a held-out domain counts in no mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

ONE_DOMAIN = "text"  # the name of the only kind of text where nobody named it
RESAMPLES = 2000  # of the texts, for intervals


@dataclass(frozen=True)
class Domains:
    """The domain of each of T texts, by name, and which domains are held out."""

    each: tuple[str, ...]
    held_out: tuple[str, ...] = ()

    @cached_property
    def names(self) -> tuple[str, ...]:
        """(D) in the order of their first texts."""
        return tuple(dict.fromkeys(self.each))

    @cached_property
    def index(self) -> np.ndarray:
        """(T) int: the place of each text's domain in `names`."""
        return np.array([self.names.index(name) for name in self.each], dtype=int)

    @cached_property
    def weights(self) -> np.ndarray:
        """(T) float64 with sum 1: what each text counts. Where every domain is held out, none is."""
        sizes = np.bincount(self.index, minlength=len(self.names))
        counted = np.array([name not in self.held_out for name in self.names])
        share = np.where(counted if counted.any() else True, 1 / sizes, 0.0)
        return share[self.index] / (share * sizes).sum()

    def mean(self, values: np.ndarray) -> np.ndarray:
        """(…): the mean of values (…, T) over texts."""
        return np.asarray(values, np.float64) @ self.weights

    def means(self, values: np.ndarray) -> dict[str, np.ndarray]:
        """(…) of each domain, the held-out ones too: the mean of values (…, T) over its texts."""
        values = np.asarray(values, np.float64)
        return {name: values[..., self.index == d].mean(-1) for d, name in enumerate(self.names)}

    def interval(self, values: np.ndarray, level: float = 0.95) -> tuple[float, float]:
        """Bootstrap percentile interval of the mean of values (T), texts drawn within their domains by a generator of its own."""
        rng = np.random.default_rng(0)
        drawn = np.zeros(RESAMPLES)
        for d in range(len(self.names)):
            here = np.flatnonzero(self.index == d)
            chosen = rng.integers(0, len(here), (RESAMPLES, len(here)))
            drawn += np.asarray(values, np.float64)[here][chosen].mean(1) * self.weights[here].sum()
        low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
        return float(low), float(high)

    def only(self, name: str) -> Domains:
        """The texts of one domain, which counts even if it is held out."""
        return Domains(tuple(n for n in self.each if n == name))

    def part(self, chosen: Sequence[int]) -> Domains:
        """The same for some of the texts."""
        return Domains(tuple(self.each[t] for t in chosen), self.held_out)


def one_domain(texts: int) -> Domains:
    """Texts that are all of one kind."""
    return Domains((ONE_DOMAIN,) * texts)
