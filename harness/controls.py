"""Controls: the same programs put in the place of the wrong heads.

A program explains its own head only as far as it does better there than another head's program does. Every control gives each
head the program of some other head: of its layer, of its category, of another category, of any, or one drawn from the library.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import TypeVar

from harness.patterns import Sources
from harness.replace import Head

T = TypeVar("T")

CONTROLS = ("layer", "category", "other category", "all heads", "library")
MEANINGS = {
    "layer": "programs permuted within each layer",
    "category": "permuted within each category of head",
    "other category": "programs of heads of another category",
    "all heads": "permuted over all heads",
    "library": "drawn from the library",
}


def controls(programs: Sources, categories: Mapping[Head, str], library: Sources, seed: int) -> dict[str, Sources]:
    """By control, a source for every head. library: the source that the library has for each head (all of one attention window).

    Where a head is the only one of its layer or category, it keeps its program there.
    """
    heads = sorted(programs)
    found: dict[str, Sources] = {}
    for number, control in enumerate(CONTROLS):
        draw = random.Random(f"{seed} {number}")
        if control == "library":
            shelf = list(dict.fromkeys(library[head] for head in heads))
            found[control] = {head: draw.choice(shelf) for head in heads}
        else:
            found[control] = {head: programs[other] for head, other in _assigned(control, heads, categories, draw).items()}
    return found


def _assigned(control: str, heads: Sequence[Head], categories: Mapping[Head, str], draw: random.Random) -> dict[Head, Head]:
    """Whose program each head gets: a permutation of the heads."""
    if control == "other category":
        return _across(heads, categories, draw)
    group = {"layer": lambda h: h[0], "category": lambda h: categories[h], "all heads": lambda h: 0}[control]
    groups: dict[object, list[Head]] = {}
    for head in heads:
        groups.setdefault(group(head), []).append(head)
    return {head: other for members in groups.values() for head, other in _turned(members, 1, draw).items()}


def _turned(members: Sequence[T], by: int, draw: random.Random) -> dict[T, T]:
    """The members in random order, each given the one `by` places on: of two or more nobody keeps his own if by is 1."""
    mixed = draw.sample(list(members), len(members))
    return dict(zip(mixed, mixed[by % len(mixed) :] + mixed[: by % len(mixed)], strict=True))


def _across(heads: Sequence[Head], categories: Mapping[Head, str], draw: random.Random) -> dict[Head, Head]:
    """Each head given one of another category: in order of category, turned on by the size of the largest.

    Where one category has more than half of the heads, some of its heads are given one of their own category.
    """
    mixed = sorted(draw.sample(list(heads), len(heads)), key=lambda head: categories[head])
    largest = max(sum(categories[h] == c for h in heads) for c in {categories[h] for h in heads})
    by = largest % len(mixed)
    return dict(zip(mixed, mixed[by:] + mixed[:by], strict=True))
