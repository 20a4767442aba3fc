"""Lifting: a Python program, as LLMs write them, becomes a program of the language by symbolic execution.

Nothing of the program is run. The lifter is one state (`machine`) and a chain of mixins, each on top of the last: recurrence
(what one iteration hands to the next; with `best` for the best element so far, `elsewhere` for other iterations), loops (with
restarts, handed_on, after_loops), scans and whiles, statements (with functions, assignments), expressions (with conditions,
operators, comprehensions, subscripts), calls (with builtins, collecting, choosing, text_methods, containers), arrays (with
writing, elementwise, reductions), words (with annotation). They work on symbolic values (`values`, `sequences`, `ascending`,
`elements`, `dictionaries`) whose expressions fold as they are built (`terms`, `guards`, `ranges`, with `facts` for what a path
implies, `cases` for case distinctions, `order` for the order of words). `emit` turns the writes of the matrix into rules
(`normal`: one write; `rounds`: several writes of one loop; `operations`), `finish` brings them into the language's notation,
`reader` is the way in.
"""

from __future__ import annotations

from dsl.lift.reader import Lifted, lift
from dsl.lift.values import Refusal

__all__ = ["Lifted", "Refusal", "lift"]
