"""A run that goes on with more: what a second command may add to a run folder, and what it may not.

More evaluations, heads, proposers or a language model are a new round: its units begin from the programs of all rounds before it.
What looked at all heads (LATER) moves to earlier/N, where its programs stay candidates; the rest is not done again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LATER = ("refine", "share")  # phases that look at all heads: done anew in each round
FREE = ("library_size", "parsimony")  # settings of the choice alone: nothing that was done depends on them


@dataclass(frozen=True)
class Growth:
    """How settings differ from those of a folder: added says it in words; settings are those to go on with."""

    added: tuple[str, ...]
    settings: dict[str, Any]
    again: tuple[str, ...] | None  # phases that a new round does anew; None: no new round, only the choice is made again


class Contradiction(ValueError):
    """Settings that do not fit those of the folder; the message says which, in words."""


def growth(known: Mapping[str, Any], wanted: Mapping[str, Any]) -> Growth:
    """What `wanted` adds to `known`. Raises Contradiction for less, or for something else."""
    added: list[str] = []
    again: tuple[str, ...] | None = None
    settings = dict(wanted)
    for name in [*wanted, *(k for k in known if k not in wanted)]:
        before, now = known.get(name), wanted.get(name)
        if name == "focus" or before == now:
            continue
        if name in FREE:
            added.append(f"{name.replace('_', ' ')} {now}")
        elif name == "llm" and before is None:
            added.append("a language model")
            again = LATER
        elif name not in ("heads", "proposers", "evaluations"):
            raise Contradiction(_said(name, before, now))
    if fewer := [p for p in known["proposers"] if p not in wanted["proposers"]]:
        raise Contradiction(f"it also has the proposer {fewer[0]}, which --proposers leaves out")
    new = [p for p in wanted["proposers"] if p not in known["proposers"]]
    added += [f"proposer {p}" for p in new if p != "llm"]
    if set(new) - {"llm"}:
        again = ("heads", *LATER)
    more = wanted["evaluations"] - known["evaluations"]
    heads = [h for h in wanted["heads"] if h not in known["heads"]]
    left = [h for h in known["heads"] if h not in wanted["heads"]]
    settings["focus"] = None
    if left:
        # Fewer heads and more evaluations: the search goes on for these heads alone.
        if heads:
            raise Contradiction(f"it has {_names(left)}, which --heads leaves out, and lacks {_names(heads)}")
        if more < 0 or (more == 0 and known.get("focus") != wanted["heads"]):
            raise Contradiction(
                f"it also has {_names(left)}, which --heads leaves out: more --evaluations than its {known['evaluations']:,} "
                "would go on with some heads alone"
            )
        settings |= {"heads": known["heads"], "focus": wanted["heads"]}
    elif more < 0:
        raise Contradiction(f"evaluations: {known['evaluations']:,}, now only {wanted['evaluations']:,}")
    if heads:
        added.append(f"{_count(len(heads), 'head')} ({_names(heads)})")
    if more > 0:
        for_these = f" for {_names(wanted['heads'])}" if left else ""
        added.append(f"{_count(more, 'evaluation')}{for_these}")
    if heads or more > 0:
        again = again or LATER
    return Growth(tuple(added), settings, again)


def _said(name: str, before: Any, now: Any) -> str:
    if name == "target":
        return "it is of another model"
    if name == "text":
        return "it was begun with other texts"
    if name == "llm" and now is None:
        return "it was begun with a language model; give --llm again"
    if isinstance(before, dict) and isinstance(now, dict):
        key = next(k for k in [*now, *before] if before.get(k) != now.get(k))
        return _said(f"{name} {key}", before.get(key), now.get(key))
    return f"{name.replace('_', ' ')}: {json.dumps(before)}, now {json.dumps(now)}"


def _names(heads: list[list[int]]) -> str:
    names = [f"L{layer}H{head}" for layer, head in heads]
    return ", ".join(names) if len(names) <= 4 else f"{', '.join(names[:3])} and {len(names) - 3} more"


def _count(n: int, noun: str) -> str:
    return f"{n:,} more {noun}{'' if n == 1 else 's'}"


def archive(path: Path, number: int, phases: Sequence[str]) -> None:
    """Moves the units of these phases, and the result, to earlier/NUMBER. May be called again where it was cut short."""
    there = path / "earlier" / str(number)
    for phase in phases:
        units = path / "units" / phase
        for file in sorted(units.glob("*.json")) if units.is_dir() else ():
            (there / phase).mkdir(parents=True, exist_ok=True)
            os.replace(file, there / phase / file.name)
    for name in ("result.json", "partial.json"):
        if (path / name).exists():
            there.mkdir(parents=True, exist_ok=True)
            os.replace(path / name, there / name)
