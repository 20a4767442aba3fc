"""A language model is asked for a shorter program of one head; what it says is fitted, scored and shown, never saved by itself."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from harness.errors import UserError

if TYPE_CHECKING:
    from dsl.nodes import Concept, Program
    from search.llm.backend import Answer, Messages
    from search.llm.start import Opened
    from search.problem import Problem

TEXTS = 8  # of `fit` that a prompt tells of
WISH = (
    "A SHORTER program is wanted now: fewer than {size} tokens of program text (words, numbers, signs, brackets and strings count "
    "one each), in the language, not in Python. Keep what adds most, say the rest in one rule or leave it out. Losing {price:.3f} "
    "of score for {tokens} tokens less is a good bargain."
)
BARGAIN = 10  # tokens of the example in WISH


@dataclass
class Adviser:
    """Language models that were named with --llm, their budget, and the answers that the run folder keeps."""

    opened: Opened
    folder: Path  # RUN/serve
    say: Callable[[str], None]
    lock: Lock = field(default_factory=Lock)
    asked: Counter[str] = field(default_factory=Counter)  # how often each question was put since the start

    def __post_init__(self) -> None:
        from search.llm.ask import Asker
        from search.llm.budget import Ledger
        from search.llm.store import AnswerStore

        self.ledger = Ledger(self.opened.settings, self.opened.prices)
        store = AnswerStore(self.folder)
        self.asker = Asker(self.opened.settings, self.opened.backend, store, self.ledger, time.sleep, self.say)

    def ask(self, messages: Messages, place: tuple[int, int]) -> tuple[str, Answer]:
        """The model's name and its answer; the same question once more is another sample.

        Raises UserError, one line: the budget is spent, no model is left, or why there was no answer.
        """
        from search.llm.ask import Draft
        from search.llm.backend import KINDS, Answer

        with self.lock:
            sample = self.asked[repr(messages)]
            self.asked[repr(messages)] += 1
            (outcome,) = self.asker.ask([Draft(messages, place, sample, "refine")])
            if outcome.request is None or outcome.result is None:
                left = "no language model is left to ask" if not self.asker.live else "the budget for language models is spent"
                raise UserError(f"{left} ({self.spent()})")
            if not isinstance(outcome.result, Answer):
                raise UserError(f"{KINDS[outcome.result.kind].meaning}: {outcome.result}")
            return outcome.request.model, outcome.result

    def spent(self) -> str:
        """Calls, tokens and costs so far, in words."""
        from harness import output

        found = self.ledger.total.record()
        cost = "" if not found["usd"] else f", ${found['usd']:.4f}"
        return f"{output.plural(found['calls'], 'call')}, {found['tokens']:,} tokens{cost}"


def question(
    opened: Opened,
    sample: Problem,
    place: tuple[int, int],
    row: int,
    program: Program,
    price: float,
    concepts: Mapping[str, Concept],
) -> Messages:
    """What is known of the head, its program with what each rule adds, and the wish for a shorter one.

    sample: a few texts of `fit`, on which the program is judged for the prompt; row: the head's in it; price: of a token, in IoU.
    """
    from dsl import simplify, size
    from search.llm.compose import compose
    from search.llm.evidence import HeadEvidence
    from search.llm.refine import RoundState, feedback
    from search.scoring import score

    evidence = HeadEvidence(*place, sample.causal, sample.texts_given, sample.matrices(row))

    def scorer(p: Program) -> float:
        return float(sample.domains.mean(score([p], sample, [row]))[0, 0])

    state = RoundState(score=scorer(program), best=program, matrices=sample.patterns(program), scorer=scorer)
    prompt = compose(evidence, opened.template, opened.settings.prompt_tokens, feedback(evidence, state))
    wish = WISH.format(size=size(simplify(program)), price=price * BARGAIN, tokens=BARGAIN)
    if concepts:
        wish += "\nConcepts at hand:\n" + "\n".join(map(str, concepts.values()))
    *before, (role, text) = prompt
    return (*before, (role, f"{text}\n\n{wish}"))


def usable(answer: Answer, program: Program, concepts: Mapping[str, Concept]) -> list[Program]:
    """The programs of an answer in canonical form. Raises UserError, one line, where there is none in the language."""
    from dsl import simplify
    from search.llm.answers import read_answer, read_language

    found, problems = [], []
    for candidate in read_answer(answer.text, answer.finish == "length", [str(program)]):
        if candidate.form != "language" and candidate.problem is None:
            problems.append("a program in Python; here only the language is taken")
            continue
        if candidate.form == "language" and concepts:
            candidate = read_language(candidate.source, concepts)
        if candidate.program is None:
            problems.append(candidate.problem or "no program")
        else:
            found.append(simplify(candidate.program))
    if not found:
        raise UserError(f"nothing usable in the answer: {problems[0]}")
    return list(dict.fromkeys(found))


def best_of(programs: list[Program], fit: Problem, select: Problem, row: int, price: float, below: int) -> dict[str, Any]:
    """The program with the highest IoU on `select` less the price of its length, constants fitted; with IoU and size.

    Programs of less than `below` tokens come before all others, whatever these reach.
    """
    from dsl import simplify, size
    from search.fitting import fit_constants
    from search.scoring import score

    fitted = [simplify(fit_constants(p, fit, [row])) for p in programs]
    values = select.domains.mean(score(fitted, select, [row]))[:, 0]  # (P,)
    merit = [(size(p) < below, float(v) - price * size(p)) for v, p in zip(values, fitted, strict=True)]
    i = max(range(len(fitted)), key=merit.__getitem__)
    return {"program": str(fitted[i]), "iou": float(values[i]), "size": size(fitted[i])}
