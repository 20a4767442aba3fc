"""What language models said in a run, round by round, and what of it is to be asked for again."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from search.continuation import LATER
from search.folder import RunFolder
from search.llm.named import conditions

UNITS_A_ROUND = 1_000_000  # numbers of the units of one round: round x this + row of the head


def rounds(folder: RunFolder) -> Iterator[dict[str, Any]]:
    """The records of the rounds in their order: heads (rows), proposals, failures, state of the proposer afterwards."""
    number = 0
    while folder.has(f"rounds/{number}.json"):
        yield folder.read(f"rounds/{number}.json")
        number += 1


def learned(folder: RunFolder) -> dict[str, str]:
    """The concepts that language models defined in a run: name, definition."""
    states = [record["state"] for record in rounds(folder)]
    return dict(states[-1].get("concepts", {})) if states else {}


def named(folder: RunFolder, heads: Sequence[int]) -> list[str]:
    """Conditions, with {} for a position, that programs proposed in vain for these heads name."""
    per_layer = folder.description()["model"]["heads"]
    places = [list(divmod(h, per_layer)) for h in heads]
    said = (p for record in rounds(folder) for p in record["proposals"] if p["head"] in places and p["program"] is None)
    return list(dict.fromkeys(c for p in said for c in conditions(p["source"])))


def forget_failed(folder: RunFolder) -> int:
    """Takes back the rounds from the first on in which a call failed, and all that came of them; how many calls had failed.

    The answers stay in the folder, so that only what failed is asked again.
    """
    failed = [len(r.get("failures", ())) for r in rounds(folder)]
    first = next((i for i, n in enumerate(failed) if n), None)
    if first is None:
        return 0
    _take_back(folder, first)
    return sum(failed)


def forget_all(folder: RunFolder) -> None:
    """Takes back all rounds and what came of them. The answers are put aside in RUN/llm/before-N: they were paid for."""
    answers = folder.path / "llm"
    if answers.is_dir():
        number = len(list(answers.glob("before-*"))) + 1
        aside = answers / f"before-{number}"
        aside.mkdir()
        for path in sorted(answers.glob("*.json")):
            path.rename(aside / path.name)
    _take_back(folder, 0)


def _take_back(folder: RunFolder, first: int) -> None:
    for path in (folder.path / "rounds").glob("*.json"):
        if int(path.stem) >= first:
            path.unlink()
    for path in (folder.path / "units" / "llm").glob("*.json"):
        if int(path.stem) >= first * UNITS_A_ROUND:
            path.unlink()
    for phase in LATER:
        shutil.rmtree(folder.path / "units" / phase, ignore_errors=True)
    for name in ("result.json", "partial.json", "llm.json", "report.html"):
        Path(folder.path / name).unlink(missing_ok=True)


def brought_nothing(proposal: Mapping[str, Any]) -> str | None:
    """Why a proposal (a record of a round) brought no program: "line 7 (`whne k == 0 add 1`): …"; None where it brought one."""
    if proposal["program"] is not None:
        return None
    line, lines = proposal["line"], proposal["source"].split("\n")
    if not line:
        return str(proposal["reason"])
    code = lines[line - 1].strip() if line <= len(lines) else ""
    return f"line {line}{f' (`{code[:80]}`)' if code else ''}: {proposal['reason']}"
