"""Which heads a command means: all, layers, single heads, ranges of them, what to leave out, the worst ones of an earlier run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.locate import Location

Head = tuple[int, int]
ONE = re.compile(r"L(\d+)(?:H(\d+))?", re.IGNORECASE)
WORST = re.compile(r"worst:(\d+)(?::(.+))?", re.IGNORECASE)
HELP = (
    "all (default), L2, L2H3, L0-L5, L2H0-L3H4, not:L4 (or -L4), worst:20:RUN (those with the lowest IoU on select in an earlier "
    "run; worst:20 for the run in --out), or several with commas"
)


def parse_heads(spec: str, layers: int, heads: int, out: Path | None = None) -> tuple[Head, ...]:
    """(layer, head) pairs in ascending order of what `spec` names; see HELP. out: the run that worst:N without a run means.

    Raises UsageError for a head that does not exist, and where nothing is left.

    >>> parse_heads("L1, L0H1", layers=2, heads=2)
    ((0, 1), (1, 0), (1, 1))
    >>> parse_heads("L0H1-L1H0", layers=2, heads=2)
    ((0, 1), (1, 0))
    >>> parse_heads("not:L0, -L1H1", layers=2, heads=2)
    ((1, 0),)
    """
    every = [(layer, head) for layer in range(layers) for head in range(heads)]
    chosen: set[Head] = set()
    left_out: set[Head] = set()
    parts = [part.strip() for part in spec.split(",")]
    for part in parts:
        without = part.lower().startswith("not:") or part.startswith("-")
        name = part[4:] if part.lower().startswith("not:") else part.removeprefix("-")
        (left_out if without else chosen).update(_named(name.strip(), every, out))
    if not chosen and left_out:
        chosen = set(every)
    if not chosen - left_out:
        raise UsageError(f"--heads {spec}: no head is left")
    return tuple(sorted(chosen - left_out))


def early_heads(spec: str, where: Location, out: Path | None) -> tuple[Head, ...] | None:
    """What `parse_heads` gives, by the configuration alone; None where that does not say how many heads the model has."""
    import json

    try:
        told = json.loads((Path(where.source) / "config.json").read_text(encoding="utf-8"))
        layers = next(told[key] for key in ("num_hidden_layers", "n_layer", "n_layers", "num_layers") if key in told)
        heads = next(told[key] for key in ("num_attention_heads", "n_head", "n_heads", "num_heads") if key in told)
    except (OSError, ValueError, StopIteration):
        return None
    return parse_heads(spec, layers, heads, out)


def name(head: Head) -> str:
    """As people call it.

    >>> name((2, 3))
    'L2H3'
    """
    return f"L{head[0]}H{head[1]}"


def _named(part: str, every: list[Head], out: Path | None) -> list[Head]:
    if part.lower() == "all":
        return every
    if match := WORST.fullmatch(part):
        return _worst(int(match[1]), match[2], every, out)
    first, dash, last = part.partition("-")
    ends = [_one(end.strip(), part, every) for end in ([first, last] if dash else [first])]
    low, high = ends[0][0], ends[-1][-1]
    if low > high:
        raise UsageError(f'head "{part}": the range ends before it begins')
    return [h for h in every if low <= h <= high]


def _one(text: str, part: str, every: list[Head]) -> list[Head]:
    match = ONE.fullmatch(text)
    if not match:
        raise UsageError(f'head "{part}": expected all, L2 (a layer), L2H3 (a head), L0-L5, not:L4 or worst:20:RUN')
    wanted = [h for h in every if h[0] == int(match[1]) and match[2] in (None, str(h[1]))]
    if not wanted:
        raise UsageError(f"no head {text}: the model has L0H0 to {name(every[-1])}")
    return wanted


def _worst(count: int, run: str | None, every: list[Head], out: Path | None) -> list[Head]:
    path = Path(run) if run else out
    outcome = path and _latest(path)
    if not outcome:
        where = f"{path} has no result" if path else "no run is named"
        raise UsageError(f"worst:{count}: {where}; name an earlier run, as in worst:{count}:RUN")
    records = sorted(outcome["heads"], key=lambda r: (r["iou"]["select"], r["layer"], r["head"]))
    found = [(r["layer"], r["head"]) for r in records]
    if beyond := [h for h in found if h not in every]:
        raise UsageError(f"worst:{count}: {path} is of another model, with a head {name(beyond[0])}")
    return found[:count]


def _latest(path: Path) -> Any:
    """The result of a run; of one that goes on, that from which it goes on."""
    from search.folder import RunFolder

    folder = RunFolder(path)
    rounds = sorted(path.glob("earlier/*/result.json"), key=lambda p: int(p.parent.name))
    names = ["result.json", *(str(p.relative_to(path)) for p in reversed(rounds)), "partial.json"]
    found = next((n for n in names if folder.has(n)), None)
    return folder.read(found) if found else None
