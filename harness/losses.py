"""Where programs fail and it hurts: the heads of the largest effect, the rows where it arises, the keys concerned.

The effect of a head alone (`harness.gradients`) is half the mean of a^2, a the sum over the cells of dL/dA * (P - A). Of one row it
is half the mean of the square of the row's own sum; a key's part of it is half the mean of that sum times what the key adds to it,
so that the parts of a row's keys make up the row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.gradients import Gradients, gradients
from harness.measure import Sample
from harness.patterns import Sources

if TYPE_CHECKING:
    import numpy as np

TEXTS = 12  # of the sample
ROWS, KEYS = 5, 3  # the dearest rows of a head that are told, and of each its dearest keys
DEAREST = 0.1  # share of the rows whose part of the effect is told


def losses(
    model: Any,
    sample: Sample,
    sources: Sources,
    texts: int = TEXTS,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[dict[str, Any]]:
    """Of every head, the dearest first (JSON values):

    head; effect: estimated divergence alone in its place (nats per token read); rows: what its rows add up to by themselves;
    dearest: part of that in a tenth of the rows; start: mean mass of the first token in the attention and in the program, the mean
    difference by row, and the length of its value beside the mean of the others; worst: the dearest rows, each with its text,
    position, token, effect, and keys (token, position, attention, program, part of the row's effect, length of the value beside
    the mean).
    """
    heads = tuple(sorted(sources))
    found: list[dict[str, Any]] = [{"effect": 0.0, "rows": [], "start": [], "worst": []} for _ in heads]
    for part in gradients(model, sample, heads, texts=texts, seed=seed, progress=progress):
        for h, head in enumerate(heads):
            _add(found[h], part, h, sources[head](part.batch.texts))
    told = [{"head": f"L{layer}H{head}", **_told(own)} for (layer, head), own in zip(heads, found, strict=True)]
    return sorted(told, key=lambda record: -record["effect"])


def _add(found: dict[str, Any], part: Gradients, head: int, pattern: np.ndarray) -> None:
    import numpy as np

    size = part.shape[1]
    change = part.change(head, pattern)
    draws = len(part.scales)
    values = part.values(head, change)  # (draws, B)
    found["effect"] += 0.5 * float((part.weights / draws * values**2).sum())
    places = part.places[head]
    row_of = places // size  # (C) text * N + query
    starts = np.flatnonzero(np.diff(row_of, prepend=-1))
    by_cell = part.slopes[head].astype(np.float32) * change * part.scales[:, head, None].astype(np.float32)  # (draws, C)
    by_row = np.add.reduceat(by_cell, starts, axis=1)  # (draws, rows)
    weight = part.weights[row_of[starts] // size]
    effect = 0.5 * weight * (by_row**2).mean(0)
    keys = 0.5 * part.weights[row_of // size] * (by_cell * np.repeat(by_row, np.diff(starts, append=len(places)), axis=1)).mean(0)
    found["rows"] += effect.tolist()
    attention, norms = part.attention[head], part.norms[head]
    program = attention + change
    length = _beside(norms, part)
    first = places[starts] % size == 0
    for row, start in enumerate(starts.tolist()):
        if first[row] and row_of[start] % size:  # the first token's own row is no choice
            text = int(row_of[start]) // size
            found["start"].append((float(attention[start]), float(program[start]), float(length[text, 0])))
    for row in np.argsort(-effect)[:ROWS].tolist():
        text, position = divmod(int(row_of[starts[row]]), size)
        own = part.batch.passages[text].text
        cells = np.flatnonzero(row_of == row_of[starts[row]])
        dearest = cells[np.argsort(-np.abs(keys[cells]))[:KEYS]]
        found["worst"].append(
            {
                "text": part.batch.passages[text].owner,
                "position": position,
                "token": own.tokens[position],
                "effect": float(effect[row]),
                "keys": [
                    {
                        "position": (k := int(places[c]) % size),
                        "token": own.tokens[k],
                        "attention": float(attention[c]),
                        "program": float(program[c]),
                        "part": float(keys[c] / effect[row]) if effect[row] else 0.0,
                        "value": float(length[text, k]),
                    }
                    for c in dearest.tolist()
                ],
            }
        )


def _beside(norms: np.ndarray, part: Gradients) -> np.ndarray:
    """(B, K): the length of each value over the mean of those of the text's tokens after the first."""
    import numpy as np

    means = [own[1 : len(text)].mean() if len(text) > 1 else own[0] for own, text in zip(norms, part.batch.texts, strict=True)]
    return norms / np.maximum(np.array(means), 1e-12)[:, None]


def _told(found: dict[str, Any]) -> dict[str, Any]:
    import numpy as np

    rows = np.sort(np.array(found["rows"]))[::-1]
    total = float(rows.sum())
    start = np.array(found["start"]).reshape(-1, 3)
    return {
        "effect": found["effect"],
        "rows": total,
        "dearest": float(rows[: max(1, round(DEAREST * len(rows)))].sum()) / total if total else 0.0,
        "start": None
        if not len(start)
        else {
            "attention": float(start[:, 0].mean()),
            "program": float(start[:, 1].mean()),
            "difference": float(np.abs(start[:, 0] - start[:, 1]).mean()),
            "value": float(start[:, 2].mean()),
        },
        "worst": sorted(found["worst"], key=lambda row: -row["effect"])[:ROWS],
    }


def summary(told: Sequence[Mapping[str, Any]]) -> str:
    """One line: how much of the effect of all heads is in the dearest ten, and how far the start's mass is off."""
    total = sum(record["effect"] for record in told)
    first = sum(record["effect"] for record in told[:10])
    off = [record["start"]["difference"] for record in told if record["start"]]
    said = f"the dearest {min(10, len(told))} of {len(told)} heads have {first / total:.0%} of the effect of all" if total else ""
    return said + (f"; the start's mass is off by {sum(off) / len(off):.2f} a row in the mean" if off else "")
