"""The end of a campaign: the choice per head, the library, and one look at `test`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from search.domains import Domains
from search.folder import CONCEPTS, SPLITS, RunFolder
from search.outcome import FORMAT, Record, digits, figures, headline, means, measured, over_heads

if TYPE_CHECKING:
    import numpy as np

    from search.campaign import Plan

# The last: programs of the user's own, saved from the live page.
PHASES = ("known", "heads", "concepts", "llm", "refine", "share", "user")
SHARED_SIZE = 60  # tokens of a program in the library, at most
SHARED_A_HEAD = 2  # programs of each head that may stand in the library
SPREAD = 3  # programs of other heads that a head may take over
CHUNK = 32  # programs scored by one task: enough that reading the targets costs less than comparing
HALF_OF_THE_MASS = 1 / 3  # as IoU


@dataclass(frozen=True)
class Pool:
    """All distinct programs of a campaign, in the order found: who proposed each, who its first ancestor, for which heads."""

    programs: tuple[str, ...]
    proposers: tuple[str, ...]
    roots: tuple[str, ...]
    heads: tuple[tuple[int, ...], ...]  # the heads each was made for
    fits: tuple[tuple[float, ...], ...]  # its IoU on `fit` for each of them, as far as its unit knew

    def only(self, kept: Sequence[int]) -> Pool:
        """Some of the programs, by their places."""
        return Pool(
            tuple(self.programs[p] for p in kept),
            tuple(self.proposers[p] for p in kept),
            tuple(self.roots[p] for p in kept),
            tuple(self.heads[p] for p in kept),
            tuple(self.fits[p] for p in kept),
        )


def results(folder: RunFolder, phase: str, first: int | None = None) -> Iterator[dict[str, Any]]:
    """The results of a phase's finished units, those of earlier rounds first, in order; of this round the `first` ones or all."""
    earlier = folder.units(phase, current=False)
    current = folder.units(phase)[len(earlier) :]
    for name in (*earlier, *current[:first]):
        yield folder.read(name)


def gather(folder: RunFolder, phases: Sequence[str], plan: Plan, shared: int = 0) -> tuple[Pool, dict[str, int]]:
    """The programs of all finished units of these phases, the same canonical text once; and how many proposals there were.

    shared: and of the first so many units of shared programs of this round.
    """
    known: dict[str, list[Any]] = {}
    wanted = [*((phase, None) for phase in phases), *([("share", shared)] if shared else [])]
    units = [(phase, unit) for phase, first in wanted for unit in results(folder, phase, first)]
    settled, again = set[tuple[str, ...]](), set[int]()
    if folder.has(CONCEPTS):  # of these heads the programs were said again in the concepts of the model
        settled = {tuple(names) for names in folder.read(CONCEPTS)}
        again = {unit["heads"][0] for phase, unit in units if phase == "refine" and unit["candidates"]}
    counts = {"made": 0, "same_text": 0, "same_behaviour": 0, "scored": 0}
    for phase, unit in units:
        for name in counts:
            counts[name] += unit["counts"][name]
        for c in unit["candidates"]:
            if c["rules"] > plan.max_rules:
                continue
            if phase == "heads" and unit["heads"][0] in again and not _made(c["program"]) <= settled:
                continue
            entry = known.setdefault(c["program"], [c["proposer"], c["root"], {}])
            for head in unit["heads"]:
                entry[2].setdefault(head, c["fit"])
    programs = tuple(known)
    return (
        Pool(
            programs,
            tuple(known[p][0] for p in programs),
            tuple(known[p][1] for p in programs),
            tuple(tuple(known[p][2]) for p in programs),
            tuple(tuple(known[p][2].values()) for p in programs),
        ),
        counts,
    )


def _made(program: str) -> set[tuple[str, ...]]:
    """The concepts that the search made for a program."""
    from dsl import parse
    from search.forms.unions import made

    return made(parse(program)) if program.startswith("concept ") else set()


def shareable(pool: Pool, plan: Plan) -> Pool:
    """The programs that may stand in a library: short, and for each head only the few that serve it best for their length.

    Every one of them is scored on every head, so that their number has to grow no faster than that of the heads.
    """
    from dsl import parse, size

    sizes = [size(parse(p)) for p in pool.programs]
    ranked: dict[int, list[tuple[float, int]]] = {}
    keep: set[int] = set()
    for p, (heads, fits) in enumerate(zip(pool.heads, pool.fits, strict=True)):
        own_of_user = pool.proposers[p] == "user"  # whose programs are always there to choose
        if sizes[p] > SHARED_SIZE and not own_of_user:
            continue
        if len(heads) > 1 or own_of_user:
            keep.add(p)
            continue
        for head, fit in zip(heads, fits, strict=True):
            ranked.setdefault(head, []).append((plan.parsimony * sizes[p] - fit, p))
    for own in ranked.values():
        keep.update(p for _, p in sorted(own)[:SHARED_A_HEAD])
    return pool.only(sorted(keep))


class Scores:
    """Mean IoU over the texts of a split, of programs on every head of the plan; no program is scored on a split twice."""

    def __init__(self, folder: RunFolder, plan: Plan, executor: Executor) -> None:
        self.path, self.heads, self.executor = str(folder.path), plan.heads, executor
        self._known: dict[str, dict[str, np.ndarray]] = {split: {} for split in SPLITS}  # program: (H)

    def remember(self, programs: Sequence[str], iou: np.ndarray) -> None:
        """Takes scores over that were written: iou (2, P, H) of these programs on select and test."""
        for split, values in zip(("select", "test"), iou, strict=True):
            self._known[split].update(zip(programs, values, strict=True))

    def __call__(self, programs: Sequence[str], split: str) -> np.ndarray:
        """(P, H) float32."""
        import numpy as np

        from search import units

        known = self._known[split]
        new = [p for p in dict.fromkeys(programs) if p not in known]
        chunks = [new[i : i + CHUNK] for i in range(0, len(new), CHUNK)]
        tasks = [self.executor.submit(units.mean_scores, self.path, chunk, split, self.heads) for chunk in chunks]
        for chunk, task in zip(chunks, tasks, strict=True):
            known.update(zip(chunk, task.result(), strict=True))
        return np.array([known[p] for p in programs], np.float32).reshape(-1, len(self.heads))


def per_text(folder: RunFolder, programs: Sequence[Sequence[str]], split: str, plan: Plan, executor: Executor) -> list[np.ndarray]:
    """(P, T) for each head: IoU on each text of a split, of some programs of its own."""
    from search import units

    tasks = [executor.submit(units.score, str(folder.path), p, split, [h]) for p, h in zip(programs, plan.heads, strict=True)]
    return [task.result()[:, 0] for task in tasks]


def rule_gains(folder: RunFolder, programs: Sequence[Sequence[str]], plan: Plan, executor: Executor) -> list[list[list[float]]]:
    """For each head, for some programs of its own, what each leaf rule adds to the IoU on `select`."""
    from search import units

    tasks = [
        {p: executor.submit(units.rule_gains, str(folder.path), p, h) for p in dict.fromkeys(own)}
        for own, h in zip(programs, plan.heads, strict=True)
    ]
    return [[task[p].result() for p in own] for task, own in zip(tasks, programs, strict=True)]


def glossary(folder: RunFolder, programs: Sequence[str], plan: Plan, executor: Executor) -> list[Record]:
    """The concepts of the shown programs, one for each head; those that most heads use first."""
    from dsl import parse
    from search import units

    users: dict[str, list[int]] = {}
    for column, program in enumerate(programs):
        for concept in parse(program).concepts:
            users.setdefault(str(concept), []).append(column)
    per_layer = folder.description()["model"]["heads"]
    tasks = []
    for definition, columns in users.items():
        rows = [plan.heads[c] for c in columns]
        places = [list(divmod(row, per_layer)) for row in rows]
        tasks.append(executor.submit(units.glossary, str(folder.path), definition, [programs[c] for c in columns], rows, places))
    return sorted((task.result() for task in tasks), key=lambda entry: (-len(entry["heads"]), entry["name"]))


def outcome(folder: RunFolder, plan: Plan, executor: Executor, scores: Scores | None = None) -> Record:
    """The result of a campaign as far as it has come; also written: programs.json and scores.npy, the programs that may
    stand in a library, on every head.

    scores: those of the campaign, so that what is known is not scored again.
    """
    import numpy as np

    from dsl import english, parse, size
    from search import patterns
    from search.cover import curve, held_out, limits, worth
    from search.selection import elbow, front
    from search.swaps import improved

    pool, counts = gather(folder, PHASES, plan)
    count = len(pool.programs)
    if not count:
        raise ValueError("no program was found; give the run more time, or larger limits")
    baselines = tuple(patterns.BASELINES.items())
    shared = shareable(pool, plan)
    scores = scores or Scores(folder, plan, executor)
    simple = {split: scores([p for _, p in baselines], split) for split in ("select", "test")}  # (baselines, H)
    library_patterns = list(patterns.LIBRARY.values())
    # A kind has to describe the head on either split: what holds by the choice of texts alone is no kind.
    kinds = np.minimum(*(scores(library_patterns, split) for split in ("select", "test")))  # (patterns, H)
    cross = {split: scores(shared.programs, split) for split in ("select", "test")}  # (S, H)
    parsed = [parse(p) for p in pool.programs]
    rules = np.array([len(p.rules()) for p in parsed])
    sizes = np.array([size(p) for p in parsed])
    columns = range(len(plan.heads))
    number = {p: i for i, p in enumerate(pool.programs)}
    place_of = np.array([number[p] for p in shared.programs], int)
    shared_sizes = sizes[place_of]
    value = worth(cross["select"], shared_sizes, plan.parsimony)  # (S, H)
    own = _own(pool, plan, place_of, value)
    select = [
        mean[:, 0] for mean in own_scores(folder, [[pool.programs[p] for p in mine] for mine in own], "select", plan, executor)
    ]
    fit = [mean[:, 0] for mean in own_scores(folder, [[pool.programs[p] for p in mine] for mine in own], "fit", plan, executor)]
    fronts = [front(s, sizes[mine]) for s, mine in zip(select, own, strict=True)]
    elbows = [
        f[int(elbow(s[f][:, None], sizes[mine][f], plan.parsimony)[0])] for s, f, mine in zip(select, fronts, own, strict=True)
    ]
    shown = [mine[e] for mine, e in zip(own, elbows, strict=True)]
    full = [mine[f[-1]] for mine, f in zip(own, fronts, strict=True)]
    steps = curve(value, plan.library_size, shared_sizes)
    chosen_shared = improved(value, steps[-1].chosen)
    serving = value[list(chosen_shared)].argmax(0)
    used = [p for i, p in enumerate(chosen_shared) if (serving == i).any()]  # no item without a head
    serving = value[used].argmax(0)
    library = [int(place_of[p]) for p in used]
    served = [library[i] for i in serving]
    domains = {split: Domains(folder.domains(split), folder.held_out) for split in SPLITS}
    chosen = [[pool.programs[p] for p in three] for three in zip(shown, full, served, strict=True)]
    texts = {split: per_text(folder, chosen, split, plan, executor) for split in SPLITS}  # (3, T) for each head
    gains = rule_gains(folder, [c[:2] for c in chosen], plan, executor)
    names = {p: f"P{i + 1}" for i, p in enumerate(library)}
    heads_per_layer = folder.description()["model"]["heads"]

    def place(column: int) -> list[int]:
        return list(divmod(plan.heads[column], heads_per_layer))

    def program(p: int) -> Record:
        return {"program": pool.programs[p], "rules": int(rules[p]), "size": int(sizes[p])}

    def told(h: int, which: int) -> Record:
        """All about a head's shown program (0) or the largest of its front (1)."""
        p, here = (shown, full)[which][h], {split: texts[split][h][which] for split in SPLITS}
        sentences, adds = english(parsed[p]), gains[h][which]
        return {
            **program(p),
            "headline": headline(sentences, adds),
            "english": sentences,
            **measured(here, domains),
            "rule_gains": [digits(x) for x in adds],
            "proposer": pool.proposers[p],
            "root": pool.roots[p],
            "made_for": [list(divmod(x, heads_per_layer)) for x in pool.heads[p]],
        }

    heads = []
    for h in columns:
        best = int(simple["select"][:, h].argmax())
        by_split, by_domain = figures({split: texts[split][h][2] for split in SPLITS}, domains)
        heads.append(
            {
                "layer": place(h)[0],
                "head": place(h)[1],
                **told(h, 0),
                "kind": kind(kinds[:, h], list(patterns.LIBRARY)),
                "full_program": told(h, 1),
                "library_program": names[served[h]],
                "library_iou": by_split,
                "library_domains": by_domain,
                "baseline": {
                    "name": baselines[best][0],
                    "select": digits(simple["select"][best, h]),
                    "test": digits(simple["test"][best, h]),
                },
                "front": [
                    {
                        **program(own[h][i]),
                        "fit": digits(fit[h][i]),
                        "select": digits(select[h][i]),
                        "proposer": pool.proposers[own[h][i]],
                    }
                    for i in fronts[h]
                ],
            }
        )
    folder.write(
        "programs.json",
        {
            "programs": shared.programs,
            "proposers": shared.proposers,
            "sizes": shared_sizes.tolist(),
            "heads": [place(h) for h in columns],
        },
    )
    folder.write_array("scores.npy", np.stack([cross["select"], cross["test"]]))
    return {
        "format": FORMAT,
        "evaluations": counts["scored"],
        "parsimony": plan.parsimony,
        "held_out": list(folder.held_out),
        **means(heads, domains["test"]),
        "full_program": means([r["full_program"] for r in heads], domains["test"]),
        "library": [
            {
                "id": names[p],
                **program(p),
                "heads": [place(h) for h in columns if served[h] == p],
                "proposer": pool.proposers[p],
                "root": pool.roots[p],
            }
            for p in library
        ],
        "concepts": glossary(folder, [pool.programs[p] for p in shown], plan, executor),
        "library_mean_iou": over_heads(heads, "library_iou"),
        "library_domains": over_heads(heads, "library_domains"),
        "curve": [
            {
                "size": len(c.chosen),
                "select": digits(held_out(value, cross["select"], c.chosen)),
                "test": digits(held_out(value, cross["test"], c.chosen)),
                "bound": digits(bound),
            }
            for c, bound in zip(steps, limits(cross["select"], steps), strict=True)
        ],
        "heads": heads,
        "proposals": counts,
    }


def own_scores(
    folder: RunFolder, programs: Sequence[Sequence[str]], split: str, plan: Plan, executor: Executor
) -> list[np.ndarray]:
    """(P, 1) for each head: mean IoU on a split of some programs of its own."""
    from search import units

    tasks = [
        executor.submit(units.mean_scores, str(folder.path), list(p), split, [h]) for p, h in zip(programs, plan.heads, strict=True)
    ]
    return [task.result() for task in tasks]


def _own(pool: Pool, plan: Plan, shared: np.ndarray, value: np.ndarray) -> list[list[int]]:
    """For each head the programs it may be given: those made for it, and the few that serve it best of what others have.

    So no head's program is worse on `select` than what the library has for it.
    """
    import numpy as np

    made: dict[int, list[int]] = {h: [] for h in plan.heads}
    for p, heads in enumerate(pool.heads):
        for head in heads:
            made[head].append(p)
    own = []
    for column, head in enumerate(plan.heads):
        best = shared[np.argsort(-value[:, column], kind="stable")[:SPREAD]]
        own.append(list(dict.fromkeys([*made[head], *(int(p) for p in best)])))
    return own


def kind(scores: np.ndarray, names: Sequence[str]) -> str:
    """The known pattern that describes a head best, "mixed" if none does: scores (P) are their IoU with its attention.

    Of two patterns whose rows sum to 1 the IoU is m / (2 - m), m the mass that they share. So a pattern names a head only if at
    least half of the head's attention is where the pattern says.
    """
    best = int(scores.argmax())
    return names[best] if scores[best] >= HALF_OF_THE_MASS else "mixed"
