"""The outcome of a run, result.json: what stands in it, and how commands read it.

Per head: "program" is the shown one, worth its size; "full_program" the largest of its front, with the highest IoU on `select`.
Means are over domains that are not held out, each counting the same; a held-out domain has figures on `test` alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from search.folder import SPLITS, FolderError, RunFolder

if TYPE_CHECKING:
    import numpy as np

    from search.domains import Domains

FORMAT = 2  # of result.json
Record = dict[str, Any]


def read(folder: RunFolder) -> Record | None:
    """result.json, or partial.json of a run that was cut short; None where there is neither. FolderError: of another version."""
    for name in ("result.json", "partial.json"):
        if folder.has(name):
            outcome: Record = folder.read(name)
            if not isinstance(outcome, dict) or outcome.get("format") != FORMAT:
                raise FolderError(f"{folder.path}: made by another version: run again with another --out")
            return outcome
    return None


def with_full(outcome: Record) -> Record:
    """The outcome with the largest program of each head in the place of the shown one."""
    heads = [{**record, **record["full_program"]} for record in outcome["heads"]]
    return {**outcome, **outcome["full_program"], "heads": heads}


def digits(x: Any) -> float:
    """Six digits: enough for any use, few enough to read."""
    return round(float(x), 6)


def figures(iou: Mapping[str, np.ndarray], domains: Mapping[str, Domains]) -> tuple[Record, Record]:
    """({split: mean}, {domain: {split: mean}}) from the IoU on every text of each split, (T) arrays."""
    by_domain: dict[str, Record] = {}
    for split in SPLITS:
        for name, mean in domains[split].means(iou[split]).items():
            if split == "test" or name not in domains[split].held_out:
                by_domain.setdefault(name, {})[split] = digits(mean)
    ordered = [name for split in ("fit", "test") for name in domains[split].names]
    return (
        {split: digits(domains[split].mean(iou[split])) for split in SPLITS},
        {name: by_domain[name] for name in dict.fromkeys(ordered)},
    )


def measured(iou: Mapping[str, np.ndarray], domains: Mapping[str, Domains]) -> Record:
    """What a record says of a program, from its IoU on every text of each split, (T): means, the gap of domains, 95% intervals."""
    mean, by_domain = figures(iou, domains)
    test = domains["test"]
    return {
        "iou": mean,
        "domains": by_domain,
        "gap": gap(by_domain, test.held_out),
        "interval": _interval(test, iou["test"]),
        "intervals": {split: _interval(domains[split], iou[split]) for split in SPLITS},
        "domain_intervals": {name: _interval(test.only(name), iou["test"][test.index == d]) for d, name in enumerate(test.names)},
        "iou_per_text": {"test": [digits(x) for x in iou["test"]]},
    }


def means(records: Sequence[Mapping[str, Any]], test: Domains) -> Record:
    """Means over heads of what `measured` gave, and medians of rules and sizes."""
    import numpy as np

    by_domain = over_heads(records, "domains")
    return {
        "mean_iou": over_heads(records, "iou"),
        "domains": by_domain,
        "gap": gap(by_domain, test.held_out),
        "interval": _interval(test, np.mean([r["iou_per_text"]["test"] for r in records], 0)),
        "median_rules": float(np.median([r["rules"] for r in records])),
        "median_size": float(np.median([r["size"] for r in records])),
    }


def over_heads(records: Sequence[Mapping[str, Any]], key: str) -> Record:
    """The mean over heads of {split: value} or {domain: {split: value}}, as it stands under `key` in each record."""

    def mean(values: Sequence[Any]) -> Any:
        if isinstance(values[0], Mapping):
            return {name: mean([v[name] for v in values]) for name in values[0]}
        return digits(sum(values) / len(values))

    result: Record = mean([record[key] for record in records])
    return result


def gap(by_domain: Mapping[str, Mapping[str, float]], held_out: Sequence[str]) -> float:
    """Between the best and the worst domain on `test`, the held-out ones left out."""
    values = [figure["test"] for name, figure in by_domain.items() if name not in held_out]
    return digits(max(values) - min(values))


def _interval(domains: Domains, values: np.ndarray) -> list[float]:
    return [digits(x) for x in domains.interval(values)]


def headline(sentences: Sequence[str], gains: Sequence[float]) -> str:
    """The sentence of the rule that adds most, and how many there are beside it."""
    if not sentences:
        return "Attends to nothing."
    first = sentences[max(range(len(sentences)), key=lambda i: gains[i])]
    others = len(sentences) - 1
    return first if not others else f"{first[:-1]}; {others} more rule{'s' * (others > 1)}."
