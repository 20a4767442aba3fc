"""The replacement curve: what the model loses as more of its heads are replaced.

Every measurement (one set of heads under one kind of pattern on one batch) is put into a store under a name that says what was
measured, so that an interrupted run goes on where it stopped, whichever order or fractions are asked for next.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

from harness.attention import AttentionStore
from harness.effect import TEXTS, effects
from harness.errors import UsageError
from harness.measure import NOTES, Sample, Sums, gathered, measure
from harness.ngram import Trigram, measure_reader
from harness.order import Order, order_heads
from harness.patterns import PROGRAMS, Sources, mean_attention, previous_token, uniform
from harness.questions import Forest, measure_trees
from harness.replace import Head, served_heads
from harness.summary import accuracy, agreement, summarise
from harness.tasks import Choices
from search.domains import Domains

Progress = Callable[[str, int, int], None]  # what was done, measurements done, measurements in all
Case = tuple[str, Sources]  # the kind of pattern, and the source of every head that is replaced


@dataclass(frozen=True)
class SecondRound:
    """Constants fitted again in the model: run(heads, step) gives the sources of these heads, all of them in place, and what was
    done (JSON values); it calls step as often as `steps` says, or less often."""

    passes: int
    steps: int
    run: Callable[[Sequence[Head], Callable[[], None]], tuple[Sources, dict[str, Any]]]


FRACTIONS = (0.05, 0.1, 0.25, 0.5, 0.75, 1.0)
TASK_FRACTIONS = (0.1, 0.25, 0.5, 1.0)


@dataclass
class Measurements:
    """A model and what was measured of it so far.

    store: any mutable mapping from names to JSON values; persist what is set and pass it again to resume. One store serves one
    model, one set of programs and one set of baselines; texts, tasks, heads, order and fractions may change.
    """

    model: Any
    store: MutableMapping[str, Any] = field(default_factory=dict)
    progress: Progress = lambda what, done, total: None
    done: int = 0
    total: int = 0

    def sums(self, where: str, sample: Sample | Forest, cases: Sequence[Case]) -> list[Sums]:
        """The measurement of every case on `sample`: from the store where it has it, the rest batch by batch in one go."""
        found: list[list[Sums]] = [[] for _ in cases]
        for batch in sample.batches:
            names = [_name(where, batch.fingerprint, kind, sources) for kind, sources in cases]
            missing = {name: sources for name, (_, sources) in zip(names, cases, strict=True) if name not in self.store}
            if missing:
                for name, sums in zip(missing, _measured(self.model, sample, batch, missing.values()), strict=True):
                    self.store[name] = sums
                    self.step(name, 1)
            self.step(where, len(cases) - len(missing))
            for parts, name in zip(found, names, strict=True):
                parts.append(self.store[name])
        return [gathered(sample.texts, parts) for parts in found]

    def effect_order(self, select: Sample, sources: Sources) -> list[Head]:
        """The heads in the order of their effect, estimated on `select`, from the store where it has it."""
        batches = hashlib.sha256(" ".join(batch.fingerprint for batch in select.batches).encode()).hexdigest()[:12]
        name = _name(f"effect on {TEXTS} texts", batches, PROGRAMS, sources)
        if name not in self.store:
            found = effects(self.model, select, sources, progress=lambda done, total: self.step(name, 0))
            self.store[name] = [list(head) for head in found.ordered()]
        self.step(name, 1)
        return [(layer, head) for layer, head in self.store[name]]

    def reader(self, sample: Sample, reader: Trigram) -> Sums:
        """How far the reader agrees with the original model on `sample`, from the store where it has it."""
        parts = []
        for batch in sample.batches:
            name = f"trigram {batch.fingerprint}"
            if name not in self.store:
                self.store[name] = measure_reader(self.model, batch, reader)
            self.step(name, 1)
            parts.append(self.store[name])
        return gathered(sample.texts, parts)

    def step(self, what: str, by: int) -> None:
        """So many more measurements are done."""
        self.done += by
        self.progress(what, self.done, self.total)


def baselines(store: AttentionStore, heads: Iterable[Head]) -> dict[str, Sources]:
    """What programs must beat: uniform over the allowed keys, the previous token, the head's mean attention in `store`."""
    heads = list(heads)
    return {
        "uniform": dict.fromkeys(heads, uniform),
        "previous": dict.fromkeys(heads, previous_token),
        "mean": dict(mean_attention(store, heads)),
    }


def replacement(
    measurements: Measurements,
    select: Sample,
    test: Sample,
    programs: Sources,
    fractions: Sequence[float],
    order: Order = "effect",
    *,
    iou: Mapping[Head, float] | None = None,
    baseline: Mapping[str, Sources] | None = None,
    control: Mapping[str, Sequence[Sources]] | None = None,
    tasks: Mapping[str, Choices] | None = None,
    reader: Trigram | None = None,
    second: SecondRound | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """What `headscript replace` reports: JSON values, figures on `test` only, the order of the heads from `select` only.

    programs: the pattern source of every head that may be replaced; fractions are shares of these heads. The first is the one that
    the report is about; one alone stands in a curve of FRACTIONS. iou: of every head's program, for order "iou". baseline: other
    sources for the same heads, by name, measured at the fractions given and with all heads. control: by name, the sources of each
    draw, measured at the first fraction. tasks: questions by name. reader: whose agreement with a causal model is given as well.
    second: constants fitted anew at each of the fractions, measured beside the programs, and asked the questions in their place.
    UsageError: a fraction outside 0..1, an order that does not exist or lacks its IoU. UserError: the model cannot be served.
    """
    for share in fractions:
        if not 0 <= share <= 1:
            raise UsageError(f"fraction {share}: give a share of the heads from 0 to 1")
    if order not in get_args(Order) or (order == "iou" and iou is None):
        raise UsageError(f"order {order}: give {', '.join(get_args(Order))}; iou for programs whose IoU is known")
    if not programs or not fractions:
        raise UsageError("no head has a program to replace it with")
    served_heads(measurements.model)  # refused here, before anything is measured
    chosen = fractions[0]
    shares = sorted({*fractions, *(FRACTIONS if len(fractions) == 1 else ())})
    baseline, control, tasks = baseline or {}, control or {}, tasks or {}
    task_shares = sorted({*fractions, *(TASK_FRACTIONS if len(fractions) == 1 else ())})
    draws = [(f"{name} {seed} {draw}", sources) for name, drawn in control.items() for draw, sources in enumerate(drawn)]
    compared = {*fractions, 1.0}
    points: list[tuple[float, str]] = [(share, PROGRAMS) for share in shares]
    points += [(share, kind) for share in shares if share in compared for kind in baseline]
    read = reader if test.readout == "causal" else None
    passes = len(test.batches) * (1 + len(points) + len(draws) + (read is not None))
    passes += sum(len(c.sample.batches) * (1 + len(task_shares) + len(baseline) + len(control)) for c in tasks.values())
    refits = [share for share in fractions if share > 0] if second else []
    passes += len(refits) * (len(test.batches) + second.steps) if second else 0
    passes += sum(len(c.sample.batches) * len(refits) for c in tasks.values())
    rounds = {"effect": 1, "cost": 3 * (1 + len(programs)) * len(select.batches)}
    measurements.done, measurements.total = 0, passes + rounds.get(order, 0)

    ordered = order_heads(measurements, select, programs, order, iou or {}, seed)

    def case(kind: str, sources: Sources, share: float) -> Case:
        return kind, {head: sources[head] for head in ordered[: count(share, len(ordered))]}

    again: dict[float, tuple[Case, dict[str, Any]]] = {}
    for share in refits:
        assert second is not None
        sources, told = second.run(ordered[: count(share, len(ordered))], lambda: measurements.step("second round", 1))
        again[share] = (f"second round {_digest(told)}", sources), told
    kinds = {PROGRAMS: programs, **baseline}
    cases = [("", {}), *(case(kind, kinds[kind], share) for share, kind in points)]
    cases += [case(f"control {name}", sources, chosen) for name, sources in draws]
    cases += [one for one, _ in again.values()]
    original, *measured = measurements.sums("test", test, cases)
    refitted = {
        share: {**told, **summarise(sums, original, seed, test.domains)}
        for (share, (_, told)), sums in zip(again.items(), measured[len(cases) - 1 - len(again) :], strict=True)
    }
    found = {
        point: summarise(sums, original, seed, test.domains) for point, sums in zip(points, measured[: len(points)], strict=True)
    }
    curve: list[dict[str, Any]] = [
        {
            "fraction": share,
            "heads": count(share, len(ordered)),
            **found[share, PROGRAMS],
            "baselines": {kind: found[share, kind] for kind in baseline if (share, kind) in found},
            **({"second_round": refitted[share]} if share in refitted else {}),
        }
        for share in shares
    ]
    here = next(point for point in curve if point["fraction"] == chosen)
    before = summarise(original, original, seed, test.domains)["perplexity"]
    return {
        **here,
        "perplexity": None if before is None else {"original": before, "replaced": here["perplexity"]},
        "order": order,
        "heads_replaced": [label(head) for head in ordered[: count(chosen, len(ordered))]],
        "heads_in_order": [label(head) for head in ordered],
        "texts": test.texts,
        "readout": test.readout,
        "notes": [NOTES[test.readout]],
        "curve": curve,
        "trigram_agreement": None if read is None else agreement(measurements.reader(test, read), test.domains),
        "controls": _controls(control, measured[len(points) : len(points) + len(draws)], original, seed, test.domains),
        "tasks": {
            name: _task(
                measurements,
                name,
                choices,
                [again[share][0] if share in again else case(PROGRAMS, programs, share) for share in task_shares],
                task_shares,
                {kind: case(kind, sources, chosen) for kind, sources in baseline.items()}
                | {kind: case(f"control {kind} {seed} 0", drawn[0], chosen) for kind, drawn in control.items()},
                chosen,
                seed,
            )
            for name, choices in tasks.items()
        },
    }


def _controls(
    control: Mapping[str, Sequence[Sources]], measured: Sequence[Sums], original: Sums, seed: int, domains: Domains
) -> dict[str, Any]:
    """Figures of each control: its draws taken together, text by text."""
    found, at = {}, 0
    for name, drawn in control.items():
        parts = measured[at : at + len(drawn)]
        at += len(drawn)
        mean = {key: [sum(values) / len(parts) for values in zip(*(p[key] for p in parts), strict=True)] for key in parts[0]}
        found[name] = {"draws": len(drawn), **summarise(mean, original, seed, domains)}
    return found


def _task(
    measurements: Measurements,
    name: str,
    choices: Choices,
    programs: Sequence[Case],
    shares: Sequence[float],
    others: Mapping[str, Case],
    chosen: float,
    seed: int,
) -> dict[str, Any]:
    """Accuracies by fraction and of the other kinds of pattern; random: what guessing is expected to reach."""
    cases: list[Case] = [("", {}), *programs, *others.values()]
    original, *measured = measurements.sums(f"task {name}", choices.sample, cases)
    scored = [accuracy(sums, original, choices.questions, seed) for sums in measured]
    curve = [{"fraction": share, **figures} for share, figures in zip(shares, scored[: len(shares)], strict=True)]
    here = next(point for point in curve if point["fraction"] == chosen)
    plain = {k: v for k, v in accuracy(original, original, choices.questions, seed).items() if "difference" not in k}
    return {
        "questions": len(choices.questions),
        "original": plain,
        "replaced": {k: v for k, v in here.items() if k != "fraction"},
        "random": sum(1 / len(q.choices) for q in choices.questions) / len(choices.questions),
        "curve": curve,
        "others": dict(zip(others, scored[len(shares) :], strict=True)),
        "notes": list(choices.notes),
    }


def count(fraction: float, heads: int) -> int:
    """How many heads a share is: rounded, half up, and at least one unless the share is 0."""
    return 0 if fraction == 0 else max(1, int(fraction * heads + 0.5))


def _measured(model: Any, sample: Sample | Forest, batch: Any, cases: Iterable[Sources]) -> Iterator[Sums]:
    return measure(model, sample.readout, batch, cases) if isinstance(sample, Sample) else measure_trees(model, batch, cases)


def _name(where: str, batch: str, kind: str, sources: Sources) -> str:
    return f"{where} {batch} " + (f"{kind} {_key(sources)}" if sources else f"{kind or 'original'} none")


def _key(heads: Iterable[Head]) -> str:
    """A short name for a set of heads."""
    labels = [label(head) for head in sorted(heads)]
    return labels[0] if len(labels) == 1 else f"{len(labels)} heads {_digest(labels)}"


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:12]


def label(head: Head) -> str:
    """A head as it is written: L2H3."""
    return f"L{head[0]}H{head[1]}"
