"""A campaign: from attention matrices and texts in a run folder to programs for each head and a small library.

    heads     for each head on its own: known patterns, rule induction, fitted constants                     (one unit a head)
    llm       language models propose for heads; what they say is fitted and evolved              (one unit a head and round)
    exchange  every program is scored on every head; mutation and crossover with the best of other heads    (one unit a head)
    share     one program for each group of heads that the same program nearly serves                       (one unit a group)
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
from search.folder import RunFolder
from search.selection import MAX_RULES, PARSIMONY

if TYPE_CHECKING:
    import numpy as np

    from search.llm.proposer import LLMProposer

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
            if set(plan.proposers) & {"library", "grammar"}:
                self._phase("heads", [(f"heads/{h}", units.explore, {"head": h}) for h in plan.heads])
            if self.proposer is not None:
                self._consult(self.proposer)
            pool, iou = self._scores("heads", "llm")
            if not pool.programs:
                reason = "give the run more time" if self._late() else self.proposer and self.proposer.verdict()
                raise ValueError(f"no program was found: {reason or 'no proposer had one'}")
            starts = {h: units.starts(pool, iou, h, column) for column, h in enumerate(plan.heads)}
            if plan.focus:
                starts = {h: starts[h] for h in plan.focus}
            self._phase("exchange", [(f"exchange/{h}", units.exchange, {"head": h, **s}) for h, s in starts.items()])
            pool, iou = self._scores("heads", "llm", "exchange")
            groups = units.groups(pool, iou, plan.heads, (max(1, plan.library_size // 2), plan.library_size))
            self._phase("share", [(f"share/{i}", units.share, {"number": i, **g}) for i, g in enumerate(groups)])
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
        self.report("finish", 1, 1, self.figures)
        self._spend("finish", started)
        return complete

    def _consult(self, proposer: LLMProposer) -> None:
        """The rounds of the language models, and the work on what they propose."""
        known: Known = {}
        for head in self.plan.heads:
            if self.folder.has(f"units/heads/{head}.json"):
                unit = self.folder.read(f"units/heads/{head}.json")
                known[head] = [(c["fit"], c["program"]) for c in unit["candidates"]]

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
        for head in result["heads"] if len(result["heads"]) == 1 else ():
            self._best[head] = max(self._best.get(head, 0.0), result["select"])
        self.figures["select"] = sum(self._best.values()) / max(1, len(self._best))

    def _scores(self, *phases: str) -> tuple[finish.Pool, np.ndarray]:
        """All programs of these phases, and their IoU (P, H) on `fit` for every head."""
        started = self.clock()
        try:
            pool, _ = finish.gather(self.folder, phases, self.plan)
            return pool, self.scores(pool.programs, "fit")
        finally:
            self._spend("scoring", started)
