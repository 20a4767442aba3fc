"""Random texts and random well-sorted programs for property tests.

Constants are sums of few powers of two, so that rearranged sums and products are exact in float64 and float32 alike: two programs
of one meaning give the same guards, not guards that differ in the last bit.
"""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from dsl.nodes import (
    DIST,
    Aggregate,
    And,
    Binary,
    Block,
    Bool,
    Call,
    Compare,
    Expr,
    Find,
    IfElse,
    K,
    Let,
    Member,
    N,
    Name,
    Neg,
    Not,
    Num,
    Or,
    Program,
    Q,
    Range,
    Rule,
    Same,
    Str,
)
from dsl.text import Encoding, Text, Word, plain_text

TOKENS = ("a", "the", "The", "cat", "cats", ".", ",", " a", " the", "s", "\n", " ran", "7", "[SEP]")
WHOLE = (0.0, 1.0, 2.0, 3.0, -1.0, 4.0)
NUMBERS = (0.0, 1.0, 2.0, 0.5, 0.25, 3.0, -1.0, 1.5, 0.75)
POS = ("NOUN", "VERB", "DET", "PUNCT")
OPS = ("==", "!=", "<", "<=", ">", ">=")


@st.composite
def texts(draw: st.DrawFn, longest: int = 7) -> Text:
    """A text of 1 to `longest` tokens, with or without annotated words (not every token has one, some have two)."""
    n = draw(st.integers(1, longest))
    tokens = tuple(draw(st.lists(st.sampled_from(TOKENS), min_size=n, max_size=n)))
    words: list[Word] = []
    alignment: tuple[tuple[int, ...], ...] = ((),) * n
    if draw(st.booleans()):
        count = draw(st.integers(1, n))
        for i in range(count):
            words.append(
                Word(
                    text=draw(st.sampled_from(TOKENS)),
                    idx=i,
                    pos=draw(st.sampled_from(POS)),
                    lemma=draw(st.sampled_from(("be", "cat", "the"))),
                    head=draw(st.integers(0, count - 1)),
                    sent=i // 3,
                    is_sent_start=i % 3 == 0,
                    is_stop=draw(st.booleans()),
                    is_punct=draw(st.booleans()),
                )
            )
        some = st.lists(st.integers(0, count - 1), max_size=2, unique=True).map(lambda ws: tuple(sorted(ws)))
        alignment = tuple(draw(st.lists(some, min_size=n, max_size=n)))
    return replace(
        plain_text(tokens, [t.replace(" ", "▁").replace("\n", "<0x0A>") for t in tokens]),
        word_start=tuple(draw(st.lists(st.booleans(), min_size=n, max_size=n))),
        words=tuple(words),
        alignment=alignment,
        annotated=bool(words),
        encoding=Encoding(
            offsets=((0, 1),) * n,
            words=tuple(draw(st.lists(st.none() | st.integers(0, 3), min_size=n, max_size=n))),
            added=(False,) * n,
            decoded=tuple(token.strip("▁#") for token in tokens),
            facts="{}",
        ),
    )


class _Scope:
    """Variables of ranges in scope, and names by sort."""

    def __init__(self, positions: tuple[str, ...] = (), words: tuple[str, ...] = (), guards: tuple[str, ...] = ()) -> None:
        self.positions, self.words, self.guards = positions, words, guards


@st.composite
def positions(draw: st.DrawFn, scope: _Scope, depth: int) -> Expr:
    bases = [Q, K, *map(Name, scope.positions)]
    kind = draw(st.integers(0, 9 if depth > 0 else 6))
    base = draw(st.sampled_from(bases))
    if kind <= 3:
        return base
    if kind <= 5:
        return Binary(draw(st.sampled_from("+-")), base, Num(draw(st.sampled_from((1.0, 2.0)))))
    if kind == 6:
        return draw(st.sampled_from([N, DIST, Num(0.0), Num(1.0), Binary("-", N, Num(1.0))]))
    if kind == 7:
        return Call(draw(st.sampled_from(("first_token", "last_token"))), (draw(words(scope, depth - 1)),))
    return draw(finds(scope, depth - 1))


@st.composite
def words(draw: st.DrawFn, scope: _Scope, depth: int) -> Expr:
    if scope.words and draw(st.booleans()):
        return Name(draw(st.sampled_from(scope.words)))
    base: Expr = draw(st.sampled_from([Q, K, *map(Name, scope.positions)]))
    found: Expr = Call("word", (base,))
    return Call("head", (found,)) if draw(st.integers(0, 3)) == 0 else found


@st.composite
def ranges(draw: st.DrawFn, scope: _Scope, depth: int) -> tuple[Range, _Scope]:
    level = len(scope.positions) + len(scope.words)
    if draw(st.integers(0, 4)) == 0:
        var = f"x{level}"
        kind = draw(st.sampled_from(("words", "all", "children", "ancestors", "subtree")))
        word = Call("word", (draw(st.sampled_from([Q, K])),))
        domain = Call("words", () if kind == "all" else word.args) if kind in ("words", "all") else Call(kind, (word,))
        return Range(var, domain=domain), _Scope(scope.positions, (*scope.words, var))
    var = f"y{level}"
    low = draw(st.none() | positions(scope, 0))
    high = draw(st.none() | positions(scope, 0))
    return Range(var, low, high), _Scope((*scope.positions, var), scope.words)


@st.composite
def finds(draw: st.DrawFn, scope: _Scope, depth: int) -> Expr:
    over, inner = draw(ranges(scope, depth).filter(lambda r: r[0].domain is None))
    return Find(draw(st.sampled_from(("first", "last"))), over, draw(guards(inner, depth)))


@st.composite
def strings(draw: st.DrawFn, scope: _Scope, depth: int) -> Expr:
    kind = draw(st.integers(0, 6))
    if kind == 6:
        return Call("piece", (draw(positions(scope, depth)),))
    if kind == 0:
        return Call(draw(st.sampled_from(("pos", "lemma"))), (draw(positions(scope, 0)),))
    if kind == 1:
        return Call("lower", (draw(positions(scope, 0)),))
    if kind == 2 and scope.words:
        return Call("text", (Name(scope.words[-1]),))
    return Call(draw(st.sampled_from(("text", "text", "decode"))), (draw(positions(scope, depth)),))


@st.composite
def numbers(draw: st.DrawFn, scope: _Scope, depth: int, weights: bool = False) -> Expr:
    kind = draw(st.integers(0, 11 if depth > 0 else 3))
    below = numbers(scope, depth - 1, weights)
    match kind:
        case 0 | 1:
            return Num(draw(st.sampled_from(NUMBERS)))
        case 2:
            return draw(st.sampled_from([Q, K, DIST, N, *([Name("weight"), Name("row")] if weights else [])]))
        case 3:
            return Call(draw(st.sampled_from(("length", "word_id"))), (draw(positions(scope, 0)),))
        case 4 | 5:
            return Binary(draw(st.sampled_from("+-*")), draw(below), draw(below))
        case 6:
            return Binary(draw(st.sampled_from(("/", "//", "%"))), draw(below), Num(draw(st.sampled_from((2.0, 4.0, 0.0)))))
        case 7:
            return IfElse(draw(guards(scope, depth - 1)), draw(below), draw(below))
        case 8:
            return Call(draw(st.sampled_from(("min", "max"))), (draw(below), draw(below)))
        case 9:
            over, inner = draw(ranges(scope, depth))
            if draw(st.booleans()):
                return Aggregate("count", over, draw(guards(inner, depth - 1)))
            guard = draw(st.none() | guards(inner, depth - 1))
            return Aggregate(draw(st.sampled_from(("sum", "min", "max"))), over, guard, draw(numbers(inner, 0)))
        case 10:
            return Call("default", (draw(positions(scope, depth)), Num(draw(st.sampled_from(WHOLE)))))
    item = draw(below)
    if draw(st.booleans()):
        return Call("abs", (item,))
    return Num(-item.value) if isinstance(item, Num) and item.value >= 0 else Neg(item)  # the parser reads -1 as a number


@st.composite
def guards(draw: st.DrawFn, scope: _Scope, depth: int, weights: bool = False) -> Expr:
    kind = draw(st.integers(0, 15 if depth > 0 else 8))
    below = guards(scope, depth - 1, weights)
    match kind:
        case 0 | 1 | 2:
            right = draw(positions(scope, max(depth - 1, 0)) | st.sampled_from(WHOLE).map(Num))
            return Compare(draw(st.sampled_from(OPS)), draw(positions(scope, max(depth - 1, 0))), right)
        case 3:
            return Compare(
                draw(st.sampled_from(("==", "!="))), draw(strings(scope, depth)), Str(draw(st.sampled_from(TOKENS + POS)))
            )
        case 4:
            values = draw(st.lists(st.sampled_from(TOKENS + POS), min_size=1, max_size=4))
            return Member(draw(strings(scope, depth)), tuple(values))
        case 5:
            name = draw(st.sampled_from(("punctuation", "isalpha", "word_start", "aligned", "is_punct", "sent_end", "special")))
            return Call(name, (draw(positions(scope, 0)),))
        case 6:
            if scope.positions or scope.words:
                return Compare(draw(st.sampled_from(("==", "!="))), draw(words(scope, 0)), draw(words(scope, 0)))
            return Same(draw(st.sampled_from(("text", "piece", "pos", "punctuation", "sentence", "head"))))
        case 7:
            return Member(draw(positions(scope, 0)), tuple(draw(st.lists(st.sampled_from(WHOLE), min_size=1, max_size=3))))
        case 8:
            if scope.guards and draw(st.booleans()):
                return Name(draw(st.sampled_from(scope.guards)))
            return Bool(draw(st.booleans()))
        case 9 | 10:
            return And(tuple(draw(st.lists(below, min_size=2, max_size=3))))
        case 11 | 12:
            return Or(tuple(draw(st.lists(below, min_size=2, max_size=3))))
        case 13:
            return Not(draw(below))
        case 14:
            over, inner = draw(ranges(scope, depth))
            return Aggregate(draw(st.sampled_from(("any", "all"))), over, draw(guards(inner, depth - 1)))
    value = draw(positions(scope, depth) | words(scope, depth))
    return draw(
        st.sampled_from(
            [
                Call("exists", (value,)),
                Compare(draw(st.sampled_from(OPS)), draw(numbers(scope, depth - 1, weights)), draw(numbers(scope, 0))),
                IfElse(draw(below), draw(below), draw(below)),
            ]
        )
    )


@st.composite
def statements(draw: st.DrawFn, scope: _Scope, depth: int, names: int = 0) -> tuple[Rule | Block | Let, ...]:
    result: list[Rule | Block | Let] = []
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.integers(0, 9 if depth > 0 else 6))
        if kind == 7:
            name = f"named{depth}{names}"
            names += 1
            result.append(Let(name, draw(guards(scope, 1, True))))
            scope = _Scope(scope.positions, scope.words, (*scope.guards, name))
        elif kind > 7:
            guard = draw(guards(scope, 2, weights=draw(st.integers(0, 3)) == 0))
            then = draw(statements(scope, depth - 1, names))
            result.append(Block(guard, then, draw(st.just(()) | statements(scope, depth - 1, names))))
        else:
            result.append(draw(rules(scope)))
    return tuple(result)


@st.composite
def rules(draw: st.DrawFn, scope: _Scope) -> Rule:
    weights = draw(st.integers(0, 4)) == 0
    guard = draw(st.none() | guards(scope, 2, weights))
    op = draw(st.sampled_from(("add", "add", "add", "set", "set", "scale", "max", "min", "share", "share", "normalize")))
    return Rule(op, None if op == "normalize" else draw(numbers(scope, 2, weights)), guard)


def scope() -> _Scope:
    """No variables: expressions over q and k alone."""
    return _Scope()


def programs(depth: int = 2) -> st.SearchStrategy[Program]:
    """Random programs that pass the checker."""
    return statements(_Scope(), depth).map(Program)


def expressions(depth: int = 2) -> st.SearchStrategy[Expr]:
    """Random guards and numbers over q and k."""
    return guards(_Scope(), depth) | numbers(_Scope(), depth)
