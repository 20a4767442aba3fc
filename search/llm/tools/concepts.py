"""`concepts`: names for classes of positions, kept for the whole conversation and for the heads after it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from search.llm.tools.desk import Arguments, BadArgument, Desk, quote, share

if TYPE_CHECKING:
    from dsl.nodes import Concept

MEMBERS = 8  # tokens shown
MOST = 40  # concepts at hand


def concepts(desk: Desk, arguments: Arguments) -> tuple[Desk, str]:
    """Defines or changes concepts (define: `concept name(p) = guard` lines), forgets some (names), and says what each holds."""
    from dsl import LanguageError, parse_concepts

    known = dict(desk.concepts)
    for name in str(arguments.get("forget", "")).replace(",", " ").split():
        if name not in known:
            raise BadArgument(f"there is no concept {name!r}")
        del known[name]
    text = arguments.get("define", "")
    text = "\n".join(map(str, text)) if isinstance(text, list | tuple) else str(text)
    defined: list[str] = []
    if text.strip():
        names = [line.split("(")[0].removeprefix("concept").strip() for line in text.split("\n") if line.startswith("concept ")]
        kept = "\n".join(str(c) for name, c in known.items() if name not in names)
        try:
            found = parse_concepts(f"{kept}\n{text}")
        except LanguageError as e:
            line = e.line - (kept.count("\n") + 1) if e.line else 0
            raise BadArgument(f"line {line}: {e.message}" if line > 0 else e.message) from None
        known, defined = found, names
    if len(known) > MOST:
        raise BadArgument(f"at most {MOST} concepts: forget some, or merge them")
    desk = desk.with_concepts(known)
    shown = [known[n] for n in defined if n in known] or list(known.values())
    return desk, "\n".join(_described(desk, c) for c in shown) or "There are no concepts yet."


def at_hand(given: Mapping[str, Concept], defined: Mapping[str, str]) -> dict[str, Concept]:
    """The concepts given to a run and those defined in its conversations, of a name the later; what no longer fits is left out,
    such as a concept that uses one that another conversation has changed into something else."""
    from dsl import LanguageError, parse_concepts

    known = {name: str(concept) for name, concept in given.items()}
    for name, text in defined.items():
        try:
            parse_concepts("\n".join({**known, name: text}.values()))
        except LanguageError:
            continue
        known[name] = text
    return parse_concepts("\n".join(known.values())) if known else {}


def _described(desk: Desk, concept: Concept) -> str:
    """The definition, which tokens it holds by kind of text, and which tried programs use it."""
    import numpy as np

    from dsl.evaluator import value
    from dsl.nodes import K, Use

    users = [
        f"#{t.number}"
        for t in (*desk.given, *desk.tried)
        if t.program is not None and concept.name in {c.name for c in t.program.concepts}
    ]
    used = f"; used by {', '.join(users)}" if users else ""
    if len(concept.params) > 1:
        return f"{concept}{used}"
    holds = desk.fit.pack_rows(value(Use(concept, (K,)), desk.fit.batch)).astype(bool)
    count = Counter(desk.tokens[i] for i in np.flatnonzero(holds))
    tokens = ", ".join(f"{quote(t)} {n}" for t, n in sorted(count.items(), key=lambda c: (-c[1], c[0]))[:MEMBERS])
    names, of_row = desk.fit.domains.names, desk.fit.domain_of[desk.text_of]
    parts = ", ".join(f"{name} {share(float(holds[of_row == d].mean()))}" for d, name in enumerate(names))
    return f"{concept}\n  holds for {parts} of tokens: {tokens or 'none'}{used}"
