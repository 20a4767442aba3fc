"""Programs of kinds in which a lift could be wrong without a word: right, or refused at the line that says so."""

from __future__ import annotations

import numpy as np
import pytest

from dsl import Batch, evaluate, simplify
from dsl.lift import Refusal, lift
from dsl.nodes import Program
from tests.dsl import oracle
from tests.dsl.lift_kinds import KINDS
from tests.dsl.lift_plain import run_plainly
from tests.dsl.test_lift import SENTENCES, annotated

FIRST = SENTENCES[0].split(" ")
TEXTS = [
    *map(annotated, (SENTENCES[0], SENTENCES[2], SENTENCES[3])),
    *(annotated(" ".join(FIRST[:size])) for size in (1, 2, 3, 9)),
    annotated("<s> ▁a , ▁b ; ▁c . ▁d ; <0x0A> ▁e"),
    annotated("<s> ▁a ▁b ▁a ▁b ▁a ▁a"),
    annotated("<s> . . ."),
    annotated("<s> ▁no ▁stops ▁at ▁all ▁the ▁no ▁more ▁the"),
]
SHORT = 4  # texts of so many tokens are evaluated by the naive double loop, too


def wrong(source: str) -> str:
    """What is wrong with the lift of a program; "" if nothing is."""
    lines = source.split("\n")
    try:
        program = simplify(lift(source).program)
    except Refusal as refusal:
        marked = 0 < refusal.line <= len(lines) and lines[refusal.line - 1].endswith("#!")
        return "" if marked and refusal.reason else f"refused at line {refusal.line}: {refusal.reason}"
    return compared(source, program)


def compared(source: str, program: Program) -> str:
    ran = 0
    for causal in (True, False):
        for pattern, text in zip(evaluate(program, Batch(TEXTS, causal)), TEXTS, strict=True):
            n = len(text)
            try:
                expected = run_plainly(source, text, causal)
            except (IndexError, KeyError, ValueError, TypeError, UnboundLocalError):
                continue  # Python itself refuses this text
            ran += 1
            if not np.isfinite(expected).all():
                continue  # no pattern
            if not np.abs(pattern[:n, :n] - expected).max() <= 1e-6:
                return f"another matrix on {' '.join(text.tokens)}: {program}"
            if n <= SHORT and not np.abs(oracle.pattern(program, text, causal) - expected).max() <= 1e-6:
                return f"another matrix by the naive loop on {' '.join(text.tokens)}: {program}"
    return "" if ran else "Python runs it on no text"


@pytest.mark.parametrize("kind", KINDS)
def test_every_program_of_a_kind_is_lifted_right_or_refused_at_its_line(kind: str) -> None:
    found = {name: w for name, source in KINDS[kind].items() if (w := wrong(source))}
    assert not found, "\n".join(f"{name}: {w}" for name, w in found.items())
