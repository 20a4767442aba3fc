"""Programs without a run: evaluated on tokens, lifted from Python."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dsl import Program, parse

if TYPE_CHECKING:
    import numpy as np

    from dsl.text import Text


def evaluate(program: str | Program, text: Text | Sequence[str], causal: bool = True) -> np.ndarray:
    """(n, n) float32, query x key: the attention pattern of a program on a text, or on tokens alone. Rows sum to 1, or to 0.

    Tokens alone have neither embeddings nor annotated words. Raises LanguageError for a program that cannot be read.

    >>> evaluate("when dist == 1 add 1", ["A", " cat", " sat"])
    array([[0., 0., 0.],
           [1., 0., 0.],
           [0., 1., 0.]], dtype=float32)
    """
    from dsl import Batch
    from dsl import evaluate as evaluated
    from dsl.text import Text, plain_text

    read = parse(program) if isinstance(program, str) else program
    return evaluated(read, Batch([text if isinstance(text, Text) else plain_text(text)], causal))[0]


def lift(source: str) -> Program:
    """The program that a Python function of (sentence, tokenizer) writes into its matrix, in canonical form. Nothing of it is run.

    Raises dsl.lift.Refusal, with line and reason, for what has no meaning in the language.
    """
    from dsl import simplify
    from dsl.lift import lift as lifted

    return simplify(lifted(source).program)
