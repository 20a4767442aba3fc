"""The concepts of a run for a reader: `headscript show RUN --concepts`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness import output

NAMED = 8  # heads


def page(concepts: Sequence[Mapping[str, Any]]) -> str:
    """Definition, English, members by domain, heads and gain of each, those of most heads first."""
    if not concepts:
        return "the shown programs use no concepts beside the language's own words"
    count = output.plural(len(concepts), "concept")
    what = "the mean IoU on select that a head's program loses with the best single class in the concept's place"
    return "\n\n".join([f"{count}; gain: {what}", *("\n".join(_lines(c)) for c in concepts)])


def _lines(concept: Mapping[str, Any]) -> Iterator[str]:
    heads = [f"L{layer}H{head}" for layer, head in concept["heads"]]
    more = f" and {len(heads) - NAMED} more" if len(heads) > NAMED else ""
    yield concept["definition"]
    yield f"    {concept['english']}"
    named = f"{output.plural(len(heads), 'head')}: {', '.join(heads[:NAMED])}{more}"
    yield f"    size {concept['size']}; gain {concept['gain']:.4f}; {named}"
    for domain, tokens in concept["members"].items():
        yield f"    {domain}: {' '.join(repr(t) for t in tokens) or 'none'}"
