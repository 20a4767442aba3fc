"""Lifting: a Python program, as LLMs write them, becomes a program of the language by symbolic execution.

Nothing of the program is run. `reader` finds the function; `statements`, `expressions`, `calls`, `arrays` and `words` follow it with
symbolic values (`values`, `build`); `loops` and `recurrence` solve for what iterations hand to the next; `emit` turns the writes of
the matrix into rules over q and k, `finish` into the language's notation.
"""

from __future__ import annotations

from dsl.lift.reader import Lifted, lift
from dsl.lift.values import Refusal

__all__ = ["Lifted", "Refusal", "lift"]
