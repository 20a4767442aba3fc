"""What a head does, on texts, small enough for a prompt.

Attention matrices are (n, n) float arrays, row = query position, column = key position; rows sum to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from dsl.nodes import Str
from dsl.text import Text
from dsl.vocabulary import VOCABULARY

if TYPE_CHECKING:
    import numpy as np

STRONGEST = 0.025  # share of the cells that the listing draws from
STRATA = ("high", "middle", "low")


@dataclass(frozen=True, eq=False)
class HeadEvidence:
    """One head on its `fit` texts: matrices[i] (n, n) belongs to texts[i]."""

    layer: int
    head: int
    causal: bool
    texts: Sequence[Text]
    matrices: Sequence[np.ndarray]

    @property
    def key(self) -> tuple[int, int]:
        return self.layer, self.head

    @property
    def name(self) -> str:
        return f"L{self.layer}H{self.head}"

    @cached_property
    def chosen(self) -> list[int]:
        """Indices of texts that differ most in what the head does, the most typical one first."""
        import numpy as np

        shares = [shares_of(a, relations(t, self.causal)) for t, a in zip(self.texts, self.matrices, strict=True)]
        return k_center(np.array([list(s.values()) for s in shares]), 6)


def relations(text: Text, causal: bool) -> dict[str, np.ndarray]:
    """Boolean (n, n) masks by name: which cells stand in a simple relation. The first five never overlap with each other
    except on the first row and column; distances are those not covered by self, previous and next."""
    import numpy as np

    n = len(text)
    q, k = np.arange(n)[:, None], np.arange(n)[None, :]
    d = q - k
    punctuation = VOCABULARY["punctuation"].evaluate
    tokens = np.array(text.tokens, dtype=object)
    stops = np.array([punctuation(t) for t in text.tokens], dtype=bool)
    start = np.zeros(n, dtype=int)  # the first token of each token's word
    for i in range(n):
        begins = text.word_start[i] if text.word_start else True
        start[i] = i if begins or i == 0 else start[i - 1]
    everywhere = np.ones((n, n), dtype=bool)
    masks = {
        "first token": (k == 0) & everywhere,
        "self": d == 0,
        "previous token": d == 1,
        "same token, elsewhere": (tokens[:, None] == tokens[None, :]) & (d != 0),
        "punctuation": stops[None, :] & everywhere,
        "same word": (start[:, None] == start[None, :]) & (d != 0),
        "distance 2-4": (d >= 2) & (d <= 4),
        "distance 5-16": (d >= 5) & (d <= 16),
        "distance above 16": d > 16,
    }
    if not causal:
        masks |= {
            "next token": d == -1,
            "last token": (k == n - 1) & everywhere,
            "ahead 2-4": (d <= -2) & (d >= -4),
            "ahead 5-16": (d <= -5) & (d >= -16),
            "ahead above 16": d < -16,
        }
    return masks


def shares_of(attention: np.ndarray, masks: dict[str, np.ndarray]) -> dict[str, float]:
    """The part of the total mass that lies on each relation; 0 for a matrix without mass."""
    total = float(attention.sum())
    return {name: float(attention[mask].sum()) / total if total > 0 else 0.0 for name, mask in masks.items()}


def uniform(n: int, causal: bool) -> np.ndarray:
    """Attention spread evenly over all cells that the model does not mask: (n, n)."""
    import numpy as np

    a = np.tril(np.ones((n, n))) if causal else np.ones((n, n))
    return a / a.sum(axis=1, keepdims=True)


def mean_shares(texts: Sequence[Text], matrices: Sequence[np.ndarray], causal: bool) -> dict[str, float]:
    """shares_of, averaged over texts."""
    rows = [shares_of(a, relations(t, causal)) for t, a in zip(texts, matrices, strict=True)]
    return {name: sum(r[name] for r in rows) / len(rows) for name in rows[0]} if rows else {}


def k_center(points: np.ndarray, k: int) -> list[int]:
    """Indices of at most k rows of points (m, d), greedily far apart (Gonzalez 1985), the one nearest to the mean first."""
    import numpy as np

    if len(points) == 0:
        return []
    chosen = [int(np.linalg.norm(points - points.mean(axis=0), axis=1).argmin())]
    nearest = np.linalg.norm(points - points[chosen[0]], axis=1)
    while len(chosen) < min(k, len(points)):
        following = int(nearest.argmax())
        if following in chosen:  # all further texts equal a chosen one
            break
        chosen.append(following)
        nearest = np.minimum(nearest, np.linalg.norm(points - points[following], axis=1))
    return chosen


def hints(evidence: HeadEvidence) -> str:
    """Aggregates over all texts that cost few tokens: mass by relation, how sharp rows are, which keys draw the mass."""
    import numpy as np

    texts, matrices, causal = evidence.texts, evidence.matrices, evidence.causal
    actual = mean_shares(texts, matrices, causal)
    even = mean_shares(texts, [uniform(len(t), causal) for t in texts], causal)
    lines = ["Share of the attention mass (in parentheses: if spread evenly):"]
    lines.append("; ".join(f"{name} {share(actual[name])} ({share(even[name])})" for name in actual))
    sharp = [float(np.mean(np.exp(-(a * np.log(np.maximum(a, 1e-12))).sum(axis=1)))) for a in matrices]
    lines.append(f"Keys that a query really spreads over: {np.mean(sharp):.1f} on average.")
    mass, count = _mass_by(texts, matrices, causal)
    total, cells = sum(mass.values()), sum(count.values())
    strongest = sorted(mass, key=lambda t: (-mass[t], t))[:10]
    listed = [f"{quote(t)} {share(mass[t] / total)} ({share(count[t] / cells)})" for t in strongest] if total else []
    lines.append("Key tokens with most mass: " + "; ".join(listed))
    return "\n".join(lines)


def _mass_by(texts: Sequence[Text], matrices: Sequence[np.ndarray], causal: bool) -> tuple[dict[str, float], dict[str, float]]:
    """Mass per key token, and what it would be if rows were even."""
    mass: dict[str, float] = {}
    even: dict[str, float] = {}
    for text, attention in zip(texts, matrices, strict=True):
        for token, m, e in zip(text.tokens, attention.sum(axis=0), uniform(len(text), causal).sum(axis=0), strict=True):
            mass[token] = mass.get(token, 0.0) + float(m)
            even[token] = even.get(token, 0.0) + float(e)
    return mass, even


def strongest_cells(attention: np.ndarray, causal: bool, per_stratum: int) -> dict[str, list[tuple[int, int, float]]]:
    """The strongest 2.5% of the cells that are not masked, cut into three parts of equal size by weight; of each part,
    `per_stratum` cells evenly spaced by rank. Cells are (query, key, weight), in reading order."""
    import numpy as np

    n = len(attention)
    q, k = np.tril_indices(n) if causal else np.indices((n, n)).reshape(2, -1)
    if causal and n > 1:  # the first row can only attend to itself
        q, k = q[1:], k[1:]
    order = np.argsort(-attention[q, k], kind="stable")[: max(3, round(STRONGEST * len(q)))]
    strata: dict[str, list[tuple[int, int, float]]] = {}
    for name, part in zip(STRATA, np.array_split(order, 3), strict=True):
        picks = part[np.linspace(0, len(part) - 1, min(per_stratum, len(part))).round().astype(int)] if len(part) else part
        cells = sorted({(int(q[c]), int(k[c])) for c in picks})
        strata[name] = [(i, j, float(attention[i, j])) for i, j in cells]
    return strata


def listing(evidence: HeadEvidence, n_texts: int, per_stratum: int, window: int) -> str:
    """Texts, up to `window` tokens of each, with their strongest cells, `query token -> key token weight` with positions."""
    parts = []
    for number, index in enumerate(evidence.chosen[:n_texts], 1):
        text, attention = evidence.texts[index], evidence.matrices[index][:window, :window]
        size = f"{len(text)} tokens" if len(text) <= window else f"the first {window} of {len(text)} tokens"
        parts.append(f"Text {number} ({size}): {' '.join(quote(t) for t in text.tokens[:window])}")
        for name, cells in strongest_cells(attention, evidence.causal, per_stratum).items():
            parts.append(f"{name}: {_cells(text, cells)}")
    return "\n".join(parts)


def _cells(text: Text, cells: Sequence[tuple[int, int, float]]) -> str:
    rows: dict[int, list[str]] = {}
    for q, k, weight in cells:
        rows.setdefault(q, []).append(f"{k} {quote(text.tokens[k])} {share(weight)}")
    return "; ".join(f"{q} {quote(text.tokens[q])} -> {', '.join(keys)}" for q, keys in rows.items())


def share(value: float) -> str:
    """Two decimals without the zero in front: 0.254 is .25, 1 is 1."""
    text = f"{value:.2f}"
    return "1" if text == "1.00" else text.removeprefix("0")


def quote(token: str) -> str:
    """A token as the language writes it, on one line: " the", "\\n"."""
    return str(Str(token))
