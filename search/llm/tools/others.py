"""`others`: what explains other heads, and which heads look alike."""

from __future__ import annotations

from search.llm.tools.desk import Arguments, Desk, number, share

PROGRAMS = 3  # of other heads, refitted
NEAREST = 5
STEPS = 20
MOST_TARGETS = 400  # heads compared by pattern


def others(desk: Desk, arguments: Arguments) -> str:
    """The programs of other heads that fit this one best, refitted; the heads of the most similar pattern."""
    import numpy as np

    from dsl import parse, size
    from search.fitting import fit_constants
    from search.scoring import score
    from search.selection import shorter

    lines = []
    if desk.others:
        programs = [parse(o.program) for o in desk.others]
        means = desk.fit.mean(score(programs, desk.fit, [desk.row])[:, 0])
        lines.append("Programs of other heads that fit best, refitted to this one:")
        for i in np.argsort(-means, kind="stable")[:PROGRAMS]:
            fitted = shorter(fit_constants(programs[i], desk.fit, [desk.row], STEPS))
            iou = float(desk.fit.mean(score([fitted], desk.fit, [desk.row])[0, 0]))
            lines.append(f"of {desk.others[i].name}: IoU {number(iou)} on fit, size {size(fitted)}\n{str(fitted).strip()}")
    else:
        lines.append("There are no programs of other heads yet.")
    nearest = _nearest(desk)
    if nearest:
        lines.append("Heads of the most similar pattern (IoU): " + ", ".join(f"{name} {share(v)}" for name, v in nearest))
    return "\n".join(lines)


def _nearest(desk: Desk) -> list[tuple[str, float]]:
    import numpy as np

    head = desk.head()
    cells = desk.fit.q < desk.fit.texts[min(len(desk.fit), 8)]  # some texts tell enough
    found = []
    for row in range(min(desk.fit.heads, MOST_TARGETS)):
        if row != desk.row:
            other = desk.fit.target([row])[0][cells]
            iou = float(np.minimum(head[cells], other).sum() / np.maximum(head[cells], other).sum())
            found.append(("L{}H{}".format(*divmod(row, desk.per_layer)), iou))
    return sorted(found, key=lambda f: (-f[1], f[0]))[:NEAREST]
