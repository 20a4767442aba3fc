"""The README's table: the search beside honest baselines, at the same number of evaluations. Run: python bench/baselines.py

    simple pattern      the best of uniform, first token, self, previous, next and same token
    known forms         the best known form, as it stands, and with its constants fitted to the head
    search              `headscript run`
    softmax ceiling     not a program: about 1,400 fitted parameters for each head (bench/ceiling.py)

Every method proposes on `fit`, its program for a head is the best on `select`, and `test` is reported. Seconds are those of one
core.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

from bench.targets import Bench, Done, Timed, each, opened, own_programs, parser, say, table
from search.folder import SPLITS


def simple(path: str, head: int) -> list[str]:
    from search.patterns import BASELINES

    return list(BASELINES.values())


def known(path: str, head: int) -> list[str]:
    from search import workspace
    from search.forms.known import forms

    causal = workspace.problem(path, "fit").causal
    return [str(form.program(causal)) for form in forms(causal)]


def fitted(path: str, head: int) -> list[str]:
    """Every known form with its constants fitted."""
    from dsl import parse
    from search import workspace
    from search.fitting import fit_constants

    problem = workspace.problem(path, "fit")
    return [str(fit_constants(parse(p), problem, [head])) for p in known(path, head)]


def searched(bench: Bench, evaluations: int, workers: int) -> tuple[dict[str, Any], float]:
    """The outcome of a whole campaign, and seconds of one core."""
    from search.campaign import Campaign, Plan
    from search.executors import executor

    with executor(None, workers) as pool:
        timed = Timed(pool)
        Campaign(bench.folder, Plan(bench.heads, bench.seed, evaluations), timed, workers, _report).run({})
    return bench.folder.read("result.json"), timed.seconds


def _report(phase: str, done: int, total: int, figures: dict[str, Any]) -> None:
    say(f"search, {phase}: {done}/{total}")


def row(name: str, iou: Sequence[dict[str, float]], rules: Sequence[int], evaluations: float, seconds: float) -> dict[str, Any]:
    mean = {split: float(np.mean([x[split] for x in iou])) for split in SPLITS}
    return {
        "method": name,
        **mean,
        "rules": float(np.median(rules)),
        "evaluations": round(evaluations),
        "seconds": round(seconds, 1),
    }


def chosen(name: str, bench: Bench, programs: Sequence[Sequence[str]], evaluations: float, seconds: float) -> dict[str, Any]:
    """The table's row for a method that proposes these programs for each head; they are chosen as a run chooses its own."""
    from dsl import parse

    picked, iou = own_programs(bench, programs)
    return row(name, iou, [len(parse(p).rules()) for p in picked], evaluations, seconds)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--run", help="take the search's row from this finished run instead of searching here")
    arguments.add_argument("--no-ceiling", action="store_true", help="leave the softmax ceiling out")
    arguments.add_argument("--json", action="store_true")
    args = arguments.parse_args()
    with opened(args, args.run) as bench:
        rows = measured(bench, args)
    if args.json:
        import json

        print(json.dumps(rows, indent=1))
        return
    print(
        f"{len(bench.heads)} heads of {args.run or args.target}; mean IoU; evaluations per head; seconds of one core, all heads\n"
    )
    cells = [
        [
            r["method"],
            *(f"{r[s]:.3f}" for s in SPLITS),
            f"{r['rules']:g}" if r["rules"] else "",
            f"{r['evaluations']:,}",
            f"{r['seconds']:,.0f}",
        ]
        for r in rows
    ]
    print(table(("", *SPLITS, "rules", "evaluations", "seconds"), cells))


def measured(bench: Bench, args: Any) -> list[dict[str, Any]]:
    """All rows of the table, the search first: what it spent is what the others may spend."""
    from search.forms.known import FORMS
    from search.patterns import BASELINES

    heads, path = bench.heads, bench.path
    if args.run:
        outcome = bench.folder.read("result.json")
        seconds = bench.folder.read("timing.json")["seconds"] * args.workers
    else:
        outcome, seconds = searched(bench, args.evaluations, args.workers)
    every = len(outcome["heads"])
    spent = max(1, outcome["evaluations"] // every)
    mine = [h for h in outcome["heads"] if h["layer"] * bench.per_layer + h["head"] in heads]
    found = row("search", [h["iou"] for h in mine], [h["rules"] for h in mine], spent, seconds * len(mine) / every)
    size = len(outcome["library"])
    shared = {p["id"]: p["rules"] for p in outcome["library"]}
    library = row(
        f"search, one library of {size} programs",
        [h["library_iou"] for h in mine],
        [shared[h["library_program"]] for h in mine],
        spent,
        found["seconds"],
    )

    def both(work: Any, *more: Any) -> tuple[list[Any], float]:
        done: list[Done] = each(work, [(path, h, *more) for h in heads], args.workers, work.__name__)
        return [d.value for d in done], sum(d.seconds for d in done)

    rows = [chosen("simple pattern", bench, both(simple)[0], len(BASELINES), 0)]
    rows.append(chosen("known forms", bench, both(known)[0], len(FORMS), 0))
    programs, seconds = both(fitted)
    rows.append(chosen("known forms, constants fitted", bench, programs, len(FORMS) * 41, seconds))
    rows += [found, library]
    if not args.no_ceiling:
        from bench.ceiling import ceiling

        fits, seconds = both(ceiling)
        steps = np.mean([f["steps"] for f in fits])
        rows.append(row("softmax ceiling (not a program)", [f["iou"] for f in fits], [0], steps, seconds))
    return rows


if __name__ == "__main__":
    main()
