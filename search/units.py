"""The units of work of a campaign: functions of plain arguments that any worker can run, and whose results are plain data.

A unit's result: {"heads": rows it was made for, "candidates": [{"program", "rules", "proposer", "root", "fit"}, …],
"counts": {"made", "same_text", "same_behaviour", "scored"}, "select": IoU of the best}. The root of a program is who proposed its
first ancestor.
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
    from search.finish import Pool
    from search.parts import Masks

Found = tuple[str, str, "Program"]  # proposer, root, program
Start = tuple[str, str]  # text, root

PARENTS = 3  # of a head's own programs, where it evolves them
STARTS = 1  # programs of other heads whose constants are fitted to a head
NEAR = 0.02  # IoU below a head's own best at which another head's program is still worth fitting
FITTED_PATTERNS = 2  # known patterns whose constants are fitted to each head
CHILDREN = 45  # mutants made for a head in one unit
EVALUATIONS_A_CHILD = 40  # what induction scores in the time that a mutant takes
KEPT = 12  # programs a unit hands on, best first
DONORS = 48  # programs whose parts are recombined for a head or a group


def score(path: str, programs: Sequence[str], split: str, heads: Sequence[int]) -> np.ndarray:
    """(P, H, T): IoU of programs on heads and texts of a split."""
    from dsl import parse
    from search.scoring import score as iou

    return iou([parse(p) for p in programs], workspace.problem(path, split), heads)


def mean_scores(path: str, programs: Sequence[str], split: str, heads: Sequence[int]) -> np.ndarray:
    """(P, H) float32: the same, mean over the texts."""
    import numpy as np

    means = workspace.problem(path, split).mean(score(path, programs, split, heads)).astype(np.float32)
    workspace.settle(path, split)
    return means


def rule_gains(path: str, program: str, head: int) -> list[float]:
    """What each leaf rule adds to the IoU on `select`, by leaving it out."""
    from dsl import parse
    from search.contributions import contributions

    gains = contributions(parse(program), workspace.problem(path, "select"), head)
    workspace.settle(path, "select")
    return gains


def explore(path: str, plan: dict[str, Any], head: int) -> dict[str, Any]:
    """Everything for one head on its own: known patterns with fitted constants, and rule induction."""
    import numpy as np

    from dsl import parse
    from search.fitting import fit_constants
    from search.induction import induce
    from search.patterns import LIBRARY
    from search.scoring import score as iou

    problem = workspace.problem(path, "fit")
    found: list[Found] = []
    scored = 0
    if "library" in plan["proposers"]:
        known = [parse(text) for text in LIBRARY.values()]
        best = np.argsort(-problem.mean(iou(known, problem, [head]))[:, 0], kind="stable")[:FITTED_PATTERNS]
        found += [("library", "library", known[i]) for i in best]
        found += [("library", "library", fit_constants(known[i], problem, [head])) for i in best]
        scored += len(known) + len(best)
    if "grammar" in plan["proposers"]:
        rng = np.random.default_rng([plan["seed"], plan["round"], 1, head])
        induced = induce(bank(path), [head], rng, plan["max_rules"], budget(plan))
        found += [("grammar", "grammar", c.program) for c in induced.candidates]
        scored += induced.evaluations
    return collected(path, plan, [head], found, scored)


def adopt(path: str, plan: dict[str, Any], number: int, head: int, programs: Sequence[str]) -> dict[str, Any]:
    """Programs that a language model proposed for a head: as they are, with fitted constants, and evolved."""
    from dsl import parse
    from search.fitting import fit_constants

    problem = workspace.problem(path, "fit")
    given = [parse(p) for p in programs]
    found: list[Found] = [("llm", "llm", p) for p in given]
    found += [("llm", "llm", fit_constants(p, problem, [head])) for p in given]
    children, scored, same = descendants(path, plan, head, found, given, (4, number))
    found += [("llm", root, p) for _, root, p in children]
    return collected(path, plan, [head], found, scored + len(given), same)


def exchange(
    path: str, plan: dict[str, Any], head: int, own: Sequence[Start], starts: Sequence[Start], donors: Sequence[Start]
) -> dict[str, Any]:
    """Goes on from other heads' programs: their constants fitted to this head, and their parts recombined.

    Where nothing is recombined, mutation and crossover with the head's own programs.
    """
    from dsl import parse
    from search.fitting import fit_constants

    problem = workspace.problem(path, "fit")
    others = [parse(text) for text, _ in starts]
    found: list[Found] = [
        ("exchange", root, fit_constants(p, problem, [head])) for p, (_, root) in zip(others, starts, strict=True)
    ]
    most = budget(plan) // 2 if "grammar" in plan["proposers"] else budget(plan)
    more, scored, same = *recombined(path, plan, [head], donors, (5, head), most - len(starts)), 0
    if not more:
        parents = [("own", root, parse(text)) for text, root in own] + found
        more, scored, same = descendants(path, plan, head, parents, others, (3, head))
    return collected(path, plan, [head], found + more, scored + len(starts), same)


def share(
    path: str,
    plan: dict[str, Any],
    number: int,
    heads: Sequence[int],
    starts: Sequence[Start],
    donors: Sequence[Start],
    groups: int,
) -> dict[str, Any]:
    """One program for a group of heads, fitted to all of them together; groups: how many there are."""
    import numpy as np

    from dsl import parse
    from search.fitting import fit_constants
    from search.induction import induce

    problem = workspace.problem(path, "fit")
    found: list[Found] = [("share", root, fit_constants(parse(text), problem, heads)) for text, root in starts]
    most = min(budget(plan), budget(plan) * len(plan["heads"]) // (2 * groups)) - len(starts)
    if "grammar" in plan["proposers"]:
        rng = np.random.default_rng([plan["seed"], plan["round"], 2, number])
        induced = induce(bank(path), heads, rng, plan["max_rules"], most)
        more, scored = [("share", "grammar", c.program) for c in induced.candidates], induced.evaluations
    else:
        more, scored = recombined(path, plan, heads, donors, (6, number), most)
    return collected(path, plan, heads, found + more, scored + len(starts))


def recombined(
    path: str, plan: dict[str, Any], heads: Sequence[int], donors: Sequence[Start], stream: tuple[int, int], most: int
) -> tuple[list[Found], int]:
    """Programs put together from the donors' parts, and how many were scored for them, at about `most`."""
    import numpy as np

    from dsl import parse
    from search.recombination import recombine

    rng = np.random.default_rng([plan["seed"], plan["round"], *stream])
    made = recombine(masks(path), [parse(p) for p, _ in donors], heads, rng, plan["max_rules"], most)
    return [("recombination", donors[0][1], c.program) for c in made.candidates], made.evaluations


def descendants(
    path: str, plan: dict[str, Any], head: int, parents: Sequence[Found], others: Sequence[Program], stream: tuple[int, int]
) -> tuple[list[Found], int, int]:
    """Survivors of evolution, programs scored, and children whose text was known."""
    import numpy as np

    from search.evolution import evolve

    rng = np.random.default_rng([plan["seed"], plan["round"], *stream])
    problem = workspace.problem(path, "fit")
    children = min(CHILDREN, budget(plan) // EVALUATIONS_A_CHILD)
    evolved = evolve([p for _, _, p in parents], others, problem, head, rng, children, plan["max_rules"])
    found = [("evolution", parents[at][1], p) for p, at in zip(evolved.programs, evolved.roots, strict=True)]
    return found, evolved.scored, evolved.same_text


def budget(plan: dict[str, Any]) -> int:
    """Programs that one unit may score."""
    return max(200, plan["evaluations"] // (2 * max(1, len(plan["heads"]))))


def masks(path: str) -> Masks:
    """Where the parts of programs hold, on the `fit` texts of a run."""
    from search.parts import Masks

    return _prepared(path, Masks)


def bank(path: str) -> Bank:
    """The guards that induction chooses from, for the `fit` texts of a run."""
    from search.bank import Bank

    return _prepared(path, Bank)


@lru_cache(maxsize=1)  # each is hundreds of megabytes, and a phase needs one of them
def _prepared(path: str, kind: Any) -> Any:
    return kind(workspace.problem(path, "fit"))


def collected(
    path: str, plan: dict[str, Any], heads: Sequence[int], found: Iterable[Found], scored: int, same_text: int = 0
) -> dict[str, Any]:
    """The unit's result: canonical forms within the plan's limits, each text and each behaviour once, the best on `fit` first."""
    import numpy as np

    from dsl import simplify
    from search.scoring import score as iou
    from search.scoring import signature
    from search.selection import within

    problem = workspace.problem(path, "fit")
    counts = {"made": same_text, "same_text": same_text, "same_behaviour": 0, "scored": scored}
    texts: dict[str, Found] = {}
    behaviours: set[bytes] = set()
    for proposer, root, program in found:
        counts["made"] += 1
        canonical = simplify(program)
        if str(canonical) in texts:
            counts["same_text"] += 1
            continue
        if not within(canonical, plan["max_rules"], plan["max_size"], plan["max_set"]):
            continue
        behaviour = signature(canonical, problem)
        if behaviour in behaviours:
            counts["same_behaviour"] += 1
            continue
        behaviours.add(behaviour)
        texts[str(canonical)] = (proposer, root, canonical)
    names = list(texts)
    means = problem.mean(iou([texts[t][2] for t in names], problem, list(heads))).mean(1) if names else np.zeros(0)
    order = np.argsort(-means, kind="stable")[:KEPT]
    candidates = []
    for i in order:
        proposer, root, program = texts[names[i]]
        fit = round(float(means[i]), 6)
        candidates.append({"program": names[i], "rules": len(program.rules()), "proposer": proposer, "root": root, "fit": fit})
    select = 0.0
    if candidates:  # for the progress report alone
        best = texts[candidates[0]["program"]][2]
        others = workspace.problem(path, "select")
        select = float(others.mean(iou([best], others, list(heads))).mean())
    workspace.settle(path, "fit", "select")
    return {"heads": list(heads), "candidates": candidates, "counts": counts, "select": round(select, 6)}


def starts(pool: Pool, iou: np.ndarray, head: int, column: int) -> dict[str, list[Start]]:
    """What the work on a head goes on from; iou (P, H) on `fit`.

    own: the head's best programs; starts: those made for other heads that come nearest to them, or beat them; donors: of every
    head the program of each root that is best on this one.
    """
    import numpy as np

    own = np.array([head in heads for heads in pool.heads])
    best = iou[own, column].max() if own.any() else 0.0
    ranked = np.argsort(-iou[:, column], kind="stable")
    mine = [p for p in ranked if own[p]]
    others = [p for p in ranked if not own[p] and iou[p, column] > best - NEAR]
    return {
        "own": [_start(pool, p) for p in mine[:PARENTS]],
        "starts": [_start(pool, p) for p in others[:STARTS]],
        "donors": _donors(pool, iou[:, column]),
    }


def _donors(pool: Pool, iou: np.ndarray) -> list[Start]:
    """Of every head or group the best program by iou (P) of each root, best first."""
    import numpy as np

    found: dict[tuple[tuple[int, ...], str], Start] = {}
    for p in np.argsort(-iou, kind="stable"):
        found.setdefault((pool.heads[p], pool.roots[p]), _start(pool, p))
        if len(found) == DONORS:
            break
    return list(found.values())


def _start(pool: Pool, p: int) -> Start:
    return pool.programs[p], pool.roots[p]


def groups(pool: Pool, iou: np.ndarray, heads: Sequence[int], sizes: Sequence[int]) -> list[dict[str, Any]]:
    """Heads that one program of a small cover serves best, for covers of the given sizes, each group once.

    Each as {"heads", "starts", "donors", "groups"}: that program, of every head the programs that are best on the group, and the
    number of groups.
    """
    from search.cover import greedy
    from search.swaps import improved

    found: dict[tuple[int, ...], dict[str, Any]] = {}
    for size in sizes:
        chosen = improved(iou, greedy(iou, size).chosen)
        serves = iou[list(chosen)].argmax(0)
        for i, p in enumerate(chosen):
            members = tuple(h for h, s in zip(heads, serves, strict=True) if s == i)
            if len(members) > 1 and members not in found:
                donors = _donors(pool, iou[:, serves == i].mean(1))
                found[members] = {"heads": list(members), "starts": [_start(pool, p)], "donors": donors}
    return [{**group, "groups": len(found)} for group in found.values()]
