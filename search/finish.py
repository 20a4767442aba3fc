"""The end of a campaign: every program on every head, the choice per head, the library, and one look at `test`."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from search.domains import Domains
from search.folder import SPLITS, RunFolder
from search.outcome import FORMAT, Record, digits, figures, headline, means, measured, over_heads

if TYPE_CHECKING:
    import numpy as np

    from search.campaign import Plan

PHASES = ("heads", "llm", "exchange", "share", "user")  # the last: programs of the user's own, saved from the live page
CHUNK = 32  # programs scored by one task: enough that reading the targets costs less than comparing
HALF_OF_THE_MASS = 1 / 3  # as IoU


@dataclass(frozen=True)
class Pool:
    """All distinct programs of a campaign, in the order found: who proposed each, who its first ancestor, for which heads."""

    programs: tuple[str, ...]
    proposers: tuple[str, ...]
    roots: tuple[str, ...]
    heads: tuple[tuple[int, ...], ...]  # the heads each was made for


def gather(folder: RunFolder, phases: Sequence[str], plan: Plan) -> tuple[Pool, dict[str, int]]:
    """The programs of all finished units of these phases, the same canonical text once; and how many proposals there were.

    Of the other phases those of earlier rounds.
    """
    known: dict[str, tuple[str, str, tuple[int, ...]]] = {}
    counts = {"made": 0, "same_text": 0, "same_behaviour": 0, "scored": 0}
    for phase in PHASES:
        for name in folder.units(phase, current=phase in phases):
            unit = folder.read(name)
            for name in counts:
                counts[name] += unit["counts"][name]
            for c in unit["candidates"]:
                if c["rules"] <= plan.max_rules and c["program"] not in known:
                    known[c["program"]] = (c["proposer"], c["root"], tuple(unit["heads"]))
    proposers, roots, heads = zip(*known.values(), strict=True) if known else ((), (), ())
    return Pool(tuple(known), proposers, roots, heads), counts


class Scores:
    """Mean IoU over the texts of a split, of programs on every head of the plan; no program is scored on a split twice."""

    def __init__(self, folder: RunFolder, plan: Plan, executor: Executor) -> None:
        self.path, self.heads, self.executor = str(folder.path), plan.heads, executor
        self._known: dict[str, dict[str, np.ndarray]] = {split: {} for split in SPLITS}  # program: (H)

    def remember(self, programs: Sequence[str], iou: np.ndarray) -> None:
        """Takes scores over that were written: iou (3, P, H) of these programs on fit, select and test."""
        for split, values in zip(SPLITS, iou, strict=True):
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


def outcome(folder: RunFolder, plan: Plan, executor: Executor, scores: Scores | None = None) -> Record:
    """The result of a campaign as far as it has come; also written: programs.json and scores.npy, every program on every head.

    scores: those of the campaign, so that what is known is not scored again.
    """
    import numpy as np

    from dsl import english, parse, size
    from search import patterns
    from search.cover import curve, held_out, limit, worth
    from search.selection import elbow, front
    from search.swaps import improved

    pool, counts = gather(folder, PHASES, plan)
    known = tuple(patterns.LIBRARY.items())  # the first of them are the baselines
    baselines = known[: len(patterns.BASELINES)]
    programs = [*pool.programs, *(p for _, p in known)]
    scores = scores or Scores(folder, plan, executor)
    iou = {split: scores(programs, split) for split in SPLITS}  # (P, H)
    count = len(pool.programs)
    if not count:
        raise ValueError("no program was found; give the run more time, or larger limits")
    parsed = [parse(p) for p in pool.programs]
    rules = np.array([len(p.rules()) for p in parsed])
    sizes = np.array([size(p) for p in parsed])
    select, columns = iou["select"][:count], range(len(plan.heads))
    fronts = [front(select[:, h], sizes) for h in columns]
    own = [f[int(elbow(select[f, h][:, None], sizes[f], plan.parsimony)[0])] for h, f in zip(columns, fronts, strict=True)]
    full = [f[-1] for f in fronts]
    value = worth(select, sizes, plan.parsimony)
    steps = curve(value, plan.library_size, sizes)
    library = improved(value, steps[-1].chosen)
    served = [library[i] for i in value[list(library)].argmax(0)]
    domains = {split: Domains(folder.domains(split), folder.held_out) for split in SPLITS}
    chosen = [[pool.programs[p] for p in three] for three in zip(own, full, served, strict=True)]
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
        p, here = (own, full)[which][h], {split: texts[split][h][which] for split in SPLITS}
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
        best = max(range(len(baselines)), key=lambda b: iou["select"][count + b, h])
        shared, shared_by_domain = figures({split: texts[split][h][2] for split in SPLITS}, domains)
        heads.append(
            {
                "layer": place(h)[0],
                "head": place(h)[1],
                **told(h, 0),
                "kind": kind(iou["fit"][count:, h], [name for name, _ in known]),
                "full_program": told(h, 1),
                "library_program": names[served[h]],
                "library_iou": shared,
                "library_domains": shared_by_domain,
                "baseline": {
                    "name": baselines[best][0],
                    "select": digits(iou["select"][count + best, h]),
                    "test": digits(iou["test"][count + best, h]),
                },
                "front": [
                    {
                        **program(i),
                        "fit": digits(iou["fit"][i, h]),
                        "select": digits(select[i, h]),
                        "proposer": pool.proposers[i],
                    }
                    for i in fronts[h]
                ],
            }
        )
    folder.write(
        "programs.json",
        {
            "programs": pool.programs,
            "proposers": pool.proposers,
            "sizes": sizes.tolist(),
            "heads": [place(h) for h in columns],
        },
    )
    folder.write_array("scores.npy", np.stack([iou[split][:count] for split in SPLITS]))
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
        "library_mean_iou": over_heads(heads, "library_iou"),
        "library_domains": over_heads(heads, "library_domains"),
        "curve": [
            {
                "size": len(c.chosen),
                "select": digits(held_out(value, select, c.chosen)),
                "test": digits(held_out(value, iou["test"][:count], c.chosen)),
                "bound": digits(limit(select, c.chosen)),
            }
            for c in steps
        ],
        "heads": heads,
        "proposals": counts,
    }


def kind(scores: np.ndarray, names: Sequence[str]) -> str:
    """The known pattern that describes a head best, "mixed" if none does: scores (P) are their IoU with its attention.

    Of two patterns whose rows sum to 1 the IoU is m / (2 - m), m the mass that they share. So a pattern names a head only if at
    least half of the head's attention is where the pattern says.
    """
    best = int(scores.argmax())
    return names[best] if scores[best] >= HALF_OF_THE_MASS else "mixed"
