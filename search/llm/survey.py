"""One conversation about the whole model, before its heads: which kinds of heads there are, concepts and templates for them.

A template is a program whose constants are fitted to one head of each kind; of these fits, each head of the model takes the best.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from search.llm.evidence import k_center, relations, share, shares_of
from search.llm.tools.desk import Arguments, BadArgument, Desk, Tried, number, whole
from search.llm.tools.queries import queries
from search.llm.tools.table import CONCEPTS, TOOLS, TRY, Tool
from search.llm.tools.trying import MOST, STEPS, candidates, read_candidate

if TYPE_CHECKING:
    import numpy as np

    from dsl.nodes import Program

KINDS = 8  # of heads
TEXTS = 8  # on which kinds are told apart
NAMED = 6  # heads of a kind that are named


@dataclass(frozen=True, eq=False)
class Survey(Desk):
    """A desk for many heads. rows: the heads; kinds: places in `rows`, the most typical head of each first.

    known: the best program of each head before and its merit, IoU on `fit` less what its size costs; fits: of each tried template
    its fitted programs and their IoU (P, H) on `fit`.
    """

    rows: tuple[int, ...] = ()
    kinds: tuple[tuple[int, ...], ...] = ()
    known: tuple[tuple[float, str], ...] = ()
    fits: tuple[tuple[tuple[Program, ...], np.ndarray], ...] = ()
    begun: dict[str, Survey] = field(default_factory=dict)  # desks of single heads, which keep what they have read

    def names(self, places: Sequence[int]) -> str:
        shown = ", ".join("L{}H{}".format(*divmod(self.rows[i], self.per_layer)) for i in places[:NAMED])
        return shown + (f" and {len(places) - NAMED} more" if len(places) > NAMED else "")

    @property
    def best(self) -> Tried | None:
        return None  # templates serve different heads: there is no best one


def kinds(desk: Survey) -> tuple[tuple[int, ...], ...]:
    """Groups of heads whose attention lies in similar places, as Survey.kinds."""
    import numpy as np

    at = np.array([list(_shares(desk, row).values()) for row in desk.rows])
    centres = k_center(at, KINDS)
    nearest = np.linalg.norm(at[:, None] - at[centres][None], axis=2).argmin(1)
    groups = [[i for i in range(len(at)) if nearest[i] == c] for c in range(len(centres))]
    apart = np.linalg.norm(at[:, None] - at[centres][None], axis=2)  # (H, kinds)
    ordered = [tuple(sorted(g, key=[float(v) for v in apart[:, c]].__getitem__)) for c, g in enumerate(groups) if g]
    return tuple(sorted(ordered, key=lambda g: -len(g)))


def _shares(desk: Survey, row: int) -> dict[str, float]:
    """The part of a head's attention on each simple relation, mean over some texts of all kinds."""
    import numpy as np

    places = sorted({round(x) for x in np.linspace(0, len(desk.fit) - 1, min(TEXTS, len(desk.fit)))})
    if "masks" not in desk.cache:
        desk.cache["masks"] = {t: relations(desk.fit.texts_given[t], desk.fit.causal) for t in places}
    matrices = desk.fit.matrices(row)
    found = [shares_of(matrices[t], desk.cache["masks"][t]) for t in places]
    return {name: sum(s[name] for s in found) / len(found) for name in found[0]}


def overview(desk: Survey) -> str:
    """For each kind its heads, where its most typical head looks, the best program known of it."""
    lines = []
    for n, places in enumerate(desk.kinds):
        shown = ", ".join(f"{name} {share(v)}" for name, v in _shares(desk, desk.rows[places[0]]).items() if v >= 0.05)
        heads = f"{len(places)} head{'s' * (len(places) > 1)}"
        lines.append(f"kind {n}, {heads} ({desk.names(places)}): {shown}")
        if desk.known:
            mean = sum(desk.known[p][0] for p in places) / len(places)
            program = "; ".join(line.strip() for line in desk.known[places[0]][1].strip().split("\n"))
            lines.append(f"  best so far: merit {number(mean)} on average; of the typical head: {program}")
    return "\n".join(lines)


def kind(desk: Survey, arguments: Arguments) -> tuple[Survey, str]:
    """What queries of the most typical head of a kind do."""
    n = whole(arguments, "kind", 0)
    if not 0 <= n < len(desk.kinds):
        raise BadArgument(f"there are kinds 0 to {len(desk.kinds) - 1}")
    row = desk.rows[desk.kinds[n][0]]
    one = desk.begun.setdefault(str(row), replace(desk, row=row, tried=(), cache={}, begun={}))
    return desk, f"Kind {n}, of which L{row // desk.per_layer}H{row % desk.per_layer} is typical.\n{queries(one, {})}"


def templates(desk: Survey, arguments: Arguments) -> tuple[Survey, str]:
    """Fits templates to the kinds and scores them on all heads."""
    parts = []
    for candidate in candidates(desk, arguments)[:MOST]:
        place = desk.next_number
        one, program, problem = read_candidate(desk, place, candidate)
        if program is None:
            desk = replace(desk, tried=(*desk.tried, one))
            parts.append(problem)
            continue
        desk, text = _fitted(desk, one, program)
        parts.append(text)
    return desk, "\n\n".join(parts)


def _fitted(desk: Survey, one: Tried, program: Program) -> tuple[Survey, str]:
    import numpy as np

    from dsl import size
    from search.fitting import fit_constants
    from search.scoring import score
    from search.selection import shorter

    fits = [shorter(fit_constants(program, desk.fit, [desk.rows[places[0]]], STEPS)) for places in desk.kinds]
    unique = tuple(dict.fromkeys(fits))
    iou = desk.fit.mean(score(unique, desk.fit, desk.rows))  # (P, H)
    merits = _merits(desk, unique, iou).max(0)
    before = [_merits(desk, *f).max(0) for f in desk.fits] + ([np.array([m for m, _ in desk.known])] if desk.known else [])
    bar = np.max(before, axis=0) if before else np.zeros(len(merits))
    gained = np.flatnonzero(merits > bar + 0.002)
    one = replace(one, program=unique[0], size=size(unique[0]), fit=float(iou.max(0).mean()), select=0.0, merit=0.0)
    desk = replace(desk, tried=(*desk.tried, one), fits=(*desk.fits, (unique, iou)))
    by_kind = ", ".join(f"{n}: {share(float(merits[list(places)].mean()))}" for n, places in enumerate(desk.kinds))
    order = sorted(gained.tolist(), key=lambda i: -float(merits[i] - bar[i]))
    more = (
        f"better than what is known on {len(gained)} heads, by {number(float((merits - bar)[gained].mean()))}"
        if len(gained)
        else "no head gains"
    )
    return desk, (
        f"#{one.number}: size {one.size}, mean IoU over {len(merits)} heads {number(one.fit)}; merit by kind {by_kind}; {more}"
        + (f" ({desk.names(order)})" if len(gained) else "")
    )


def _merits(desk: Survey, programs: Sequence[Program], iou: np.ndarray) -> np.ndarray:
    """(P, H): IoU (P, H) less what each program's size costs."""
    import numpy as np

    from dsl import size

    return iou - desk.parsimony * np.array([size(p) for p in programs])[:, None]


def chosen(desk: Survey) -> list[tuple[int, Program, float]]:
    """For each head the fitted template of highest merit, where there is one: row, program, merit (IoU on `select`, less size)."""
    from search.scoring import score

    programs = list(dict.fromkeys(p for fits, _ in desk.fits for p in fits))
    if not programs:
        return []
    iou = desk.select.mean(score(programs, desk.select, desk.rows))  # (P, H)
    merit = _merits(desk, programs, iou)
    return [(row, programs[p], float(merit[p, h])) for h, (row, p) in enumerate(zip(desk.rows, merit.argmax(0), strict=True))]


SURVEY_TOOLS: dict[str, Tool] = {
    TRY: Tool(
        TRY,
        "fit templates to one head of each kind and score them on all heads",
        TOOLS[TRY].parameters,
        templates,
        TOOLS[TRY].required,
    ),
    "kind": Tool(
        "kind", "what queries of a kind's typical head do", {"kind": {"type": "integer", "description": "its number"}}, kind
    ),
    CONCEPTS: TOOLS[CONCEPTS],
}
