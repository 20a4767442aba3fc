"""The LLM proposer: evidence and state of some heads in, programs out."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Protocol

from dsl.nodes import Program
from search.llm.answers import Candidate, read_answer
from search.llm.ask import Asker, Draft, Outcome
from search.llm.backend import KINDS, Answer, Backend, BackendError, Messages, Request
from search.llm.budget import Ledger
from search.llm.compose import compose, correction, surveying
from search.llm.conversation import Conversation, ToolsRefused, converse
from search.llm.envelopes import blocks
from search.llm.evidence import HeadEvidence
from search.llm.prompt import Template, default_template, parse_template
from search.llm.protocol import TEXT
from search.llm.recording import MODEL, name_of
from search.llm.refine import Progress, RoundState, feedback, plan
from search.llm.settings import LLMSettings, Price, to_record
from search.llm.store import AnswerStore
from search.llm.survey import SURVEY_TOOLS, Survey
from search.llm.survey import chosen as best_templates
from search.llm.tools.desk import Desk, Tried
from search.llm.tools.table import TOOLS, Tool


class Translation(Protocol):
    """What became of a Python source; search.validate.LiftRecord is one. status: lifted, refused, differs or failed."""

    @property
    def status(self) -> str: ...
    @property
    def program(self) -> Program | None: ...
    @property
    def reason(self) -> str: ...
    @property
    def line(self) -> int | None: ...


Translate = Callable[[str], Translation]

USABLE = ("lifted", "parsed")
STATUSES = ("lifted", "parsed", "refused", "differs", "failed", "unusable")


@dataclass(frozen=True)
class Proposal:
    """One program of an answer, or why there is none.

    status: lifted (Python, validated), parsed (the language), refused (cannot be lifted), differs (lifted wrongly), failed
    (does not run), unusable (no program). program is set for lifted and parsed ones.
    """

    head: tuple[int, int]
    source: str
    form: str  # python or language
    program: Program | None
    status: str
    reason: str | None = None
    line: int | None = None
    model: str = ""
    key: str = ""  # of the request: RUN/llm/KEY.json
    corrected: bool = False  # the answer to a correction
    merit: float | None = None  # of a program tried in a conversation: IoU on `select` less what its size costs

    def record(self) -> dict[str, Any]:
        """JSON data; `from_record` gives the proposal back."""
        program = None if self.program is None else str(self.program)
        return {**{f.name: getattr(self, f.name) for f in fields(self)}, "head": list(self.head), "program": program}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Proposal:
        from dsl.parser import parse

        program = None if record["program"] is None else parse(record["program"])
        return cls(**{**record, "head": tuple(record["head"]), "program": program})


@dataclass(frozen=True, eq=False)
class HeadTask:
    evidence: HeadEvidence
    state: RoundState = field(default_factory=RoundState)
    desk: Desk | None = None  # for a conversation with tools
    known: str = ""  # what is known of the head, for its first message


class LLMProposer:
    """Asks models for programs. Same tasks and same answers give the same proposals, in the order of the tasks.

    backend may have `close()` (ends calls under way) and `available(head) -> int` (how many answers it holds).
    prices: US dollars per million tokens by model, None where unknown. Raises ValueError where a limit in US dollars meets an
    unknown price. say gets one line per kind of failure; stop is asked before each wave of requests.
    """

    def __init__(
        self,
        settings: LLMSettings,
        backend: Backend,
        folder: Path,
        translate: Translate,
        *,
        prices: Mapping[str, Price | None] | None = None,
        template: Template | None = None,
        sleep: Callable[[float], None] | None = None,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.settings, self.backend, self.translate, self.say = settings, backend, translate, say
        self.template = template or default_template()
        known = prices if prices is not None else {m.name: settings.prices.get(m.name) for m in settings.models}
        self.ledger = Ledger(settings, dict(known))
        self.store = AnswerStore(folder)
        self._ended = threading.Event()
        self.asker = Asker(settings, backend, self.store, self.ledger, sleep or self._pause, say)
        self.statuses: dict[str, Counter[str]] = {}  # by head name, in order of first proposal
        self.answers = 0
        self.served: set[tuple[int, int]] = set()  # heads with a usable program
        self._said: set[str] = set()
        self._failed: list[dict[str, Any]] = []
        self.concepts: dict[str, str] = {}  # defined in conversations so far: name, definition
        self.endings: list[dict[str, Any]] = []  # of the last conversations: head, rounds, why it ended
        prices_used = {name: [p.input, p.output] for name, p in known.items() if p is not None}
        self._record = {**to_record(settings), "prices": prices_used, "template": dict(self.template.sections)}

    @property
    def exhausted(self) -> bool:
        """Whether further rounds can bring nothing: the budget is spent, or no model is left."""
        return self.ledger.spent or self.asker.stuck or not self.asker.live

    def plan(self, progress: Sequence[Progress], count: int) -> list[tuple[int, int]]:
        """The next heads to ask about, at most `count`; [] when exhausted. See refine.plan for the order."""
        if self.exhausted:
            return []
        return plan([p for p in progress if p.asked * self.settings.samples < self._available(p.head)], count)

    def surveys(self) -> bool:
        """Whether there can be a conversation about the whole model."""
        return self.settings.rounds > 0 and self.settings.survey and not self.exhausted and self._available(MODEL) > 0

    def propose(self, tasks: Sequence[HeadTask], stop: Callable[[], bool] = lambda: False) -> list[Proposal]:
        """One round: `samples` requests per task, answers read and translated, errors sent back once.

        Proposals come in the order of the tasks, those of corrections last.
        """
        self.store.put_settings(self._record)
        self._failed.clear()
        drafts: list[Draft] = []
        owners: list[HeadTask] = []
        for task in tasks:
            messages = self.messages(task, self.settings.prompt_tokens)
            purpose = "propose" if task.state.best is None else "refine"
            first = task.state.round * self.settings.samples
            for sample in range(first, min(first + self.settings.samples, self._available(task.evidence.key))):
                drafts.append(Draft(messages, task.evidence.key, sample, purpose))
                owners.append(task)
        outcomes = self._shortened(drafts, owners, self._ask(drafts, stop), stop)
        proposals: list[Proposal] = []
        returned: list[Draft] = []
        for outcome in outcomes:
            if isinstance(outcome.result, Answer) and outcome.request is not None:
                candidates = self._read(outcome.request, outcome.result)
                proposals += [p for p, _ in candidates]
                problems = [_problem(p) for p, mendable in candidates if mendable]
                if problems and self.settings.corrections:
                    returned.append(self._correction(outcome.request, outcome.result, problems))
        for outcome in self._ask(returned, stop):
            if isinstance(outcome.result, Answer) and outcome.request is not None:
                proposals += [replace(p, corrected=True) for p, _ in self._read(outcome.request, outcome.result)]
        return proposals

    def converse(self, tasks: Sequence[HeadTask], stop: Callable[[], bool] = lambda: False) -> list[Proposal]:
        """A conversation with tools for each task that has a desk, all side by side; what was tried, in the order of the tasks."""
        self.store.put_settings(self._record)
        self._failed.clear()
        self.endings = []
        over = self._talked(
            lambda: [
                self._begun(task, task.desk, n) for task in tasks if task.desk is not None for n in range(self.settings.samples)
            ],
            stop,
        )
        proposals: list[Proposal] = []
        for c in over:
            self.answers += len(c.keys)
            self.endings.append({"head": list(c.head), "rounds": len(c.keys), "ended": c.ended})
            self.concepts |= {name: str(concept) for name, concept in c.desk.concepts.items()}
            found = [self._tried(c, t, c.keys[at]) for t, at in zip(c.desk.tried, c.asked_at, strict=True)]
            self._count(found)
            proposals += found
        return proposals

    def survey(self, desk: Survey, stop: Callable[[], bool] = lambda: False) -> list[Proposal]:
        """The conversation about the whole model; for each head the fitted template of highest merit, and what was tried in vain
        (as of the head MODEL)."""
        self.store.put_settings(self._record)
        self._failed.clear()
        begun = lambda: [Conversation(MODEL, desk, surveying(self.template, desk, self.settings))]  # noqa: E731
        (c,) = self._talked(begun, stop, SURVEY_TOOLS)
        assert isinstance(c.desk, Survey)
        self.answers += len(c.keys)
        self.endings = [{"head": list(MODEL), "rounds": len(c.keys), "ended": c.ended}]
        self.concepts |= {name: str(concept) for name, concept in c.desk.concepts.items()}
        proposals = [self._tried(c, t, c.keys[at]) for t, at in zip(c.desk.tried, c.asked_at, strict=True) if t.program is None]
        for row, program, merit in best_templates(c.desk):
            head = divmod(row, desk.per_layer)
            proposals.append(
                Proposal(head, str(program), "language", program, "parsed", None, None, c.model or "", c.keys[-1], merit=merit)
            )
        self._count(proposals)
        return proposals

    def _talked(
        self, begin: Callable[[], list[Conversation]], stop: Callable[[], bool], tools: Mapping[str, Tool] = TOOLS
    ) -> list[Conversation]:
        """Conversations at their end: natively, or in plain text where that is set or the server takes no tools."""
        protocol = TEXT if self.settings.protocol == "auto" else self.settings.protocol
        try:
            return converse(begin(), self.settings.rounds, protocol, lambda drafts: self._ask(drafts, stop), tools)
        except ToolsRefused:
            self._failed.clear()  # it was no failure: asked otherwise it is answered
            self.say("the server takes no tool calls: they go in plain text")
            self._in_text()
            return converse(begin(), self.settings.rounds, TEXT, lambda drafts: self._ask(drafts, stop), tools)

    def _in_text(self) -> None:
        """All that follows is said in plain text, and a replay of it too."""
        self.settings = replace(self.settings, protocol=TEXT)
        self._record["protocol"] = TEXT
        self.store.put_settings(self._record)

    def _count(self, proposals: Sequence[Proposal]) -> None:
        for p in proposals:
            self.statuses.setdefault(name_of(p.head), Counter())[p.status] += 1
            if p.status in USABLE:
                self.served.add(p.head)

    def _begun(self, task: HeadTask, desk: Desk, n: int) -> Conversation:
        from search.llm.compose import opening

        messages = opening(task.evidence, self.template, desk, task.known, self.settings)
        return Conversation(task.evidence.key, desk, messages, task.state.round * self.settings.samples + n)

    def _tried(self, c: Conversation, t: Tried, key: str) -> Proposal:
        merit = t.merit if t.program is not None else None
        return Proposal(c.head, t.source, t.form, t.program, t.status, t.problem, t.line, c.model or "", key, merit=merit)

    def messages(self, task: HeadTask, budget: int) -> Messages:
        """The prompt for a task, of about `budget` tokens at most."""
        return compose(task.evidence, self.template, budget, feedback(task.evidence, task.state))

    def failures(self) -> list[dict[str, Any]]:
        """The calls of the last round that failed and may succeed another time: head, kind, message. None of a replay: it cannot
        change."""
        return [] if getattr(self.backend, "recorded", False) else list(self._failed)

    def close(self) -> None:
        """Ends calls under way and pauses before retries."""
        self._ended.set()
        end = getattr(self.backend, "close", None)
        if end is not None:
            end()

    def state(self) -> dict[str, Any]:
        """What was spent and learnt so far, as JSON data: a resumed campaign that skips earlier rounds needs it for its budget."""
        return {
            "ledger": self.ledger.state(),
            "asker": self.asker.state(),
            "statuses": {name: dict(counts) for name, counts in self.statuses.items()},
            "answers": self.answers,
            "served": sorted(self.served),
            "concepts": self.concepts,
            "protocol": self.settings.protocol,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on from a `state`."""
        self.ledger.restore(state["ledger"])
        self.asker.restore(state["asker"])
        self.statuses = {name: Counter(counts) for name, counts in state["statuses"].items()}
        self.concepts = dict(state.get("concepts", {}))
        if state.get("protocol") == TEXT != self.settings.protocol:
            self._in_text()
        self.answers, self.served = state["answers"], {(layer, head) for layer, head in state["served"]}

    def summary(self) -> dict[str, Any]:
        """Spending, answers, programs by status, failures by kind: JSON data, the same for a run and its replay."""
        ledger = self.ledger
        totals = sum(self.statuses.values(), Counter())
        heads = {}
        for head, spending in sorted(ledger.heads.items()):
            name = name_of(head)
            heads[name] = {
                **spending.record(),
                "programs": {s: n for s in STATUSES if (n := self.statuses.get(name, Counter())[s])},
            }
        return {
            "models": {name: spending.record() for name, spending in sorted(ledger.models.items())},
            **ledger.total.record(),
            "answers": self.answers,
            "programs": {status: totals[status] for status in STATUSES},
            "usable": sum(totals[status] for status in USABLE),
            "heads_asked": sum(head != MODEL for head in ledger.heads),
            "heads_served": len(self.served),
            "failures": dict(sorted(ledger.failures.items())),
            "not_sent": ledger.denied,
            "moved": ledger.moved,
            "missing": ledger.missing,
            "heads": heads,
        }

    def verdict(self) -> str | None:
        """None where the run may count as a success; else one line that says why no answer helped."""
        if self.settings.allow_failure or self.served:
            return None
        failures = ", ".join(f"{n} x {kind}" for kind, n in sorted(self.ledger.failures.items()))
        unusable = ", ".join(f"{n} {s}" for s, n in sum(self.statuses.values(), Counter()).items())
        unsent = f"{self.ledger.denied} requests not sent: no budget or no model was left" if self.ledger.denied else ""
        reasons = "; ".join(filter(None, (failures, unusable, unsent))) or "nothing was asked"
        return f"no answer of a language model was usable ({reasons})"

    def _available(self, head: tuple[int, int]) -> int:
        """How many answers there can be for a head: as many as wanted, but for a replay."""
        available = getattr(self.backend, "available", None)
        return sys.maxsize if available is None else available(head)

    def _ask(self, drafts: Sequence[Draft], stop: Callable[[], bool]) -> list[Outcome]:
        outcomes = self.asker.ask(drafts, stop)
        for o in outcomes:
            if isinstance(o.result, BackendError) and o.request is not None and KINDS[o.result.kind].another_time:
                self._failed.append({"head": list(o.request.head), "kind": o.result.kind, "message": str(o.result)})
        return outcomes

    def _pause(self, seconds: float) -> None:
        self._ended.wait(seconds)

    def _shortened(
        self, drafts: Sequence[Draft], owners: Sequence[HeadTask], outcomes: list[Outcome], stop: Callable[[], bool]
    ) -> list[Outcome]:
        """Prompts that were too long for their model are sent once more at half the size."""
        long = [i for i, o in enumerate(outcomes) if isinstance(o.result, BackendError) and o.result.kind == "context"]
        budget = self.settings.prompt_tokens // 2
        again = []
        for i in long:
            request = outcomes[i].request
            model = request.model if request is not None else None
            again.append(replace(drafts[i], messages=self.messages(owners[i], budget), model=model))
        for i, outcome in zip(long, self._ask(again, stop), strict=True):
            outcomes[i] = outcome
        return outcomes

    def _read(self, request: Request, answer: Answer) -> list[tuple[Proposal, bool]]:
        """Proposals of an answer, each with whether it is worth sending back."""
        self.answers += 1
        bases = [b.body for message in reversed(request.messages) for b in reversed(blocks(message[1])) if b.whole]
        candidates = read_answer(answer.text, cut_off=answer.finish == "length", bases=bases)
        read = [self._proposal(request, c) for c in candidates]
        name = f"L{request.head[0]}H{request.head[1]}"
        for proposal, _ in read:
            self.statuses.setdefault(name, Counter())[proposal.status] += 1
            if proposal.status in USABLE:
                self.served.add(request.head)
            elif not proposal.source and proposal.reason not in self._said:
                self._said.add(str(proposal.reason))
                self.say(f"{request.model}: {proposal.reason} for {name}")
        return read

    def _proposal(self, request: Request, c: Candidate) -> tuple[Proposal, bool]:
        proposal = Proposal(request.head, c.source, c.form, c.program, "parsed", model=request.model, key=request.key)
        if c.problem is not None:
            return replace(proposal, status="unusable", reason=c.problem, line=c.line), c.mendable
        if c.program is not None:
            return proposal, False
        found = self.translate(c.source)
        lifted = found.status == "lifted"
        program, reason = (found.program, None) if lifted else (None, found.reason)
        made = replace(proposal, program=program, status=found.status, reason=reason, line=found.line)
        return made, found.status in ("refused", "failed")

    def _correction(self, request: Request, answer: Answer, problems: Sequence[str]) -> Draft:
        messages = correction(request.messages, answer.text, self.template, "\n".join(problems))
        return Draft(messages, request.head, request.sample, "correct", request.model)


def _problem(p: Proposal) -> str:
    """One line for a model: which program, which line, what is wrong."""
    where = f"line {p.line}" if p.line else "the whole"
    lines = p.source.split("\n")
    code = f" (`{lines[p.line - 1].strip()}`)" if p.line and p.line <= len(lines) and lines[p.line - 1].strip() else ""
    first = next((line.strip() for line in lines if line.strip().startswith("def ")), lines[0].strip() if lines else "")
    return f"The program that begins `{first[:80]}`: {where}{code}: {p.reason}"


def recorded_template(store: AnswerStore) -> Template | None:
    """The template that the answers of a run were asked with, for its replay."""
    record = store.settings()
    sections = (record or {}).get("template")
    if not isinstance(sections, dict):
        return None
    text = "\n".join(f"=== {name}\n{body}" for name, body in sections.items())
    return parse_template(text, "the recorded template")
