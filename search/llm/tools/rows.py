"""`rows`: where queries look, head beside program."""

from __future__ import annotations

from typing import TYPE_CHECKING

from search.llm.tools.desk import Arguments, BadArgument, Desk, domain, quote, row_iou, share, span, whole

if TYPE_CHECKING:
    import numpy as np

KEYS = 5  # shown of a row
LEAST = 0.04  # weight of a key that is shown
MOST = 24  # rows in one answer
CONTEXT = 8  # tokens before a query


def rows(desk: Desk, arguments: Arguments) -> str:
    """Rows of a text (text, queries), or the worst rows of all texts (worst, domain)."""
    import numpy as np

    name, program = desk.chosen(arguments)
    pattern = desk.pattern(program)
    iou = row_iou(desk, pattern) if pattern is not None else None
    if arguments.get("text") not in (None, ""):
        text = whole(arguments, "text", 0)
        if not 0 <= text < len(desk.fit):
            raise BadArgument(f"there are texts 0 to {len(desk.fit) - 1}")
        begin, end = desk.fit.texts[text], desk.fit.texts[text + 1]
        wanted = [int(begin) + q for q in span(arguments, "queries", int(end - begin))][:MOST]
        start = f"Text {text} ({desk.fit.domains.each[text]}). Head | {name}; keys as position token weight."
        context = quote("".join(desk.tokens[begin : wanted[0]][-CONTEXT:])) if wanted else ""
        return "\n".join([start, *([f"after {context}"] if context else []), *(_row(desk, r, pattern, iou) for r in wanted)])
    if iou is None:
        raise BadArgument("there is no program to compare with: name a text and queries, or try a program first")
    # a row counts by what it can gain; those of the first two positions are the mask's work
    able = desk.fit.position > 1
    if (d := domain(desk, arguments)) is not None:
        able &= desk.fit.domain_of[desk.text_of] == d
    order = np.argsort(np.where(able, iou, 2.0), kind="stable")[: min(MOST, max(1, whole(arguments, "worst", 8)))]
    lines = [f"Worst rows of {name}: text, query, IoU, head | program."]
    for r in order:
        context = quote("".join(desk.tokens[r - min(CONTEXT, int(desk.fit.position[r])) : r]))
        lines.append(f"t{desk.text_of[r]} after {context}")
        lines.append("  " + _row(desk, int(r), pattern, iou))
    return "\n".join(lines)


def _row(desk: Desk, row: int, pattern: np.ndarray | None, iou: np.ndarray | None) -> str:
    head = _keys(desk, row, desk.head())
    shown = f"q{desk.fit.position[row]} {quote(desk.tokens[row])}"
    if pattern is None or iou is None:
        return f"{shown}: {head}"
    return f"{shown} {share(float(iou[row]))}: {head} | {_keys(desk, row, pattern)}"


def _keys(desk: Desk, row: int, values: np.ndarray) -> str:
    import numpy as np

    begin, end = desk.fit.rows[row], desk.fit.rows[row + 1]
    here, keys = values[begin:end], desk.fit.k[begin:end]
    order = [i for i in np.argsort(-here, kind="stable")[:KEYS] if here[i] >= LEAST]
    found = [f"{desk.fit.position[keys[i]]} {quote(desk.tokens[keys[i]])} {share(float(here[i]))}" for i in order]
    return ", ".join(found) or "spread thin"
