"""Proof by example: a lifted program against its original, run in the sandbox on several texts."""

from __future__ import annotations

import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from dsl import simplify
from dsl.batch import Batch
from dsl.evaluator import evaluate
from dsl.lift import Refusal, lift
from dsl.nodes import Program
from dsl.text import Text, facts_of, prefix
from dsl.vocabulary import VOCABULARY

if TYPE_CHECKING:
    from sandbox.pool import Sandbox

TOLERANCE = 1e-6
TEXTS = 5
PREFIXES = (1, 2, 3, 5, 9, 20)  # tokens
TIMED = 32  # texts of the batch on which the language is timed


@dataclass(frozen=True)
class Validation:
    """How a program compares with its original.

    status: "lifted" (equal within TOLERANCE on every text), "differs", or "failed" (the original gives no matrix on these
    texts). Seconds are per text, inside the sandbox.
    """

    status: Literal["lifted", "differs", "failed"]
    max_abs_difference: float | None
    seconds_python: float | None
    reason: str = ""


@dataclass(frozen=True)
class LiftRecord:
    """What became of one source file: the record that `headscript lift --json` prints, the file's name aside.

    Seconds are per text: of the original inside the sandbox, and of the language in a batch of 32 that has met the program
    before, as in a search; on the same texts.
    """

    status: Literal["lifted", "refused", "differs", "failed"]
    program: Program | None = None
    name: str = ""
    reason: str = ""
    line: int | None = None
    max_abs_difference: float | None = None
    seconds_python: float | None = None
    seconds_dsl: float | None = None


def validation_texts(texts: Sequence[Text], count: int = TEXTS) -> tuple[Text, ...]:
    """The shortest, the longest, the one with most repeated tokens, most punctuation, most sentences; then others, in order."""
    punctuation = VOCABULARY["punctuation"].evaluate

    def share_repeated(t: Text) -> float:
        return 1 - len(set(t.tokens)) / max(1, len(t))

    def share_punctuation(t: Text) -> float:
        return sum(map(punctuation, t.tokens)) / max(1, len(t))

    def sentences(t: Text) -> float:
        return sum(any(mark in token for mark in ".!?") for token in t.tokens)

    chosen: list[Text] = []
    for measure in (lambda t: -len(t), len, share_repeated, share_punctuation, sentences):
        rest = [t for t in texts if not any(t is c for c in chosen)]
        if rest and len(chosen) < count:
            chosen.append(max(rest, key=measure))
    for t in texts:
        if len(chosen) >= count:
            break
        if not any(t is c for c in chosen):
            chosen.append(t)
    return tuple(chosen)


def validate(source: str, program: Program, texts: Sequence[Text], causal: bool, sandbox: Sandbox) -> Validation:
    """Runs the original on the texts and compares matrices. Raises ValueError without texts."""
    if not texts:
        raise ValueError("validation needs at least one text")
    result = sandbox.run(source, texts, causal=causal)
    if not result.ok:
        reason = f"the original does not run on these texts ({result.outcome}): {result.reason}"
        return Validation("failed", None, None, reason)
    patterns = evaluate(program, Batch(texts, causal))
    worst, where = 0.0, 0
    for b, (text, matrix) in enumerate(zip(texts, result.matrices, strict=True)):
        n = len(text)
        difference = float(abs(patterns[b, :n, :n] - matrix).max()) if n else 0.0
        if not difference <= worst:  # NaN counts as different
            worst, where = difference, b
    status: Literal["lifted", "differs"] = "lifted" if worst <= TOLERANCE else "differs"
    reason = "" if status == "lifted" else f"weights differ by {worst:.2g} on text {where + 1} of {len(texts)}"
    return Validation(status, worst, result.seconds_call / len(texts), reason)


def seconds_known(program: Program, texts: Sequence[Text], causal: bool) -> float:
    """Per text, of evaluating a program on a batch of 32 (these texts over and over) that has met it: the least of three times."""
    batch = Batch(tuple(islice(cycle(texts), TIMED)), causal)
    times = []
    for _ in range(5):  # at the second time the batch begins to keep what the texts alone decide
        started = time.perf_counter()
        evaluate(program, batch)
        times.append(time.perf_counter() - started)
    return min(times[2:]) / len(batch)


def internal_error(error: Exception) -> str:
    """Where in the project's own code an exception arose."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    path = Path(frame.filename)
    return f"internal error in {path.parent.name}/{path.name}:{frame.lineno} ({type(error).__name__}: {error}), please report"


def prefixes(texts: Sequence[Text]) -> tuple[Text, ...]:
    """Of each text its first 1, 2, 3… tokens, each once."""
    made = [prefix(t, size) for t in texts for size in PREFIXES if size < len(t)]
    return tuple({(t.tokens, t.words): t for t in made}.values())


def differs_on(source: str, program: Program, texts: Sequence[Text], causal: bool, sandbox: Sandbox) -> tuple[float, Text] | None:
    """The largest difference beyond TOLERANCE and its text. Texts on which the original fails have no pattern to compare with."""
    if not texts:
        return None
    result = sandbox.run(source, texts, causal=causal)
    if not result.ok:
        if len(texts) == 1 or result.outcome not in ("error", "invalid"):
            return None
        half = len(texts) // 2
        parts = [differs_on(source, program, part, causal, sandbox) for part in (texts[:half], texts[half:])]
        return max((p for p in parts if p is not None), key=lambda p: p[0], default=None)
    worst: tuple[float, Text] | None = None
    for pattern, text, matrix in zip(evaluate(program, Batch(texts, causal)), texts, result.matrices, strict=True):
        n = len(text)
        difference = float(abs(pattern[:n, :n] - matrix).max())
        if not difference <= (TOLERANCE if worst is None else worst[0]):
            worst = difference, text
    return worst


def lift_and_validate(
    source: str,
    texts: Sequence[Text],
    causal: bool,
    sandbox: Sandbox | None,
    *,
    odd: Sequence[Text] = (),
    timed: bool = True,
) -> LiftRecord:
    """Lifts a source to its canonical form and proves it on up to five of the texts, on their first few tokens, and on odd texts.

    On the five the original must run; on the others it may fail. Without a sandbox the proof is left out. An exception of the
    lifter itself is status "failed", with the reason "internal error in …".

    timed: also measure `seconds_dsl`, which takes some evaluations of the program on many texts.
    """
    try:
        lifted = lift(source, facts_of(texts))
        program = simplify(lifted.program)
    except Refusal as refusal:
        return LiftRecord("refused", reason=refusal.reason, line=refusal.line or None)
    except Exception as error:  # a defect of the lifter; the other programs go on
        return LiftRecord("failed", reason=internal_error(error))
    if sandbox is None:
        return LiftRecord("lifted", program, lifted.name)
    chosen = validation_texts(texts)
    found = validate(source, program, chosen, causal, sandbox)
    if found.status == "lifted":
        worse = differs_on(source, program, (*prefixes(chosen), *odd), causal, sandbox)
        if worse is not None:
            reason = f"weights differ by {worse[0]:.2g} on {worse[1].text[:60]!r}"
            found = Validation("differs", worse[0], found.seconds_python, reason)
    return LiftRecord(
        found.status,
        program,
        lifted.name,
        found.reason,
        None,
        found.max_abs_difference,
        found.seconds_python,
        seconds_known(program, chosen, causal) if timed else None,
    )
