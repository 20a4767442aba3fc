"""The replacement curve: which heads go first, and what the model loses as more of them are replaced.

Every measurement (one set of heads under one kind of pattern on one sample) is put into a store under a name that says what was
measured, so that an interrupted run goes on where it stopped, whichever order or fractions are asked for next.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from dsl.text import Text
from harness.errors import UsageError
from harness.measure import NOTES, Sample, Sums, measure
from harness.patterns import Memo, PatternSource, mean_attention, previous_token, uniform
from harness.replace import Head, served_heads
from harness.summary import accuracy, summarise
from harness.tasks import Choices

Order = Literal["cost", "iou", "random"]
Sources = Mapping[Head, PatternSource]
Progress = Callable[[str, int, int], None]  # what was done, measurements done, measurements in all

FRACTIONS = (0.05, 0.1, 0.25, 0.5, 0.75, 1.0)
PROGRAMS = "programs"  # the kind of pattern that is not a baseline


@dataclass
class Measurements:
    """A model, what was measured of it so far, and the arrays kept in memory in between.

    store: any mutable mapping from names to JSON values; persist what is set and pass it again to resume. One store serves one
    model, one set of programs and one set of baselines; texts, tasks, heads, order and fractions may change.
    """

    model: Any
    store: MutableMapping[str, Any] = field(default_factory=dict)
    progress: Progress = lambda what, done, total: None
    patterns: Memo = field(default_factory=Memo)
    originals: Memo = field(default_factory=Memo)
    done: int = 0
    total: int = 0

    def sums(self, where: str, sample: Sample, kind: str, sources: Sources) -> Sums:
        """The measurement of `sources` on `sample`: from the store where it has it."""
        name = f"{where} {sample.fingerprint} " + (f"{kind} {_key(sources)}" if sources else "original")
        if name not in self.store:
            self.store[name] = measure(self.model, sample, sources, self.patterns, self.originals)
        self.done += 1
        self.progress(name, self.done, self.total)
        return self.store[name]


def baselines(model: Any, fit: Sequence[Text], heads: Iterable[Head], batch_size: int = 16) -> dict[str, Sources]:
    """What programs must beat: uniform over the allowed keys, the previous token, the head's mean attention on `fit`."""
    means, heads = mean_attention(model, fit, batch_size), list(heads)
    return {
        "uniform": dict.fromkeys(heads, uniform),
        "previous": dict.fromkeys(heads, previous_token),
        "mean": {head: means[head] for head in heads},
    }


def replacement(
    measurements: Measurements,
    select: Sample,
    test: Sample,
    programs: Sources,
    fraction: float,
    order: Order = "cost",
    *,
    iou: Mapping[Head, float] | None = None,
    baseline: Mapping[str, Sources] | None = None,
    tasks: Mapping[str, Choices] | None = None,
    fractions: Sequence[float] = FRACTIONS,
    seed: int = 0,
) -> dict[str, Any]:
    """What `headscript replace` reports: JSON values, figures on `test` only, the order of the heads from `select` only.

    programs: the pattern source of every head that may be replaced; fractions are shares of these heads. iou: of every head's
    program, for order "iou". baseline: other sources for the same heads, by name. tasks: questions by name.
    UsageError: a fraction outside 0..1, an order that does not exist or lacks its IoU. UserError: the model cannot be served.
    """
    for share in (fraction, *fractions):
        if not 0 <= share <= 1:
            raise UsageError(f"fraction {share}: give a share of the heads from 0 to 1")
    if order not in get_args(Order) or (order == "iou" and iou is None):
        raise UsageError(f"order {order}: give cost or random, or iou for programs whose IoU is known")
    if not programs:
        raise UsageError("no head has a program to replace it with")
    served_heads(measurements.model)  # refused here, before anything is measured
    shares = sorted({fraction, *fractions})
    kinds = {PROGRAMS: programs, **(baseline or {})}
    tasks = tasks or {}
    measurements.done, measurements.total = 0, 1 + len(shares) * len(kinds) + len(tasks) * (1 + len(shares))
    measurements.total += 3 * (1 + len(programs)) if order == "cost" else 0
    ordered = order_heads(measurements, select, programs, order, iou or {}, seed)
    original = measurements.sums("test", test, "", {})
    curve: list[dict[str, Any]] = []
    for share in shares:
        heads = ordered[: count(share, len(ordered))]
        found = {
            kind: summarise(measurements.sums("test", test, kind, {head: sources[head] for head in heads}), original, seed)
            for kind, sources in kinds.items()
        }
        others = {kind: figures for kind, figures in found.items() if kind != PROGRAMS}
        curve.append({"fraction": share, "heads": len(heads), **found[PROGRAMS], "baselines": others})
    chosen = ordered[: count(fraction, len(ordered))]
    here = next(point for point in curve if point["fraction"] == fraction)
    before = summarise(original, original, seed)["perplexity"]
    return {
        **here,
        "perplexity": None if before is None else {"original": before, "replaced": here["perplexity"]},
        "order": order,
        "heads_replaced": [_label(head) for head in chosen],
        "heads_in_order": [_label(head) for head in ordered],
        "texts": test.texts,
        "readout": test.readout,
        "notes": [NOTES[test.readout]],
        "curve": curve,
        "tasks": {
            name: _task(measurements, name, choices, programs, ordered, shares, fraction, seed) for name, choices in tasks.items()
        },
    }


def _task(
    measurements: Measurements,
    name: str,
    choices: Choices,
    programs: Sources,
    ordered: Sequence[Head],
    shares: Sequence[float],
    fraction: float,
    seed: int,
) -> dict[str, Any]:
    """Accuracy original and replaced, per fraction; random: what guessing is expected to reach."""

    def score(heads: Sequence[Head]) -> dict[str, Any]:
        sources = {head: programs[head] for head in heads}
        return accuracy(measurements.sums(f"task {name}", choices.sample, PROGRAMS, sources), choices.questions, seed)

    original = score([])
    curve = [{"fraction": share, **score(ordered[: count(share, len(ordered))])} for share in shares]
    here = next(point for point in curve if point["fraction"] == fraction)
    return {
        "questions": len(choices.questions),
        "original": original["accuracy"],
        "original_interval": original["accuracy_interval"],
        "replaced": here["accuracy"],
        "replaced_interval": here["accuracy_interval"],
        "random": sum(1 / len(q.choices) for q in choices.questions) / len(choices.questions),
        "curve": curve,
        "notes": list(choices.notes),
    }


def count(fraction: float, heads: int) -> int:
    """How many heads a share is: rounded, half up, and at least one unless the share is 0."""
    return 0 if fraction == 0 else max(1, int(fraction * heads + 0.5))


def order_heads(
    measurements: Measurements,
    select: Sample,
    programs: Sources,
    order: Order = "cost",
    iou: Mapping[Head, float] | None = None,
    seed: int = 0,
) -> list[Head]:
    """The heads in the order in which they are replaced.

    cost: by what each adds to the loss on `select`, cheapest first. Losses do not add up, so a head's cost is its mean marginal
    cost (as in the Shapley value) with none, half and all of the others replaced, weighted 1:4:1 (Simpson's rule); the half is
    that which is cheapest by the two ends. iou: highest IoU first. random: seeded.
    """
    heads = sorted(programs)
    if order == "random":
        import random

        random.Random(seed).shuffle(heads)
        return heads
    if order == "iou":
        return sorted(heads, key=lambda head: -(iou or {})[head])

    def cost(others: Iterable[Head]) -> dict[Head, float]:
        """What each head adds where `others` are replaced too."""

        def loss_of(chosen: set[Head]) -> float:
            sources = {head: programs[head] for head in heads if head in chosen}
            return loss(measurements.sums("select", select, PROGRAMS, sources))

        together = set(others)
        base = loss_of(together)
        return {
            head: base - loss_of(together - {head}) if head in together else loss_of(together | {head}) - base for head in heads
        }

    alone, last = cost([]), cost(heads)
    half = sorted(heads, key=lambda head: alone[head] + last[head])[: len(heads) // 2]
    middle = cost(half)
    return sorted(heads, key=lambda head: alone[head] + 4 * middle[head] + last[head])


def loss(sums: Sums) -> float:
    """What replacement is to keep small: nats per token, or without a language-model head the error of the hidden states."""
    return sum(sums["nll" if "nll" in sums else "error"]) / sum(sums["tokens"])


def _key(heads: Iterable[Head]) -> str:
    """A short name for a set of heads."""
    labels = [_label(head) for head in sorted(heads)]
    return labels[0] if len(labels) == 1 else f"{len(labels)} heads {hashlib.sha256(' '.join(labels).encode()).hexdigest()[:12]}"


def _label(head: Head) -> str:
    return f"L{head[0]}H{head[1]}"
