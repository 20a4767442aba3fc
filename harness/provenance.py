"""Where the parts of a shown program come from: what a language model proposed for its head, and what it brought.

A rule is the model's where its form, constants aside, stands in a program that the model tried for this head and in none that the
search had before; the search's where it is the other way round; both's, or of neither, where mutation or the search after the
conversation made it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dsl import LanguageError, parse
from dsl.nodes import Block, Concept, Program, Rule, Statement
from search.folder import RunFolder
from search.rounds import rounds

MODEL, SEARCH, BOTH, LATER = "model", "search", "both", "made later"
_NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?:e-?\d+)?")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')


@dataclass(frozen=True)
class Provenance:
    """rules: (text, origin, what it adds to the IoU on `select`) of each leaf rule; concepts: (definition, its rules by number).

    tried: programs that the model tried for the head; adopted: whether the shown program is one of them or descends from one.
    """

    tried: int
    merit: float | None  # of the best of them
    adopted: bool
    rules: tuple[tuple[str, str, float], ...]
    concepts: tuple[tuple[str, tuple[int, ...]], ...]


def provenance(folder: RunFolder, record: Mapping[str, Any]) -> Provenance | None:
    """Of a head's record in the outcome; None where no language model was asked about the head."""
    place = [record["layer"], record["head"]]
    row = place[0] * folder.description()["model"]["heads"] + place[1]
    said = [p for r in rounds(folder) for p in r["proposals"] if p["head"] == place]
    if not said:
        return None
    programs = [p["program"] for p in said if p["program"] is not None]
    model, search = _shapes(programs), _shapes(_before(folder, row))
    shown = parse(record["program"])
    rules = []
    for (text, shape), gain in zip(leaves(shown), record["rule_gains"], strict=True):
        origin = {(True, True): BOTH, (True, False): MODEL, (False, True): SEARCH}.get((shape in model, shape in search), LATER)
        rules.append((text, origin, float(gain)))
    own = _defined(folder)
    concepts = [(str(c), users(c, shown)) for c in shown.concepts if c.name in own]
    merits = [p["merit"] for p in said if p.get("merit") is not None]
    adopted = record["root"] == "llm"
    return Provenance(len(programs), max(merits, default=None), adopted, tuple(rules), tuple(concepts))


def leaves(program: Program) -> list[tuple[str, str]]:
    """Each leaf rule with the guards around it, as text and with its constants left out."""

    def walk(statements: Sequence[Statement], around: tuple[str, ...]) -> Iterator[str]:
        for s in statements:
            if isinstance(s, Rule):
                yield " { ".join([*around, " ".join(str(s).split())])
            elif isinstance(s, Block):
                yield from walk(s.then, (*around, f"when {s.guard}"))
                yield from walk(s.other, (*around, f"when not ({s.guard})"))

    return [(text, _shape(text)) for text in walk(program.statements, ())]


def users(concept: Concept, program: Program) -> tuple[int, ...]:
    """The numbers, from 1, of the leaf rules that use a concept, through other concepts too."""
    names, before = {concept.name}, 0
    while len(names) > before:
        before = len(names)
        names |= {c.name for c in program.concepts if any(re.search(rf"\b{n}\(", str(c).split("=", 1)[1]) for n in names)}
    return tuple(i for i, (text, _) in enumerate(leaves(program), 1) if any(re.search(rf"\b{n}\(", text) for n in names))


def _shape(text: str) -> str:
    """The text without its numbers; strings stay as they are."""
    strings = _STRING.findall(text)
    parts = [_NUMBER.sub("#", part) for part in _STRING.split(text)]
    return "".join(part + string for part, string in zip(parts, [*strings, ""], strict=True))


def _shapes(programs: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for text in dict.fromkeys(programs):
        try:
            found |= {shape for _, shape in leaves(parse(text))}
        except LanguageError:  # of an older version
            continue
    return found


def _before(folder: RunFolder, row: int) -> Iterator[str]:
    """The programs that the search had for a head before the conversation."""
    from search.finish import results

    for unit in (*results(folder, "known"), *results(folder, "heads"), *results(folder, "refine", 0)):
        if row in unit["heads"]:
            yield from (c["program"] for c in unit["candidates"] if c["root"] != "llm")


def _defined(folder: RunFolder) -> set[str]:
    """The names of the concepts that models have defined in this run."""
    return {name for r in rounds(folder) for name in r["state"].get("concepts", {})} - set(folder.concepts())


def lines(found: Provenance) -> list[str]:
    """In words: what the model tried, what of it is in the shown program, and what each part adds."""
    best = "" if found.merit is None else f", the best with merit {found.merit:.3f}"
    fate = "the shown program is one of them or descends from one" if found.adopted else "the shown program is not of them"
    said = [f"a language model tried {found.tried} program{'s' * (found.tried != 1)}{best}; {fate}"]
    if not any(origin == MODEL for _, origin, _ in found.rules) and not found.concepts:
        return said
    width = max(len(origin) for _, origin, _ in found.rules)
    said += [f"  {i:>2}. {gain:+.3f}  {origin:{width}}  {text}" for i, (text, origin, gain) in enumerate(found.rules, 1)]
    said += [f"  {text}: the model's, in rule{'s' * (len(at) != 1)} {', '.join(map(str, at))}" for text, at in found.concepts]
    return said
