"""What language models wrote in a run and what became of it, as rows and as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from harness import output
from search.consult import WITHIN
from search.folder import RunFolder
from search.rounds import UNITS_A_ROUND, brought_nothing, rounds

HEADER = ("head", "round", "model", "program", "what became of it")
_BEFORE = ("import ", "from ", "#", "concept ")  # lines that say nothing of the program itself
FIRST = 44  # characters of a program that are shown


def rows(folder: RunFolder, head: str | None = None) -> Iterator[tuple[str, ...]]:
    """One row for each program of an answer and each call that failed, in their order; head: of one head, such as L2H3, alone."""
    per_layer = folder.description()["model"]["heads"]
    for number, record in enumerate(rounds(folder)):
        for p in record["proposals"] if head is None else ():
            if p["head"][0] < 0:  # of the conversation about the whole model
                yield "model", str(number + 1), p["model"], _first_line(p["source"]), f"{p['status']}: {brought_nothing(p)}"
        known = dict(record.get("known", ()))
        for row in record["heads"]:
            place = list(divmod(row, per_layer))
            name = "L{}H{}".format(*place)
            if head is not None and name != head:
                continue
            fate = _fate(folder, f"units/llm/{number * UNITS_A_ROUND + row}.json")
            for p in record["proposals"]:
                if p["head"] == place:
                    again = " (corrected)" if p["corrected"] else ""
                    what = brought_nothing(p)
                    shown = _tried(p, known.get(row), fate) if what is None else f"{p['status']}: {what}"
                    yield name, str(number + 1), p["model"] + again, _first_line(p["source"]), shown
            for e in record.get("endings", ()):
                if e["head"] == place:
                    yield name, str(number + 1), "", "", f"conversation of {e['rounds']} rounds; {e['ended']}"
            for f in record.get("failures", ()):
                if f["head"] == place:
                    yield name, str(number + 1), "", "", f"the call failed: {f['message']}"


def _tried(proposal: Mapping[str, Any], known: float | None, fate: str) -> str:
    """What a program that was tried came to. known: the merit of the best program that the search had."""
    merit = proposal.get("merit")
    if merit is None:
        return fate
    if known is None:
        return f"tried: merit {merit:.3f}; {fate}"
    said = f"tried: merit {merit:.3f}, {merit - known:+.3f} to the best known before"
    return f"{said}: too far to go on with" if merit <= known - WITHIN else f"{said}; {fate}"


def _fate(folder: RunFolder, unit: str) -> str:
    """What the programs of a round came to, once fitted and evolved."""
    if not folder.has(unit):
        return "read, not yet fitted"
    found = folder.read(unit)["candidates"]
    return f"read; the round's best fits with IoU {found[0]['fit']:.3f}" if found else "read; nothing new"


def _first_line(source: str) -> str:
    lines = [line.strip() for line in source.split("\n") if line.strip() and not line.strip().startswith(_BEFORE)]
    return output.cut(lines[0], FIRST) if lines else ""


def page(folder: RunFolder, head: str | None = None) -> str:
    """The rows as text, after the sums of what was spent."""
    from search.llm.options import describe

    lines = describe(folder.read("llm.json")) if folder.has("llm.json") else []
    for name, number, model, first, what in rows(folder, head):
        lines.append(f"{name}  round {number}  {model}" + (f"  {first}" if first else ""))
        lines.append(f"    {what}")
    return "\n".join(lines or ["no language model was asked in this run"])
