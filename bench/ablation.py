"""What each part of the search is worth: induction without a group of primitives, on some heads. Run: python bench/ablation.py

A group is taken out of the bank of guards (bench/ablation.py GROUPS); everything else stays. Each head's program is the best on
`select`, with at most 12 rules. A loss above zero says that the group pays. The last part asks of the archive whether programs that
are best on a single text of a head pay beside those of the best means (`--groups none` for that part alone).
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

from bench.targets import Bench, each, opened, own_programs, parser, table
from search.folder import SPLITS

if TYPE_CHECKING:
    from search.bank import Bank

LIBRARIES = (5, 2.5)  # heads for each program of the libraries of the archive's ablation
CHILDREN = 200  # mutants beside what induction finds, so that the archive has something to choose from
NOTHING = "nothing"

# relations by what they are made of; the first group that a relation's text matches is its group
FAMILIES: dict[str, Callable[[str], bool]] = {
    "similarity": lambda r: "similarity(" in r,
    "nearest, first": lambda r: "nearest(" in r or "first(" in r,
    "counting": lambda r: r.startswith("count("),
    "neighbours' tokens": lambda r: "text(" in r and ("- 1)" in r or "+ 1)" in r) and "==" in r,
    "same token": lambda r: "same(" in r or "any(" in r,
    "position": lambda r: r.startswith(("k ==", "k <=")),
    "neighbours' classes": lambda r: "k + 1" in r or "k - 1" in r,
    "distance": lambda r: "dist" in r and r != "dist > 0",
}
FEATURES = {"decay with distance": (0, 1), "similarity": (2,), "position": (3, 4)}  # rows of Bank.features
GROUPS = tuple(dict.fromkeys([*FAMILIES, *FEATURES, "classes", "token sets", "conditions on neighbours"]))


def without(bank: Bank, group: str) -> Bank:
    """The bank less one group; `nothing` leaves it whole."""
    less = copy.copy(bank)
    if group in FAMILIES:
        kept = [i for i, text in enumerate(bank.names_of_relations) if text == "true" or family(text) != group]
        new = {old: i for i, old in enumerate(kept)}
        less.relations = [bank.relations[i] for i in kept]
        less.names_of_relations = [bank.names_of_relations[i] for i in kept]
        less.cells_of = [bank.cells_of[i] for i in kept]
        less.jobs = [(q, k, new[r]) for q, k, r in bank.jobs if r in new]
    if group in FEATURES:
        less.features = bank.features.copy()
        less.features[list(FEATURES[group])] = 0  # never worth a term
    if group == "classes":
        less.members = {s: np.zeros((0, bank.width), np.float32) for s in bank.members}
    if group == "token sets":
        less.is_token = {s: np.zeros_like(t) for s, t in bank.is_token.items()}
    if group == "conditions on neighbours":
        less.jobs = [job for job in bank.jobs if job[:2] == (0, 0)]
    return less


def family(relation: str) -> str:
    """The group of a relation; "" for those that always stay."""
    return next((name for name, matches in FAMILIES.items() if matches(relation)), "")


@lru_cache(maxsize=2)
def reduced(path: str, group: str) -> Bank:
    from search import units

    return without(units.bank(path), group)


def induced(path: str, head: int, group: str, evaluations: int, seed: int) -> list[str]:
    """Programs for a head, found without a group."""
    from search.campaign import Plan
    from search.induction import induce

    rng = np.random.default_rng([seed, 1, head])
    found = induce(reduced(path, group), [head], rng, Plan((head,)).max_rules, evaluations)
    return [str(c.program) for c in found.candidates]


def varied(path: str, head: int, programs: list[str], seed: int) -> list[str]:
    """Beside a head's induced programs: known patterns fitted to it, and what evolution makes of all of them."""
    from dsl import parse
    from search import workspace
    from search.campaign import Plan
    from search.evolution import evolve
    from search.fitting import fit_constants
    from search.patterns import LIBRARY

    problem = workspace.problem(path, "fit")
    known = [fit_constants(parse(p), problem, [head]) for p in LIBRARY.values()]
    parents = [*(parse(p) for p in programs), *known]
    rng = np.random.default_rng([seed, 9, head])
    evolved = evolve(parents, known, problem, head, rng, CHILDREN, Plan((head,)).max_rules)
    return [*programs, *map(str, known), *map(str, evolved.programs)]


def archive(bench: Bench, programs: list[list[str]], workers: int) -> list[dict[str, Any]]:
    """Own program per head and library, where a head hands on its best means, and where also what is best on one text."""
    from search import units, workspace
    from search.cover import greedy, held_out
    from search.swaps import improved

    pool = list(dict.fromkeys(p for own in programs for p in own))
    chunks = [pool[i : i + 12] for i in range(0, len(pool), 12)]
    iou = {}
    for split in SPLITS:
        parts = each(units.score, [(bench.path, c, split, bench.heads) for c in chunks], workers, f"archive, {split}")
        iou[split] = np.concatenate([p.value for p in parts])  # (P, H, T)
    mean = {split: workspace.problem(bench.path, split).mean(x) for split, x in iou.items()}
    columns = range(len(bench.heads))
    sizes = [max(1, int(len(bench.heads) / n)) for n in LIBRARIES]
    at = {p: i for i, p in enumerate(pool)}
    rows = []
    for most in (1, 3, units.KEPT):
        plain: set[int] = set()
        single: set[int] = set()
        for h in columns:
            own = np.array([at[p] for p in dict.fromkeys(programs[h])])
            plain |= set(own[np.argsort(-mean["fit"][own, h], kind="stable")[:most]].tolist())
            single |= set(own[iou["fit"][own, h].argmax(0)].tolist())
        for name, kept in ((f"best {most} per head", plain), (f"best {most} per head, and the best on each text", plain | single)):
            chosen = np.array(sorted(kept))
            select, test = mean["select"][chosen], mean["test"][chosen]
            best = select.argmax(0)
            libraries = [improved(select, greedy(select, size).chosen) for size in sizes]
            rows.append(
                {
                    "archive": name,
                    "programs": len(chosen),
                    "select": float(select.max(0).mean()),
                    "test": float(test[best, list(columns)].mean()),
                    "libraries": {
                        size: {"select": float(select[list(x)].max(0).mean()), "test": held_out(select, test, x)}
                        for size, x in zip(sizes, libraries, strict=True)
                    },
                }
            )
    return rows


def main() -> None:
    arguments = parser(__doc__, heads="few")
    arguments.add_argument("--groups", default="all", help="all, none, or some of: " + ", ".join(GROUPS).replace("%", "%%"))
    arguments.add_argument("--json", action="store_true")
    args = arguments.parse_args()
    named = tuple(g.strip() for g in args.groups.split(";"))
    wanted = GROUPS if args.groups == "all" else () if args.groups == "none" else named
    if unknown := [g for g in wanted if g not in GROUPS]:
        arguments.error(f"no group {unknown[0]!r}; separate groups with ;")
    with opened(args) as bench:
        per_head = args.evaluations // 40  # as in a run of the model that the figures of the README come from
        jobs = [(bench.path, h, g, per_head, bench.seed) for g in (NOTHING, *wanted) for h in bench.heads]
        done = iter(each(induced, jobs, args.workers, "inductions"))
        programs = {g: [next(done).value for _ in bench.heads] for g in (NOTHING, *wanted)}
        iou = {g: own_programs(bench, found, short=False)[1] for g, found in programs.items()}
        jobs = [(bench.path, h, p, bench.seed) for h, p in zip(bench.heads, programs[NOTHING], strict=True)]
        more = [d.value for d in each(varied, jobs, args.workers, "archive, evolution")]
        kept = archive(bench, more, args.workers)
    mean = {g: {s: float(np.mean([x[s] for x in rows])) for s in SPLITS} for g, rows in iou.items()}
    whole = mean[NOTHING]
    if args.json:
        import json

        print(json.dumps({"groups": mean, "archive": kept}, indent=1))
        return
    print(
        f"{len(bench.heads)} heads of {args.target}: {', '.join(map(bench.name, bench.heads))}; loss of mean IoU without a group\n"
    )
    rows = [
        [g, *(f"{m[s]:.4f}" for s in SPLITS), *(f"{whole[s] - m[s]:+.4f}" for s in ("select", "test"))] for g, m in mean.items()
    ]
    print(table(("left out", *SPLITS, "loss on select", "loss on test"), rows))
    print()
    header = ["archive", "programs", "select, own", "test, own"]
    header += [f"{split}, library of {size}" for size in kept[0]["libraries"] for split in ("select", "test")]
    cells = [
        [r["archive"], str(r["programs"]), f"{r['select']:.4f}", f"{r['test']:.4f}"]
        + [f"{library[split]:.4f}" for library in r["libraries"].values() for split in ("select", "test")]
        for r in kept
    ]
    print(table(header, cells))


if __name__ == "__main__":
    main()
