"""The units of work of a campaign: functions of plain arguments that any worker can run, and whose results are plain data.

A unit's result: {"heads": rows it was made for, "candidates": [{"program", "rules", "proposer", "fit"}, …], "counts": {"made",
"same_text", "same_behaviour", "scored"}}.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from search import workspace

if TYPE_CHECKING:
    import numpy as np

    from dsl.nodes import Program
    from search.bank import Bank

STARTS = 3  # programs of other heads that a head goes on from
NEAR = 0.02  # IoU below a head's own best at which another head's program is still worth fitting
FITTED_PATTERNS = 4  # known patterns whose constants are fitted to each head
KEPT = 12  # programs a unit hands on, best first


def score(path: str, programs: Sequence[str], split: str, heads: Sequence[int]) -> np.ndarray:
    """(P, H, T): IoU of programs on heads and texts of a split."""
    from dsl import parse
    from search.scoring import score as iou

    return iou([parse(p) for p in programs], workspace.problem(path, split), heads)


def explore(path: str, plan: dict[str, Any], head: int) -> dict[str, Any]:
    """Everything for one head on its own: known patterns, rule induction, fitted constants, evolution."""
    import numpy as np

    from dsl import parse
    from search.fitting import fit_constants
    from search.induction import induce
    from search.patterns import LIBRARY
    from search.scoring import score as iou

    problem = workspace.problem(path, "fit")
    known = [parse(text) for text in LIBRARY.values()]
    scores = iou(known, problem, [head]).mean(2)[:, 0]
    best = np.argsort(-scores, kind="stable")[:FITTED_PATTERNS]
    found = [("library", known[i]) for i in best]
    found += [("library", fit_constants(known[i], problem, [head])) for i in best]
    rng = np.random.default_rng([plan["seed"], 1, head])
    induced = induce(bank(path), [head], rng, plan["max_rules"], budget(plan))
    found += [(c.origin, c.program) for c in induced.candidates]
    return collected(path, [head], found, induced.evaluations + len(known) + len(best))


def exchange(path: str, plan: dict[str, Any], head: int, starts: Sequence[str]) -> dict[str, Any]:
    """Goes on from other heads' programs: their constants fitted to this head, then more rules and evolution."""
    from dsl import parse
    from search.fitting import fit_constants

    problem = workspace.problem(path, "fit")
    found = [("exchange", fit_constants(parse(text), problem, [head])) for text in starts]
    return collected(path, [head], found, len(starts))


def share(path: str, plan: dict[str, Any], number: int, heads: Sequence[int], starts: Sequence[str]) -> dict[str, Any]:
    """One program for a group of heads, fitted to all of them together."""
    import numpy as np

    from dsl import parse
    from search.fitting import fit_constants
    from search.induction import induce

    problem = workspace.problem(path, "fit")
    found = [("share", fit_constants(parse(text), problem, heads)) for text in starts]
    rng = np.random.default_rng([plan["seed"], 2, number])
    induced = induce(bank(path), heads, rng, plan["max_rules"], budget(plan))
    found += [("share", c.program) for c in induced.candidates]
    return collected(path, heads, found, induced.evaluations + len(starts))


def budget(plan: dict[str, Any]) -> int:
    """Programs that one unit may score."""
    return max(200, plan["evaluations"] // (2 * max(1, len(plan["heads"]))))


@lru_cache(maxsize=2)
def bank(path: str) -> Bank:
    """The guards that induction chooses from, for the `fit` texts of a run."""
    from search.bank import Bank

    return Bank(workspace.problem(path, "fit"))


def collected(path: str, heads: Sequence[int], found: Iterable[tuple[str, Program]], scored: int) -> dict[str, Any]:
    """The unit's result: canonical forms, each text and each behaviour once, the best on `fit` first."""
    import numpy as np

    from dsl import simplify
    from search.scoring import score as iou
    from search.scoring import signature

    problem = workspace.problem(path, "fit")
    counts = {"made": 0, "same_text": 0, "same_behaviour": 0, "scored": scored}
    texts: dict[str, tuple[str, Program]] = {}
    behaviours: set[bytes] = set()
    for proposer, program in found:
        counts["made"] += 1
        canonical = simplify(program)
        if str(canonical) in texts:
            counts["same_text"] += 1
            continue
        behaviour = signature(canonical, problem)
        if behaviour in behaviours:
            counts["same_behaviour"] += 1
            continue
        behaviours.add(behaviour)
        texts[str(canonical)] = (proposer, canonical)
    names = list(texts)
    means = iou([texts[t][1] for t in names], problem, list(heads)).mean((1, 2)) if names else np.zeros(0)
    order = np.argsort(-means, kind="stable")[:KEPT]
    candidates = [
        {
            "program": names[i],
            "rules": len(texts[names[i]][1].rules()),
            "proposer": texts[names[i]][0],
            "fit": round(float(means[i]), 6),
        }
        for i in order
    ]
    select = 0.0
    if names:  # for the progress report alone
        best = texts[candidates[0]["program"]][1]
        select = float(iou([best], workspace.problem(path, "select"), list(heads)).mean())
    return {"heads": list(heads), "candidates": candidates, "counts": counts, "select": round(select, 6)}


def starts(pool: Any, iou: np.ndarray, head: int, column: int) -> list[str]:
    """The programs made for other heads that come nearest to (or beat) the head's own; iou (P, H) on `fit`."""
    import numpy as np

    own = np.array([head in heads for heads in pool.heads])
    best = iou[own, column].max() if own.any() else 0.0
    others = [p for p in np.argsort(-iou[:, column], kind="stable") if not own[p] and iou[p, column] > best - NEAR]
    return [pool.programs[p] for p in others[:STARTS]]


def groups(pool: Any, iou: np.ndarray, heads: Sequence[int], sizes: Sequence[int]) -> list[dict[str, Any]]:
    """Heads that one program of a small cover serves best, for covers of the given sizes: {"heads", "starts"}, each group once."""
    from search.cover import greedy
    from search.swaps import improved

    found: dict[tuple[int, ...], list[str]] = {}
    for size in sizes:
        chosen = improved(iou, greedy(iou, size).chosen)
        serves = iou[list(chosen)].argmax(0)
        for i, p in enumerate(chosen):
            members = tuple(h for h, s in zip(heads, serves, strict=True) if s == i)
            if len(members) > 1:
                found.setdefault(members, [pool.programs[p]])
    return [{"heads": list(members), "starts": starting} for members, starting in found.items()]
