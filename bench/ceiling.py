"""How far programs can go: a softmax over class, distance and token parameters for each head, which nobody could read.

    python bench/ceiling.py             its IoU per head, and what it loses without each group of features
    python bench/ceiling.py --run RUN   where a run's programs fall short of it: what each group adds to a program

The weight of a cell is exp of a sum of table entries, one per group: distance; token class of the query and of the key; token of
the key, and of the query where it decides how much goes to the first position and to itself; repeats of tokens; sentence ends and
word starts in between; embedding similarity. Tables are fitted on `fit` by gradient (first on the KL divergence, then on the IoU),
stopped where `select` is best, and reported on `test`.
"""

# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from numba import njit

from bench.targets import Bench, each, opened, parser, table
from search.folder import SPLITS

if TYPE_CHECKING:
    from dsl.text import Text
    from search.problem import Problem

GROUPS = ("distance", "class", "token", "repeat", "span", "similarity")
FARTHEST = 96  # distances beyond count as this
CLASSES, TOKENS = 24, 320  # of each at most; what is rarer shares one entry
STEPS, LOOK, PATIENCE = 300, 10, 6  # gradient steps at most; steps between two looks at `select`; looks without a gain
FIRST = 60  # steps on the KL divergence
RATE = 0.12
SMOOTH = 1e-3
FLOOR = 1e-5  # a program's zeros, where groups are added to it
LOG2E = np.float32(1.4426950408889634)


@lru_cache(maxsize=6)
def tables(path: str, split: str) -> tuple[np.ndarray, np.ndarray, int]:
    """(I, C) entry of each cell in I tables laid end to end, the group (I) of each table, and the number of entries."""
    from search import workspace

    problem, fit = workspace.problem(path, split), workspace.problem(path, "fit")
    tokens = [t for text in fit.texts_given for t in text.tokens]
    token = {t: i + 1 for i, (t, _) in enumerate(Counter(tokens).most_common(TOKENS))}
    kinds = [c for text in fit.texts_given for c in _classes(text)]
    kind = {c: i + 1 for i, (c, _) in enumerate(Counter(kinds).most_common(CLASSES))}

    def at(values: list[Any]) -> np.ndarray:
        return np.array(values)

    texts = problem.texts_given
    of_token = at([token.get(t, 0) for text in texts for t in text.tokens])
    of_class = at([kind.get(c, 0) for text in texts for c in _classes(text)])
    strings = np.unique([t for text in texts for t in text.tokens], return_inverse=True)[1]
    before = np.where(problem.position > 0, np.roll(strings, 1), -1)
    ends = np.cumsum([t.strip() in set(".!?。！？") for text in texts for t in text.tokens])
    starts = np.cumsum([s for text in texts for s in text.word_start])
    q, k = problem.q, problem.k
    distance = problem.position[q] - problem.position[k]
    first, own = problem.position[k] == 0, q == k
    same = strings[q] == strings[k]
    size = len(token) + 1

    def between(counts: np.ndarray, most: int) -> np.ndarray:
        return np.clip(counts[q] - counts[k], -most, most) + most

    columns = [
        ("distance", np.clip(distance, -FARTHEST, FARTHEST) + FARTHEST, 2 * FARTHEST + 1),
        ("class", of_class[q] * (CLASSES + 1) + of_class[k], (CLASSES + 1) ** 2),
        ("token", of_token[k], size),
        ("token", np.where(first, of_token[q], size), size + 1),
        ("token", np.where(own, of_token[q], size), size + 1),
        ("repeat", same * 4 + (before[k] == strings[q]) * 2 + (same & (before[k] == before[q])), 8),
        ("span", between(ends, 3) * 11 + between(starts, 5), 77),
        ("similarity", _buckets(problem), 12),
    ]
    offsets = np.cumsum([0, *(n for _, _, n in columns)])
    entries = np.stack([c + o for (_, c, _), o in zip(columns, offsets, strict=False)]).astype(np.int32)
    return entries, at([GROUPS.index(g) for g, _, _ in columns]), int(offsets[-1])


def _classes(text: Text) -> list[tuple[Any, ...]]:
    """What kind of token each one is: special, line break, sentence end, punctuation, or a piece of a word, and how long."""
    found: list[tuple[Any, ...]] = []
    for token, special, start in zip(text.tokens, text.special, text.word_start, strict=True):
        core = token.strip()
        if special:
            found.append(("special", token))
        elif not core or "\n" in token:
            found.append(("blank", token))
        elif not any(c.isalnum() for c in core):
            found.append(("mark", core in ".!?。！？", core in ',;:"'))
        else:
            found.append((start, core[:1].isupper(), core.isdigit(), min(len(core), 5)))
    return found


def _buckets(problem: Problem) -> np.ndarray:
    from dsl import parse_expression
    from dsl.evaluator import value

    similarity = problem.pack(value(parse_expression("similarity(q, k)"), problem.batch))
    return np.clip(((similarity + 0.1) * 10).astype(int), 0, 11)


@njit(cache=True, fastmath=True)
def exponential(x, power, integers):  # type: ignore[no-untyped-def]
    """x <- exp(x) in place, relative error below 1e-6, in a form that the compiler turns into vector instructions.

    power (float32) and integers (int32) are two views of one scratch array of at least len(x).
    """
    for c in range(len(x)):
        y = min(max(x[c] * LOG2E, np.float32(-120)), np.float32(120))
        whole = np.floor(y)
        f = y - whole
        integers[c] = (np.int32(whole) + np.int32(127)) << np.int32(23)
        x[c] = np.float32(0.99999994) + f * (
            np.float32(0.69315308)
            + f
            * (
                np.float32(0.24015361)
                + f * (np.float32(0.055826318) + f * (np.float32(0.0089893397) + f * np.float32(0.0018775767)))
            )
        )
    for c in range(len(x)):
        x[c] *= power[c]


@njit(cache=True, fastmath=True)
def _slopes(target, base, entries, theta, rows, texts, by_iou, eps, gradient):  # type: ignore[no-untyped-def]
    """Mean IoU over the texts, and gradient <- that of the IoU (or of minus the KL divergence) by entry."""
    gradient[:] = 0
    total = 0.0
    width = 0
    for t in range(len(texts) - 1):
        width = max(width, rows[texts[t + 1]] - rows[texts[t]])
    p_all = np.empty(width, np.float32)
    integers = np.empty(width, np.int32)
    power = integers.view(np.float32)
    number = len(texts) - 1
    for t in range(number):
        start, stop = texts[t], texts[t + 1]
        a, z = rows[start], rows[stop]
        p = p_all[: z - a]
        p[:] = base[a:z]
        for i in range(len(entries)):
            here = entries[i, a:z]
            for c in range(len(here)):
                p[c] += theta[here[c]]
        for r in range(start, stop):
            row = p[rows[r] - a : rows[r + 1] - a]
            row -= row.max()
        exponential(p, power, integers)
        for r in range(start, stop):
            row = p[rows[r] - a : rows[r + 1] - a]
            row /= row.sum()
        goal = target[a:z]
        distance = np.float32(0)
        for c in range(len(p)):
            distance += abs(goal[c] - p[c])
        size = np.float32(2 * (stop - start))
        total += float((size - distance) / (size + distance))
        if by_iou:
            f = np.float32(2) * size / (size + distance) ** 2 / number
            for r in range(start, stop):
                share, aim = p[rows[r] - a : rows[r + 1] - a], goal[rows[r] - a : rows[r + 1] - a]
                mean = np.float32(0)
                for c in range(len(share)):
                    d = aim[c] - share[c]
                    mean += share[c] * d / (eps + abs(d))
                for c in range(len(share)):
                    d = aim[c] - share[c]
                    share[c] = f * share[c] * (d / (eps + abs(d)) - mean)
        else:
            for c in range(len(p)):
                p[c] = (goal[c] - p[c]) / size / number
        for i in range(len(entries)):
            here = entries[i, a:z]
            for c in range(len(here)):
                gradient[here[c]] += p[c]
    return total / number


def ceiling(path: str, head: int, left_out: str = "", program: str = "", groups: Sequence[str] = GROUPS) -> dict[str, Any]:
    """{"iou": by split, "steps", "parameters"} of the softmax of the given groups, on top of a program if one is given."""
    from search import workspace

    chosen = [GROUPS.index(g) for g in groups if g != left_out]
    data = {}
    for split in SPLITS:
        problem = workspace.problem(path, split)
        entries, group, size = tables(path, split)
        entries = entries[np.isin(group, chosen)]
        data[split] = (problem.target([head])[0], _base(problem, program), entries, problem.rows, problem.texts)
    theta, gradient = np.zeros(size, np.float32), np.zeros(size, np.float32)

    def measure(split: str, values: np.ndarray, by_iou: bool = True) -> float:
        target, base, entries, rows, texts = data[split]
        return float(_slopes(target, base, entries, values, rows, texts, by_iou, np.float32(SMOOTH), gradient))

    best, kept, looks, steps = measure("select", theta), theta, 0, 0
    first, second = np.zeros(size), np.zeros(size)
    for steps in range(1, STEPS + 1):
        by_iou = bool(program) or steps > FIRST
        measure("fit", theta, by_iou)
        first = 0.9 * first + 0.1 * gradient
        second = 0.98 * second + 0.02 * gradient.astype(np.float64) ** 2
        step = first / (1 - 0.9**steps) / (np.sqrt(second / (1 - 0.98**steps)) + 1e-9)
        theta = (theta + RATE * (1 - 0.8 * steps / STEPS) * step).astype(np.float32)
        if steps % LOOK == 0 and by_iou:
            now = measure("select", theta)
            looks = 0 if now > best else looks + 1
            if now > best:
                best, kept = now, theta
            if looks >= PATIENCE:
                break
    used = len(np.unique(data["fit"][2])) if chosen else 0
    return {"iou": {split: measure(split, kept) for split in SPLITS}, "steps": steps, "parameters": used}


def _base(problem: Problem, program: str) -> np.ndarray:
    """(C) logarithms of a program's pattern; zeros without one."""
    from dsl import evaluate, parse

    if not program:
        return np.zeros(len(problem.q), np.float32)
    return np.log(np.maximum(problem.pack(evaluate(parse(program), problem.batch)), FLOOR)).astype(np.float32)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--run", help="a finished run whose programs are compared with the ceiling")
    arguments.add_argument("--json", action="store_true")
    args = arguments.parse_args()
    with opened(args, args.run) as bench:
        rows = measured(bench, args)
    if args.json:
        import json

        print(json.dumps(rows, indent=1))
        return
    show(rows)


def measured(bench: Bench, args: Any) -> list[dict[str, Any]]:
    """Per head the ceiling; its loss without each group, or with a run what each group adds to the head's program (test IoU)."""
    programs, kinds = {}, {}
    if args.run:
        for h in bench.folder.read("result.json")["heads"]:
            programs[h["layer"] * bench.per_layer + h["head"]] = h["program"]
            kinds[h["layer"] * bench.per_layer + h["head"]] = h["kind"]
    jobs: list[tuple[Any, ...]] = []
    for h in bench.heads:
        jobs.append((bench.path, h))
        if not args.run:
            jobs += [(bench.path, h, g) for g in GROUPS]
        else:
            jobs += [(bench.path, h, "", programs[h], ()), *((bench.path, h, "", programs[h], (g,)) for g in GROUPS)]
    done = iter(each(ceiling, jobs, args.workers, "softmax fits"))
    rows = []
    for h in bench.heads:
        whole = next(done)
        found: dict[str, Any] = {"head": bench.name(h), **whole.value, "seconds": round(whole.seconds, 2)}
        test = whole.value["iou"]["test"]
        if not args.run:
            found["loss"] = {g: test - next(done).value["iou"]["test"] for g in GROUPS}
        else:
            own = next(done).value["iou"]
            adds = {g: next(done).value["iou"]["test"] - own["test"] for g in GROUPS}
            found |= {"kind": kinds[h], "program": own, "gap": test - own["test"], "adds": adds}
        rows.append(found)
    return rows


def show(rows: list[dict[str, Any]]) -> None:
    """The table by head, the head with the largest gap first, and the means."""
    compared = "program" in rows[0]
    rows = sorted(rows, key=lambda r: -r["gap"]) if compared else rows
    what = "adds" if compared else "loss"
    print(
        f"softmax over {np.median([r['parameters'] for r in rows]):.0f} parameters per head, mean IoU; "
        + (
            "adds: test IoU that a group of features adds to the program"
            if compared
            else "the rest: loss of test IoU without a group"
        )
        + "\n"
    )
    header = ["head", *(["kind", "program", "gap"] if compared else []), *SPLITS, *GROUPS]
    mean = {
        "head": "mean",
        "kind": "",
        "iou": {s: np.mean([r["iou"][s] for r in rows]) for s in SPLITS},
        what: {g: np.mean([r[what][g] for r in rows]) for g in GROUPS},
    }
    if compared:
        mean |= {"gap": np.mean([r["gap"] for r in rows]), "program": {"test": np.mean([r["program"]["test"] for r in rows])}}
    cells = [
        [
            r["head"],
            *([r["kind"], f"{r['program']['test']:.3f}", f"{r['gap']:+.3f}"] if compared else []),
            *(f"{r['iou'][s]:.3f}" for s in SPLITS),
            *(f"{r[what][g]:+.3f}" for g in GROUPS),
        ]
        for r in [*rows, mean]
    ]
    print(table(header, cells))
    if compared:
        first = Counter(max(r["adds"], key=lambda g: r["adds"][g]) for r in rows if r["gap"] > 0.01)
        print("\nwhat most programs with a gap above 0.01 lack: " + ", ".join(f"{g} ({n} heads)" for g, n in first.most_common()))


if __name__ == "__main__":
    main()
