"""The phase in which language models propose: rounds of questions, answers translated, programs fitted and evolved by workers.

A round's proposals are one file of the run folder, written with what was spent, so that a resumed campaign asks nobody twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from search import workspace
from search.folder import RunFolder
from search.rounds import UNITS_A_ROUND, brought_nothing

if TYPE_CHECKING:
    from dsl.nodes import Program
    from search.llm.proposer import HeadTask, LLMProposer, Proposal

WAVE = 16  # heads asked about in one round
UNLIMITED_ROUNDS = 2  # questions about a head where no limit on calls, tokens or dollars says otherwise
SCORER_TEXTS = 8  # for the feedback on single rules
NEAR = 2  # programs of other heads shown

Known = dict[int, list[tuple[float, str]]]  # programs of each head (by row) with their IoU on `fit`, best first


def consult(
    folder: RunFolder,
    heads: Sequence[int],
    proposer: LLMProposer,
    known: Known,
    run_units: Callable[[list[tuple[str, int, list[str]]]], None],
    late: Callable[[], bool],
) -> None:
    """Asks until the budget is spent or nobody is left. known grows; run_units gets (unit name, head, programs) of each round."""
    from search.llm.proposer import Proposal
    from search.llm.refine import Progress

    per_layer = folder.description()["model"]["heads"]
    baseline = baselines(folder, heads)
    limits = proposer.settings
    most = UNLIMITED_ROUNDS if limits.calls is limits.tokens is limits.usd is None else None
    asked = dict.fromkeys(heads, 0)
    problems: dict[int, list[str]] = {}  # of each head: what was proposed in vain
    number = 0
    while True:
        name = f"rounds/{number}.json"
        if folder.has(name):
            record = folder.read(name)
            proposer.restore(record["state"])
            chosen = record["heads"]
            proposals = [Proposal.from_record(r) for r in record["proposals"]]
        else:
            if late():
                return
            progress = [
                Progress(divmod(h, per_layer), baseline[h], known[h][0][0] if known.get(h) else None, asked[h])
                for h in heads
                if most is None or asked[h] < most
            ]
            chosen = [layer * per_layer + head for layer, head in proposer.plan(progress, WAVE)]
            if not chosen:
                return
            proposals = proposer.propose([task(folder, h, asked[h], baseline[h], known, problems.get(h, [])) for h in chosen], late)
            records = [p.record() for p in proposals]
            folder.write(name, {"heads": chosen, "proposals": records, "failures": proposer.failures(), "state": proposer.state()})
        for h in chosen:
            asked[h] += 1
        for p in proposals:
            if reason := brought_nothing(p.record()):
                problems.setdefault(p.head[0] * per_layer + p.head[1], []).append(reason)
        units = []
        for h in chosen:
            programs = list(dict.fromkeys(str(p.program) for p in _usable(proposals, divmod(h, per_layer))))
            if programs:
                units.append((f"llm/{number * UNITS_A_ROUND + h}", h, programs))
        run_units(units)
        for unit, h, _ in units:
            if folder.has(f"units/{unit}.json"):
                found = [(c["fit"], c["program"]) for c in folder.read(f"units/{unit}.json")["candidates"]]
                known[h] = sorted([*known.get(h, []), *found], key=lambda c: (-c[0], c[1]))
        number += 1


def _usable(proposals: Sequence[Proposal], head: tuple[int, int]) -> list[Proposal]:
    return [p for p in proposals if p.head == head and p.program is not None]


def task(folder: RunFolder, row: int, asked: int, baseline: float, known: Known, problems: Sequence[str] = ()) -> HeadTask:
    """What a model is told of a head: its attention on `fit`, the best program so far, and what was proposed in vain."""
    from dsl import parse
    from search.llm.evidence import HeadEvidence
    from search.llm.proposer import HeadTask
    from search.llm.refine import NearFit, RoundState

    problem = workspace.problem(str(folder.path), "fit")
    per_layer = folder.description()["model"]["heads"]
    layer, head = divmod(row, per_layer)
    evidence = HeadEvidence(layer, head, problem.causal, problem.texts_given, problem.matrices(row))
    if not known.get(row):
        return HeadTask(evidence, RoundState(round=asked, baseline=baseline, problems=problems))
    score, text = known[row][0]
    best = parse(text)
    others = [(h, known[h][0]) for h in known if h != row and known[h]]
    near = sorted(((_iou(folder, parse(p), row), h, p) for h, (_, p) in others), key=lambda n: (-n[0], n[1]))[:NEAR]
    state = RoundState(
        round=asked,
        baseline=baseline,
        problems=problems,
        score=score,
        best=best,
        matrices=problem.patterns(best),
        scorer=lambda program: _iou(folder, program, row),
        near=[NearFit("L{}H{}".format(*divmod(h, per_layer)), p, s) for s, h, p in near],
    )
    return HeadTask(evidence, state)


def _iou(folder: RunFolder, program: Program, row: int) -> float:
    from search.scoring import score

    part = workspace.part(str(folder.path), "fit", SCORER_TEXTS)
    return float(part.mean(score([program], part, [row])).mean())


def baselines(folder: RunFolder, heads: Sequence[int]) -> dict[int, float]:
    """IoU on `fit` of the best simple pattern, by head."""
    from dsl import parse
    from search.patterns import BASELINES
    from search.scoring import score

    problem = workspace.problem(str(folder.path), "fit")
    best = problem.mean(score([parse(p) for p in BASELINES.values()], problem, heads)).max(0)
    return {h: float(b) for h, b in zip(heads, best, strict=True)}
