"""`try`: programs in the language or in Python, fitted and scored."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from search.llm.answers import Candidate, read_answer, read_language
from search.llm.code import DEFINITION, is_json
from search.llm.envelopes import blocks, spoken
from search.llm.refine import without
from search.llm.tools.desk import Arguments, BadArgument, Desk, Tried, by_domain, number, row_sums, share

if TYPE_CHECKING:
    from dsl.nodes import Program

MOST = 4  # programs in one call
STEPS, REFIT = 40, 12  # of fitting a program, and of refitting it without one rule
_WHY = {
    "refused": "cannot be put into the language: ",
    "differs": "what it became in the language differs, so write it there yourself: ",
    "failed": "does not run: ",
}
IDLE = 1e-6  # a change of weight that is none
MOST_RULES = 12  # left out in turn


def tried(desk: Desk, arguments: Arguments) -> tuple[Desk, str]:
    """The desk with what became of the programs, and the text for the model. Raises BadArgument where there is no program."""
    wanted = candidates(desk, arguments)
    left_out = len(wanted) - MOST
    found: list[Tried] = []
    parts: list[str] = []
    for candidate in wanted[:MOST]:
        one, text = _one(desk, desk.next_number + len(found), candidate)
        found.append(one)
        parts.append(text)
    if left_out > 0:
        parts.append(f"{left_out} more programs were not tried: at most {MOST} in one call.")
    return desk.with_tried(found), "\n\n".join(parts)


def candidates(desk: Desk, arguments: Arguments) -> list[Candidate]:
    """The programs of a call, at least one. Raises BadArgument where there is none."""
    given = arguments.get("programs", arguments.get("program", ""))
    texts = [str(t) for t in given] if isinstance(given, list | tuple) else [str(given)]
    found = [c for text in texts if text.strip() for c in _read(desk, text)]
    found = [c for c in found if c.source] or found[:1]
    if not found:
        raise BadArgument("try needs programs: a list of texts, each a whole program")
    return found


def _read(desk: Desk, text: str) -> list[Candidate]:
    """What is no Python and has no wrapping is read as rules to the last line: what is none among them is an error, not prose."""
    if DEFINITION.search(text) or blocks(text) or is_json(text):
        found = read_answer(text)
        return [read_language(c.source, desk.concepts) if c.form == "language" else c for c in found]
    return [read_language(spoken(text)[0], desk.concepts)]


def _one(desk: Desk, place: int, c: Candidate) -> tuple[Tried, str]:
    one, program, problem = read_candidate(desk, place, c)
    return (one, problem) if program is None else _scored(desk, one, program)


def read_candidate(desk: Desk, place: int, c: Candidate) -> tuple[Tried, Program | None, str]:
    """A candidate as a program, Python put into the language; None with the line that says what is wrong."""
    program, status, problem, line = c.program, "parsed", c.problem, c.line
    if problem is not None:
        status = "unusable"
    elif program is None:
        made = desk.translate(c.source)
        program, status = (made.program, "lifted") if made.status == "lifted" else (None, made.status)
        problem, line = (None, None) if program is not None else (f"{_WHY.get(made.status, '')}{made.reason}", made.line)
    if program is not None:
        return Tried(place, c.source, c.form, None, status), program, ""
    lines = c.source.split("\n")
    code = f" (`{lines[line - 1].strip()[:80]}`)" if line and line <= len(lines) and lines[line - 1].strip() else ""
    where = f"line {line}{code}: " if line else ""
    return Tried(place, c.source, c.form, None, status, problem, line), None, f"#{place}: {where}{problem}"


def _scored(desk: Desk, one: Tried, written: Program) -> tuple[Tried, str]:
    from dsl import size
    from search.fitting import fit_constants
    from search.selection import shorter

    program = shorter(fit_constants(written, desk.fit, [desk.row], STEPS))
    one, lines = measured(desk, one, program)
    if size(written) > one.size:
        lines.append(f"You wrote it in size {size(written)}: what was redundant is gone.")
    lines += rules(desk, one)
    if (best := desk.best) is not None and best.merit >= one.merit:
        lines.append(f"Best so far: #{best.number} with merit {number(best.merit)}.")
    return one, "\n".join(lines)


def measured(desk: Desk, one: Tried, program: Program) -> tuple[Tried, list[str]]:
    """What a program as it stands comes to, and the lines that say so."""
    from dsl import size
    from search.scoring import score

    fit = score([program], desk.fit, [desk.row])[0, 0]  # (T)
    select = score([program], desk.select, [desk.row])[0, 0]
    on_fit, on_select = float(desk.fit.mean(fit)), float(desk.select.mean(select))
    merit = on_select - desk.parsimony * size(program)
    one = replace(one, program=program, size=size(program), fit=on_fit, select=on_select, merit=merit)
    lines = [
        f"#{one.number}: merit {number(merit)} = select {number(on_select)} - {desk.parsimony:g} x size {one.size}",
        str(program).strip(),
    ]
    if len(desk.fit.domains.names) > 1:
        lines.append(f"IoU on fit: {by_domain(desk, desk.fit.domains.means(fit))}, mean {number(on_fit)}")
        lines.append(f"IoU on select: {by_domain(desk, desk.select.domains.means(select))}")
    else:
        lines.append(f"IoU on fit {number(on_fit)}")
    return one, [*lines, _apart(desk, program)]


def _apart(desk: Desk, program: Program) -> str:
    """The start of the texts apart from what is not the start: a sink can hide all else."""
    import numpy as np

    head, pattern = desk.head(), desk.pattern(program)
    assert pattern is not None
    start = desk.fit.position[desk.fit.k] == 0
    per_row = (desk.row_weights * (desk.fit.position > 0))[desk.fit.q]
    per_row = per_row / max(1e-12, (desk.row_weights * (desk.fit.position > 0)).sum())
    at_start = [float((side * per_row * start).sum()) for side in (head, pattern)]
    apart = per_row * ~start
    rest = float((np.minimum(head, pattern) * apart).sum() / max(1e-12, (np.maximum(head, pattern) * apart).sum()))
    off = float((np.abs(row_sums(desk, (head - pattern) * start)) * desk.row_weights).sum())
    return (
        f"First token: the head gives it {share(at_start[0])}, the program {share(at_start[1])} (off by {share(off)} a row); "
        f"IoU of the rest {share(rest)}"
    )


def rules(desk: Desk, one: Tried) -> list[str]:
    """What each rule adds: the mean IoU on fit, less that of the program without it, refitted; and which rules change nothing."""
    import numpy as np

    from dsl import evaluate, size
    from search.fitting import fit_constants
    from search.scoring import score

    program, whole = one.program, one.fit
    if program is None:
        return []
    count = len(program.rules())
    if not 2 <= count <= MOST_RULES:
        return []
    rest = [without(program, i) for i in range(count)]
    pattern = desk.fit.pack(evaluate(program, desk.fit.batch))
    idle = [bool(np.abs(desk.fit.pack(evaluate(p, desk.fit.batch)) - pattern).max() < IDLE) for p in rest]
    fitted = [p if idle[i] else fit_constants(p, desk.fit, [desk.row], REFIT) for i, p in enumerate(rest)]
    means = desk.fit.mean(score(fitted, desk.fit, [desk.row])[:, 0])
    shown = []
    for i, (left, mean) in enumerate(zip(rest, means, strict=True)):
        gain, saved = whole - float(mean), size(program) - size(left)
        worth = " (not worth its size)" if gain < desk.parsimony * saved else ""
        shown.append(f"{i + 1} nothing: it holds nowhere here" if idle[i] else f"{i + 1} {number(gain)}{worth}")
    return ["What each rule adds, the others refitted: " + ", ".join(shown)]
