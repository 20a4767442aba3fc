"""A campaign: from attention matrices and texts in a run folder to programs for each head and a small library.

    known     the known forms, the best of them fitted: every head has a program                                  (one unit a head)
    heads     rules of all forms, by gain per token, up to the length that is shown                              (one unit a head)
    concepts  which classes, joined, serve several heads: the concepts of the model                              (one unit a head)
    llm       language models propose for heads; what they say is fitted and evolved              (one unit a head and round)
    refine    goes on from a head's programs and from those of other heads, beyond the shown length               (one unit a head)
    share     one program for each group of heads that the same program nearly serves                          (one unit a group)
    finish    choice on `select`, cover, and one look at `test`

A unit is a function of the settings, the seed and the units of earlier phases alone, and its result is one file of the run folder.
So the outcome is the same for any number of workers, whoever finishes first, and after any interruption.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from search import finish, units
from search.consult import Known, consult
from search.folder import CONCEPTS, RunFolder
from search.selection import MAX_RULES, PARSIMONY

if TYPE_CHECKING:
    import numpy as np

    from search.llm.proposer import LLMProposer

BEFORE_SHARED = ("known", "heads", "llm", "refine")
Report = Callable[[str, int, int, dict[str, Any]], None]  # phase, done, total, figures


@dataclass(frozen=True)
class Plan:
    """What a campaign does; equal plans give equal results."""

    heads: tuple[int, ...]  # rows of the attention stores
    seed: int = 0
    evaluations: int = 400_000  # distinct programs scored in all, at most
    parsimony: float = PARSIMONY  # IoU that a token of a shown program's text must be worth
    max_rules: int = MAX_RULES
    max_size: int | None = None  # tokens of a program's text
    max_set: int | None = None  # strings in one listed set
    library_size: int = 16
    proposers: tuple[str, ...] = ("library", "grammar")  # beside them the LLM, where one is asked
    round: int = 0  # how often the run went on with more; each round draws other random numbers
    focus: tuple[int, ...] = ()  # heads for which alone this round goes on; empty: all


@dataclass
class Campaign:
    """Runs the phases of a plan in a run folder, with the work done by an executor."""

    folder: RunFolder
    plan: Plan
    executor: Executor
    workers: int
    report: Report
    proposer: LLMProposer | None = None
    seconds: float | None = None  # no new unit is begun after so long; what is there is finished
    clock: Callable[[], float] = time.monotonic
    begun: float = field(init=False)
    scores: finish.Scores = field(init=False)
    _best: dict[int, float] = field(default_factory=dict)
    spent: dict[str, float] = field(default_factory=dict)  # seconds by phase
    figures: dict[str, float] = field(default_factory=dict)  # for the progress report
    interrupted: bool = False  # by Ctrl-C

    def __post_init__(self) -> None:
        self.begun = self.clock()
        self.scores = finish.Scores(self.folder, self.plan, self.executor)

    def run(self, names: dict[str, Any]) -> bool:
        """All phases. The outcome, after `names`, goes to result.json, or to partial.json if the run is cut short."""
        plan = self.plan
        try:
            search = "grammar" in plan.proposers
            if search or "library" in plan.proposers:
                self._phase("known", [(f"known/{h}", units.known, {"head": h}) for h in plan.heads])
            if search:
                starts = self._starts("known")
                jobs = [(f"heads/{h}", units.explore, {"head": h, "starts": starts[h]}) for h in plan.heads if h in starts]
                self._phase("heads", jobs)
                self._concepts()
            if self.proposer is not None:
                self._consult(self.proposer)
            if not self._units("known", "heads", "llm"):
                reason = "give the run more time" if self._late() else self.proposer and self.proposer.verdict()
                raise ValueError(f"no program was found: {reason or 'no proposer had one'}")
            starts = self._starts("known", "heads", "llm")
            others = self._programs_of_others("known", "heads", "llm")
            goals = plan.focus or plan.heads
            goes_on = [(f"refine/{h}", units.refine, {"head": h, "starts": starts.get(h, []), "others": others}) for h in goals]
            self._phase("refine", goes_on)
            self._share()
        except KeyboardInterrupt:
            self.interrupted = True  # what is there is worth finishing; a second Ctrl-C ends at once
        started = self.clock()
        self.report("finish", 0, 1, self.figures)
        complete = not self.interrupted and not self._late()
        outcome = {**names, **finish.outcome(self.folder, plan, self.executor, self.scores)}
        if self.proposer is not None:
            outcome["llm"] = {**self.proposer.summary(), "verdict": self.proposer.verdict()}
            self.folder.write("llm.json", outcome["llm"])
        self.folder.write("result.json" if complete else "partial.json", outcome)
        self.folder.keep_concepts([c["definition"] for c in outcome["concepts"]])
        self.report("finish", 1, 1, self.figures)
        self._spend("finish", started)
        return complete

    def _concepts(self) -> None:
        """Settles the concepts that the search makes for this model, from what they would do for each head; once for a run."""
        if self.folder.has(CONCEPTS):
            return
        starts = self._starts("heads")
        offered = units.concepts_of(program for own in starts.values() for program, _ in own[-1:])
        jobs = [(f"concepts/{h}", units.weigh, {"head": h, "starts": s, "offered": offered}) for h, s in starts.items()]
        self._phase("concepts", jobs)
        if all(self.folder.has(f"units/{name}.json") for name, *_ in jobs):
            self.folder.write(CONCEPTS, units.concepts(self.folder, self.plan.parsimony))

    def _share(self) -> None:
        """Programs for groups of heads, in rounds: what one round finds makes other groups in the next."""
        number = 0
        size = self.plan.library_size
        known: set[tuple[int, ...]] = set()
        for sizes in ((max(1, size // 2), size), (size,)):
            pool, iou = self._scores(with_shared=number)
            groups = [g for g in units.groups(pool, iou, self.plan.heads, sizes) if tuple(g["heads"]) not in known]
            self._phase("share", [(f"share/{number + i}", units.share, {"number": number + i, **g}) for i, g in enumerate(groups)])
            known |= {tuple(g["heads"]) for g in groups}
            number += len(groups)

    def _consult(self, proposer: LLMProposer) -> None:
        """The rounds of the language models, and the work on what they propose."""
        known: Known = {}
        for unit in [*self._units("known", "heads"), *self._earlier("refine")]:
            best = known.setdefault(unit["heads"][0], [])
            best += [(c["fit"], c["program"]) for c in unit["candidates"]]
            best.sort(key=lambda c: (-c[0], c[1]))

        def run_units(todo: list[tuple[str, int, list[str]]]) -> None:
            jobs = [(n, units.adopt, {"number": int(n.split("/")[1]), "head": h, "programs": p}) for n, h, p in todo]
            self._phase("llm", jobs)

        consult(self.folder, self.plan.heads, proposer, known, run_units, self._late)

    def _late(self) -> bool:
        return self.seconds is not None and self.clock() - self.begun > self.seconds

    def _spend(self, phase: str, started: float) -> None:
        self.spent[phase] = self.spent.get(phase, 0.0) + self.clock() - started

    def _phase(self, phase: str, jobs: Sequence[tuple[str, Callable[..., Any], dict[str, Any]]]) -> None:
        """Runs the units of a phase that have no result yet; each result is kept as soon as it is there."""
        started = self.clock()
        todo = [job for job in jobs if not self.folder.has(f"units/{job[0]}.json")]
        left = {job[0] for job in todo}
        for name, *_ in jobs:
            if name not in left:
                self._reached(self.folder.read(f"units/{name}.json"))
        done = len(jobs) - len(todo)
        running: dict[Future[Any], str] = {}
        queue = iter(todo)
        try:
            while True:
                while len(running) < self.workers and not self._late() and (job := next(queue, None)):
                    name, work, arguments = job
                    future = self.executor.submit(work, str(self.folder.path), asdict(self.plan), **arguments)
                    running[future] = name
                self.report(phase, done, len(jobs), self.figures)
                if not running:
                    return
                finished, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    result = future.result()
                    self.folder.write(f"units/{running.pop(future)}.json", result)
                    self._count(result)
                    done += 1
        finally:
            for future in running:
                future.cancel()
            self._spend(phase, started)

    def _count(self, result: dict[str, Any]) -> None:
        """Keeps the figures of the progress report: programs scored, the mean over heads of the best IoU on `select`."""
        self.figures["scored"] = self.figures.get("scored", 0) + result["counts"]["scored"]
        self.figures["seconds"] = self.clock() - self.begun
        self._reached(result)

    def _reached(self, result: dict[str, Any]) -> None:
        """The same of a unit that an earlier run of this folder has done."""
        for head in result["heads"] if len(result["heads"]) == 1 else ():
            self._best[head] = max(self._best.get(head, 0.0), result["select"])
        self.figures["select"] = sum(self._best.values()) / max(1, len(self._best))

    def _units(self, *phases: str) -> list[dict[str, Any]]:
        """The results of all finished units of these phases that proposed a program, in order."""
        return [unit for phase in phases for unit in finish.results(self.folder, phase) if unit["candidates"]]

    def _earlier(self, phase: str) -> list[dict[str, Any]]:
        """The same of the rounds before this one."""
        return [unit for unit in finish.results(self.folder, phase, 0) if unit["candidates"]]

    def _starts(self, *phases: str) -> dict[int, list[units.Start]]:
        """For each head what the search goes on from: the best program of each of these phases."""
        starts: dict[int, list[units.Start]] = {}
        for phase in phases:
            for head, program, root in units.best_of(self._units(phase), self.plan.parsimony, 1 + (phase == "known")):
                starts.setdefault(head, []).append((program, root))
        for head, program, root in units.best_of(self._earlier("refine"), self.plan.parsimony, 1):
            starts.setdefault(head, []).append((program, root))
        return starts

    def _programs_of_others(self, *phases: str) -> str:
        """Writes the best program of each head where all units find it, and says where."""
        name = "units/others.json"
        best = {}
        for head, program, root in units.best_of(self._units(*phases), self.plan.parsimony, 1):
            best[head] = (head, program, root)  # of a later phase where there is one
        self.folder.write(name, list(best.values()))
        return name

    def _scores(self, with_shared: int) -> tuple[finish.Pool, np.ndarray]:
        """The programs that may stand in a library, and their IoU (P, H) on `select` for every head.

        with_shared: how many units of shared programs of this round count, so that a run gone on with sees what it saw before.
        """
        started = self.clock()
        try:
            pool, _ = finish.gather(self.folder, BEFORE_SHARED, self.plan, with_shared)
            eligible = finish.shareable(pool, self.plan)
            return eligible, self.scores(eligible.programs, "select")
        finally:
            self._spend("scoring", started)
