"""The README's table: the search beside honest baselines, at the same number of evaluations. Run: python bench/baselines.py

    simple pattern      the best of uniform, first token, self, previous, next and same token
    library patterns    the best known pattern, as it stands, and with its constants fitted to the head
    random programs     rules drawn from the search's own guards, with random constants; one draw serves all heads
    grammar samples     the grammar proposer's programs, grown by sampled rules, constants fitted; best of N, nothing revised
    no fitted constants the whole induction, but constants stay as the line search guessed them
    search              `headscript run`
    softmax ceiling     not a program: about 1,400 fitted parameters for each head (bench/ceiling.py)

Every method proposes on `fit`, its program for a head is the best on `select`, and `test` is reported. Every random program is
scored on every head at once. Seconds are those of one core.
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

KEPT = 10  # programs per head and chunk of random programs that are looked at on `select`
CHUNKS = 8  # of random programs
BATCH = 16  # random programs whose patterns are compared with all heads at once
OPERATIONS = ("scale", "scale", "add", "set")


def simple(path: str, head: int) -> list[str]:
    from search.patterns import BASELINES

    return list(BASELINES.values())


def known(path: str, head: int) -> list[str]:
    from search.patterns import LIBRARY

    return list(LIBRARY.values())


def fitted(path: str, head: int) -> list[str]:
    """Every known pattern with its constants fitted."""
    from dsl import parse
    from search import workspace
    from search.fitting import fit_constants

    problem = workspace.problem(path, "fit")
    return [str(fit_constants(parse(p), problem, [head])) for p in known(path, head)]


def random_programs(path: str, heads: Sequence[int], number: int, max_rules: int, seed: int) -> list[list[str]]:
    """For each head the best on `fit` of `number` random programs."""
    from dsl import parse_expression
    from dsl.nodes import Num, Program, Rule
    from search import units, workspace
    from search.bank import Guard, Side
    from search.distances import overlaps
    from search.guards import TOKENS

    problem, bank = workspace.problem(path, "fit"), units.bank(path)
    rng = np.random.default_rng([seed, 9])
    frequent = [t for t, _ in bank.common.most_common(300)]
    apart = np.abs(problem.position[problem.q] - problem.position[problem.k])
    distance = "dist" if problem.causal else "abs(dist)"

    def side() -> Side:
        kind = rng.random()
        if kind < 0.5 or not len(bank.classes):
            return Side(0)
        if kind < 0.8:
            return Side(0, int(rng.integers(len(bank.classes)) + 1) * int(rng.choice([-1, 1])))
        return Side(0, TOKENS, frozenset(str(t) for t in rng.choice(frequent, min(len(frequent), int(rng.integers(1, 7))), False)))

    def program() -> tuple[Program, np.ndarray]:
        decay = round(float(rng.exponential(0.3)), 3)
        weights = np.exp(-decay * apart).astype(np.float32)
        rules = [Rule("add", parse_expression(f"exp(-{decay} * {distance})"))]
        for _ in range(int(rng.integers(0, max_rules))):
            guard = Guard(int(rng.integers(len(bank.relations))), side(), side())
            operation = OPERATIONS[rng.integers(len(OPERATIONS))]
            number = float(f"{np.exp(rng.normal(0, 1.5)):.3g}")
            cells = bank.cells(guard)
            if operation == "scale":
                weights[cells] *= number
            elif operation == "add":
                weights[cells] += number
            else:
                weights[cells] = number
            rules.append(Rule(operation, Num(number), bank.expression(guard)))
        sums = np.add.reduceat(weights, problem.rows[:-1])
        return Program(tuple(rules)), weights / np.repeat(np.maximum(sums, 1e-20), np.diff(problem.rows))

    best: list[list[tuple[float, str]]] = [[] for _ in heads]
    for start in range(0, number, BATCH):
        drawn = [program() for _ in range(min(BATCH, number - start))]
        iou = problem.mean(overlaps(np.stack([p for _, p in drawn]), problem, heads))
        for h, column in enumerate(iou.T):
            least = best[h][-1][0] if len(best[h]) == KEPT else 0.0
            more = [(float(x), str(drawn[i][0])) for i, x in enumerate(column) if x > least]
            best[h] = sorted([*best[h], *more], key=lambda b: -b[0])[:KEPT]
    return [[text for _, text in rows] for rows in best]


def grammar_samples(path: str, head: int, evaluations: int, max_rules: int, seed: int) -> list[str]:
    """Programs whose rules are sampled among the grammar proposer's best, until the evaluations are spent."""
    from search import units
    from search.induction import Effort, Induction

    class Sampled(Induction):
        def best_guards(self, *arguments: Any, **options: Any) -> list[tuple[float, float, Any]]:
            found = super().best_guards(*arguments, **options)
            worth = [o for o in found if o[0] > self.effort.least_gain]
            return [worth[self.rng.integers(len(worth))]] if worth else found

    bank, rng = units.bank(path), np.random.default_rng([seed, 8, head])
    programs, spent = [], 0
    while spent < evaluations:
        search = Sampled(bank, [head], rng, Effort())
        search.bend()
        while len(search.guards) < max_rules and spent + search.evaluations < evaluations and search.grow():
            search.bend()
        programs.append(str(search.program()))
        spent += search.evaluations
    return programs


def unfitted(path: str, head: int, evaluations: int, max_rules: int, seed: int) -> list[str]:
    """Rule induction without a gradient step."""
    from search import units
    from search.induction import Effort, induce

    rng = np.random.default_rng([seed, 1, head])
    found = induce(units.bank(path), [head], rng, max_rules, evaluations, effort=Effort(steps=0))
    return [str(c.program) for c in found.candidates]


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
    from search.campaign import Plan
    from search.patterns import BASELINES, LIBRARY

    heads, path, rules = bench.heads, bench.path, Plan(bench.heads).max_rules
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
    rows.append(chosen("library patterns", bench, both(known)[0], len(LIBRARY), 0))
    programs, seconds = both(fitted)
    rows.append(chosen("library patterns, constants fitted", bench, programs, len(LIBRARY) * 41, seconds))
    jobs = [(path, heads, -(-spent // CHUNKS), rules, bench.seed * CHUNKS + i) for i in range(CHUNKS)]
    chunks = each(random_programs, jobs, args.workers, "random_programs")
    drawn = [[p for c in chunks for p in c.value[i]] for i in range(len(heads))]
    rows.append(chosen("random programs", bench, drawn, spent, sum(c.seconds for c in chunks)))
    programs, seconds = both(grammar_samples, spent, rules, bench.seed)
    number = np.mean([len(p) for p in programs])
    rows.append(chosen(f"best of {number:.0f} grammar samples", bench, programs, spent, seconds))
    programs, seconds = both(unfitted, spent, rules, bench.seed)
    rows.append(chosen("search, no fitted constants", bench, programs, spent, seconds))
    rows += [found, library]
    if not args.no_ceiling:
        from bench.ceiling import ceiling

        fits, seconds = both(ceiling)
        steps = np.mean([f["steps"] for f in fits])
        rows.append(row("softmax ceiling (not a program)", [f["iou"] for f in fits], [0], steps, seconds))
    return rows


if __name__ == "__main__":
    main()
