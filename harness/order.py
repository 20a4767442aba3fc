"""Which heads are replaced first."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Literal

from harness.measure import Sums
from harness.patterns import PROGRAMS, Sources
from harness.replace import Head

if TYPE_CHECKING:
    from harness.curve import Measurements
    from harness.measure import Sample

Order = Literal["effect", "iou", "random", "cost", "layer"]


def order_heads(
    measurements: Measurements,
    select: Sample,
    programs: Sources,
    order: Order = "effect",
    iou: Mapping[Head, float] | None = None,
    seed: int = 0,
) -> list[Head]:
    """The heads in the order in which they are replaced.

    effect: each time the head that adds least to the divergence, as estimated on `select` for all heads at once
    (`harness.effect`). cost: by what each adds to the loss on `select`, cheapest first, measured:
    losses do not add up, so a head's cost is its mean marginal cost (as in the Shapley value) with none, half and all of the
    others replaced, weighted 1:4:1 (Simpson's rule); the half is that which is cheapest by the two ends; three passes a head.
    iou: highest IoU first. layer: from the first layer to the last. random: seeded.
    """
    heads = sorted(programs)
    if order == "random":
        random.Random(seed).shuffle(heads)
    elif order == "iou":
        heads.sort(key=lambda head: -(iou or {})[head])
    elif order == "effect":
        return measurements.effect_order(select, programs)
    elif order == "cost":
        return _by_cost(measurements, select, programs)
    return heads


def _by_cost(measurements: Measurements, select: Sample, programs: Sources) -> list[Head]:
    heads = sorted(programs)

    def cost(others: Iterable[Head]) -> dict[Head, float]:
        """What each head adds where `others` are replaced too."""
        together = frozenset(others)
        sets = [together, *(together ^ {head} for head in heads)]
        cases = [(PROGRAMS, {head: programs[head] for head in heads if head in chosen}) for chosen in sets]
        base, *changed = (loss(sums) for sums in measurements.sums("select", select, cases))
        return {h: base - c if h in together else c - base for h, c in zip(heads, changed, strict=True)}

    alone, last = cost([]), cost(heads)
    half = sorted(heads, key=lambda head: alone[head] + last[head])[: len(heads) // 2]
    middle = cost(half)
    return sorted(heads, key=lambda head: alone[head] + 4 * middle[head] + last[head])


def loss(sums: Sums) -> float:
    """What replacement is to keep small: nats per token, or without a language-model head the error of the hidden states."""
    return sum(sums["nll" if "nll" in sums else "error"]) / sum(sums["tokens"])
