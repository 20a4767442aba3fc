"""The phase in which language models propose: rounds of questions, answers translated, programs fitted and evolved by workers.

A round's proposals are one file of the run folder, written with what was spent, so that a resumed campaign asks nobody twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from search import workspace
from search.folder import RunFolder
from search.rounds import UNITS_A_ROUND, brought_nothing

if TYPE_CHECKING:
    from dsl.nodes import Program
    from search.llm.proposer import HeadTask, LLMProposer, Proposal, Translate
    from search.llm.survey import Survey

SURVEY_HEADS = 8  # from so many on a conversation about the whole model comes first
WAVE = 16  # heads asked about in one round
UNLIMITED_ROUNDS = 2  # questions about a head where no limit on calls, tokens or dollars says otherwise
MOST_ADOPTED = 8  # programs of one conversation that are fitted and evolved
WITHIN = 0.05  # merit below the best known from which on a program of a conversation is not worth more work
DESK_TEXTS = 24  # of `fit` on which tools look and fit, and of `select`, over all domains
SHORT = 50  # size of a program that is told beside the best
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
    baseline, price = baselines(folder, heads), parsimony(folder)
    limits = proposer.settings
    most = UNLIMITED_ROUNDS if limits.calls is limits.tokens is limits.usd is None else None
    asked = dict.fromkeys(heads, 0)
    problems: dict[int, list[str]] = {}  # of each head: what was proposed in vain
    silent: set[int] = set()  # heads whose last conversation ended without any program
    tables: dict[str, Any] = {}  # what all heads share
    number = 0
    while True:
        name = f"rounds/{number}.json"
        survey = number == 0 and len(heads) >= SURVEY_HEADS and proposer.surveys()
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
                if (most is None or asked[h] < most) and h not in silent
            ]
            wanted = [] if survey else proposer.plan(progress, WAVE)
            chosen = list(heads) if survey else [layer * per_layer + head for layer, head in wanted]
            if not chosen:
                return
            tasks = [] if survey else [task(folder, h, asked[h], baseline[h], known, problems.get(h, [])) for h in chosen]
            if survey:
                proposals = proposer.survey(surveyed(folder, chosen, known, proposer), late)
            elif limits.rounds:
                tasks = [
                    seated(folder, h, t, baseline[h], known, proposer.translate, proposer.concepts, tables)
                    for h, t in zip(chosen, tasks, strict=True)
                ]
                proposals = proposer.converse(tasks, late)
            else:
                proposals = proposer.propose(tasks, late)
            records = [p.record() for p in proposals]
            before = [[h, round(best[0][2], 6)] for h in chosen if (best := _best(known.get(h, []), price))]
            record = {"heads": chosen, "proposals": records, "failures": proposer.failures(), "endings": proposer.endings}
            record["known"] = before  # of each head the merit of its best program
            folder.write(name, {**record, "state": proposer.state()})
        for h in chosen if not survey else ():
            asked[h] += 1
        if limits.rounds and not survey:
            spoken_of = {p.head for p in proposals}
            silent |= {h for h in chosen if divmod(h, per_layer) not in spoken_of}
        for p in proposals:
            if p.head[0] >= 0 and (reason := brought_nothing(p.record())):
                problems.setdefault(p.head[0] * per_layer + p.head[1], []).append(reason)
        units = []
        for h in chosen:
            best = _best(known.get(h, []), price)
            usable = [
                p for p in _usable(proposals, divmod(h, per_layer)) if p.merit is None or not best or p.merit > best[0][2] - WITHIN
            ]
            usable.sort(key=lambda p: -(p.merit or 0.0))  # a stable sort: what was not measured keeps its order
            programs = list(dict.fromkeys(str(p.program) for p in usable))[: MOST_ADOPTED if limits.rounds else None]
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


def surveyed(folder: RunFolder, heads: Sequence[int], known: Known, proposer: LLMProposer) -> Survey:
    """The desk of the conversation about the whole model."""
    from dataclasses import replace

    from search.llm.survey import Survey, kinds
    from search.llm.tools.concepts import at_hand

    path, price = str(folder.path), parsimony(folder)
    bests = [_best(known.get(h, []), price)[:1] for h in heads]
    desk = Survey(
        name="model",
        row=heads[0],
        fit=workspace.sample(path, "fit", DESK_TEXTS),
        select=workspace.sample(path, "select", DESK_TEXTS),
        translate=proposer.translate,
        parsimony=price,
        per_layer=folder.description()["model"]["heads"],
        concepts=at_hand(folder.concepts(), proposer.concepts),
        rows=tuple(heads),
        known=tuple((merit, str(program)) for best in bests for _, program, merit in best) if all(bests) else (),
    )
    return replace(desk, kinds=kinds(desk))


def seated(
    folder: RunFolder,
    row: int,
    task: HeadTask,
    baseline: float,
    known: Known,
    translate: Translate,
    concepts: Mapping[str, str],
    tables: dict[str, Any],
) -> HeadTask:
    """The task with a desk for a conversation, and what is known of the head in words. tables: kept from head to head."""
    from dataclasses import replace

    from search.llm.ceiling import ceiling
    from search.llm.tools.concepts import at_hand
    from search.llm.tools.desk import Desk, Other, Tried, share
    from search.llm.tools.trying import measured, rules

    path, per_layer = str(folder.path), folder.description()["model"]["heads"]
    others = [Other("L{}H{}".format(*divmod(h, per_layer)), known[h][0][1]) for h in sorted(known) if h != row and known[h]]
    desk = Desk(
        name=task.evidence.name,
        row=row,
        fit=workspace.sample(path, "fit", DESK_TEXTS),
        select=workspace.sample(path, "select", DESK_TEXTS),
        translate=translate,
        parsimony=parsimony(folder),
        per_layer=per_layer,
        others=others,
        concepts=at_hand(folder.concepts(), concepts),
    )
    most = ceiling(desk.fit, desk.select, row, tables)
    lines = [
        f"The best simple pattern has IoU {share(baseline)}. A softmax over distances, classes of tokens and repetition, with a "
        f"number for each pair of classes, reaches {share(most)} on select."
    ]
    found: list[tuple[Tried, str, list[str]]] = []
    for title, program, _ in _best(known.get(row, []), desk.parsimony):
        one, text = measured(desk, Tried(len(found) + 1, str(program), "known"), program)
        found.append((one, title, text))
    found.sort(key=lambda f: -f[0].merit)
    given = tuple(replace(one, number=n) for n, (one, _, _) in enumerate(found, 1))
    for one, (_, title, text) in zip(given, found, strict=True):
        lines += [f"#{one.number}, {title}: {text[0].partition(': ')[2]}", *text[1:]]
        if one.number == 1:
            lines += rules(desk, one)
    return replace(task, desk=replace(desk, given=given), known="\n".join(lines))


def _best(known: Sequence[tuple[float, str]], price: float) -> list[tuple[str, Program, float]]:
    """What a conversation begins with, as (title, program, IoU less the price of its size): of the programs known (IoU on `fit`,
    text) the one worth most for its length, the best of a length that can be shown, and the best."""
    from dsl import parse, size

    parsed = [(iou, parse(text)) for iou, text in known]
    found: dict[Program, tuple[str, float]] = {}
    for title, price_, limit in (
        ("the search's best for its size", price, None),
        (f"its best of at most {SHORT} tokens", 0.0, SHORT),
        ("its best of any size", 0.0, None),
    ):
        able = [(iou - price_ * size(p), iou, p) for iou, p in parsed if limit is None or size(p) <= limit]
        if able:
            _, iou, program = max(able, key=lambda a: a[0])
            found.setdefault(program, (title, iou - price * size(program)))
    return [(title, program, merit) for program, (title, merit) in found.items()]


def parsimony(folder: RunFolder) -> float:
    """What a token of a program costs in this run."""
    from search.selection import PARSIMONY

    return float(folder.description()["settings"].get("parsimony", PARSIMONY))


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
