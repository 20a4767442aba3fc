"""Names for what a program says more than once, where that makes the text shorter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from dsl.canonical.facts import sort
from dsl.canonical.order import key, size
from dsl.nodes import (
    BUILTIN_NAMES,
    OPERATIONS,
    Aggregate,
    AnyNode,
    Call,
    Compare,
    Expr,
    Find,
    IfElse,
    Let,
    Member,
    Name,
    Not,
    Num,
    Range,
    Rule,
    Same,
    Statement,
    Str,
    Use,
    free_names,
    rebuild,
    walk,
)
from dsl.parser import KEYWORDS, QUANTIFIERS
from dsl.vocabulary import ALIASES, VOCABULARY

LET = len("let  = \n")
SHORTEST = 12  # characters of an expression that deserves a name
MOST_NAMES = 8
MOST_NODES = 6000  # larger programs go without
TEXTUAL = frozenset({"q", "k", "n"})
TAKEN = frozenset({*VOCABULARY, *ALIASES, *BUILTIN_NAMES, *OPERATIONS, *KEYWORDS, *QUANTIFIERS, "same"})


def named(statements: tuple[Statement, ...]) -> tuple[Statement, ...]:
    """The statements with `let`s in front for repeated expressions over q, k and n."""
    lets: list[Let] = []
    if sum(1 for s in statements for _ in walk(s)) > MOST_NODES:
        return statements
    while len(lets) < MOST_NAMES:
        counts = Counter(e for part in (*lets, *statements) for e in _candidates(part))
        used = {n.name for part in (*lets, *statements) for n in walk(part) if isinstance(n, Name)} | {let.name for let in lets}
        best: tuple[int, str, Expr, str] | None = None
        for e, count in counts.items():
            if count < 2:
                continue
            name = _name(e, used)
            saves = count * (size(e) - len(name)) - LET - len(name) - size(e)
            if saves > 0 and (best is None or (-saves, key(e)) < (-best[0], best[1])):
                best = saves, key(e), e, name
        if best is None:
            break
        _, _, value, name = best
        lets = [*(_replaced(let, value, Name(name)) for let in lets), Let(name, value)]
        statements = tuple(_replaced(s, value, Name(name)) for s in statements)
    return (*_by_need(lets), *statements)


def _candidates(node: AnyNode) -> Iterator[Expr]:
    """Expressions that could have a name: over q, k and n alone, and long enough."""
    for e in walk(node):
        if isinstance(e, Let | Rule | Range | Name | Num | Str) or not isinstance(e, Expr):
            continue
        if size(e) >= SHORTEST and free_names(e) <= TEXTUAL and (not isinstance(e, Call) or _is_value(e)) and _varies(e):
            yield e


def _varies(e: Expr) -> bool:
    """Whether the value depends on the text at all."""
    return bool(free_names(e)) or any(isinstance(x, Find | Aggregate) for x in walk(e))


def _is_value(call: Call) -> bool:
    return VOCABULARY[call.name].result != "words"


def _replaced(node: Any, old: Expr, new: Name) -> Any:
    return new if node == old else rebuild(node, lambda x: _replaced(x, old, new))


def _by_need(lets: list[Let]) -> list[Let]:
    """Names after those that they use."""
    result: list[Let] = []
    left = sorted(lets, key=lambda let: let.name)
    while left:
        names = {let.name for let in left}
        ready = next(let for let in left if not free_names(let.value) & names)
        left.remove(ready)
        result.append(ready)
    return result


def _name(node: Expr, used: set[str]) -> str:
    base = _describes(node)
    if base in TAKEN:
        base += "_here"
    name, count = base, 1
    while name in used:
        count += 1
        name = f"{base}{count}"
    return name


def _describes(node: Expr) -> str:
    """A name by what the expression is: last_newline, comma_count, key_noun, decay."""
    match node:
        case Not(item):
            return f"no_{_describes(item)}"
        case Find(which, _, guard):
            return f"{which}_{_topic(guard).rsplit('_', 1)[-1]}"
        case Aggregate("count", _, guard) if guard is not None:
            return f"{_topic(guard)}_count"
        case Aggregate(kind, _, guard, value):
            return f"{kind}_{_topic(value if value is not None else guard)}"  # type: ignore[arg-type]
        case IfElse():
            return "choice"
        case Call("exp", _):
            return "decay"
    if sort(node) == "guard":
        names = free_names(node) & {"q", "k"}
        side = {"q": "query_", "k": "key_"}["".join(names)] if len(names) == 1 else ""
        return side + _topic(node)
    return "value" if not isinstance(node, Call) else f"{node.name}_value"


def _topic(node: AnyNode) -> str:
    """One word for what a guard is about: the constant compared with, if it is a word, else the first feature used."""
    for e in walk(node):
        match e:
            case Compare("==", _, Str(value)) if value.isascii() and value.isalpha():
                return value.lower()
            case Member(_, values) if isinstance(values[0], str) and values[0].isascii() and values[0].isalpha():
                return values[0].lower()
            case Same(feature):
                return f"same_{feature}"
            case Use(concept, _):
                return concept.name
            case Call(name, _):
                return "token" if name in ("text", "piece") else name
    return "place"
