"""The end of a campaign: every program on every head, the choice per head, the library, and one look at `test`."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from search.folder import SPLITS, RunFolder

if TYPE_CHECKING:
    import numpy as np

    from search.campaign import Plan
    from search.domains import Domains

PHASES = ("heads", "llm", "exchange", "share")
CHUNK = 32  # programs scored by one task: enough that reading the targets costs less than comparing


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


def per_text(folder: RunFolder, programs: Sequence[str], split: str, plan: Plan, executor: Executor) -> np.ndarray:
    """(H, T): IoU on each text of a split, of the program that each head was given."""
    import numpy as np

    from search import units

    tasks = [executor.submit(units.score, str(folder.path), [p], split, [h]) for p, h in zip(programs, plan.heads, strict=True)]
    return np.concatenate([task.result()[0] for task in tasks])


def outcome(folder: RunFolder, plan: Plan, executor: Executor, scores: Scores | None = None) -> dict[str, Any]:
    """The result of a campaign as far as it has come; also written: programs.json and scores.npy, every program on every head.

    scores: those of the campaign, so that what is known is not scored again.
    """
    import numpy as np

    from dsl import parse, size
    from search import patterns
    from search.cover import curve, held_out
    from search.domains import Domains
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
        raise ValueError("no program was found; give the run more time")
    parsed = [parse(p) for p in pool.programs]
    rules = np.array([len(p.rules()) for p in parsed])
    sizes = np.array([size(p) for p in parsed])
    own = elbow(iou["select"][:count], sizes)
    domains = {split: Domains(folder.domains(split), folder.held_out) for split in SPLITS}
    texts = {split: per_text(folder, [programs[p] for p in own], split, plan, executor) for split in SPLITS}  # (H, T)
    steps = curve(iou["select"][:count], plan.library_size, sizes)
    library = improved(iou["select"][:count], steps[-1].chosen)
    served = [library[i] for i in iou["select"][list(library)].argmax(0)]
    columns = range(len(plan.heads))
    names = {p: f"P{i + 1}" for i, p in enumerate(library)}
    heads_per_layer = folder.description()["model"]["heads"]

    def place(column: int) -> list[int]:
        return list(divmod(plan.heads[column], heads_per_layer))

    def three(p: int, column: int) -> dict[str, float]:
        return {split: digits(iou[split][p, column]) for split in SPLITS}

    heads = []
    for h in columns:
        p = int(own[h])
        best = max(range(len(baselines)), key=lambda b: iou["select"][count + b, h])
        heads.append(
            {
                "layer": place(h)[0],
                "head": place(h)[1],
                "program": pool.programs[p],
                "rules": int(rules[p]),
                "size": int(sizes[p]),
                "kind": kind(iou["fit"][count:, h], [name for name, _ in known]),
                "iou": three(p, h),
                "interval": interval(domains["test"], texts["test"][h]),
                "intervals": {split: interval(domains[split], texts[split][h]) for split in SPLITS},
                "iou_per_text": {"test": [digits(x) for x in texts["test"][h]]},
                "library_program": names[served[h]],
                "library_iou": three(served[h], h),
                "baseline": {
                    "name": baselines[best][0],
                    "select": digits(iou["select"][count + best, h]),
                    "test": digits(iou["test"][count + best, h]),
                },
                "proposer": pool.proposers[p],
                "root": pool.roots[p],
                "made_for": [list(divmod(x, heads_per_layer)) for x in pool.heads[p]],
                "front": [
                    {
                        "program": pool.programs[i],
                        "rules": int(rules[i]),
                        "size": int(sizes[i]),
                        "fit": digits(iou["fit"][i, h]),
                        "select": digits(iou["select"][i, h]),
                        "proposer": pool.proposers[i],
                    }
                    for i in front(iou["fit"][:count, h], sizes)
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
        "evaluations": counts["scored"],
        "mean_iou": {split: digits(iou[split][own, list(columns)].mean()) for split in SPLITS},
        "interval": interval(domains["test"], texts["test"].mean(0)),
        "median_rules": float(np.median(rules[own])),
        "median_size": float(np.median(sizes[own])),
        "library": [
            {
                "id": names[p],
                "program": pool.programs[p],
                "heads": [place(h) for h in columns if served[h] == p],
                "rules": int(rules[p]),
                "size": int(sizes[p]),
                "proposer": pool.proposers[p],
                "root": pool.roots[p],
            }
            for p in library
        ],
        "library_mean_iou": {split: digits(np.mean([iou[split][served[h], h] for h in columns])) for split in SPLITS},
        "curve": [
            {
                "size": len(c.chosen),
                "select": digits(c.value),
                "test": digits(held_out(iou["select"][:count], iou["test"][:count], c.chosen)),
                "bound": digits(c.bound),
            }
            for c in steps
        ],
        "heads": heads,
        "proposals": counts,
    }


def digits(x: Any) -> float:
    """Six digits: enough for any use, few enough to read."""
    return round(float(x), 6)


def interval(domains: Domains, values: np.ndarray) -> list[float]:
    """95% interval of the mean of values (T), one for each text."""
    return [digits(x) for x in domains.interval(values)]


def kind(scores: np.ndarray, names: Sequence[str]) -> str:
    """The known pattern that a head resembles most, "mixed" if none reaches 0.2."""
    best = int(scores.argmax())
    return names[best] if scores[best] >= 0.2 else "mixed"
