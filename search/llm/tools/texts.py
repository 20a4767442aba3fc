"""`texts`: IoU of each text, the worst first."""

from __future__ import annotations

from search.llm.tools.desk import Arguments, BadArgument, Desk, quote, share, whole

MOST = 12
TOKENS = 14  # shown of a text


def texts(desk: Desk, arguments: Arguments) -> str:
    """The texts with their IoU, the worst first, and how they begin."""
    import numpy as np

    from search.scoring import score

    name, program = desk.chosen(arguments)
    if program is None:
        raise BadArgument("there is no program to compare with: try one first")
    iou = score([program], desk.fit, [desk.row])[0, 0]
    most = min(len(iou), max(1, whole(arguments, "most", MOST)))
    lines = [f"IoU of {name} by text, worst first; mean {share(float(desk.fit.mean(iou)))}."]
    for t in np.argsort(iou, kind="stable")[:most]:
        tokens = desk.fit.texts_given[t].tokens
        begin = "".join(tokens[:TOKENS])
        lines.append(f"text {t} ({desk.fit.domains.each[t]}, {len(tokens)} tokens) {share(float(iou[t]))}: {quote(begin)}")
    return "\n".join(lines)
