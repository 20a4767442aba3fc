"""Text to syntax tree. The grammar is grammars/pattern.lark; names and sorts are checked by dsl/check.py."""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from json import loads
from typing import Any

from dsl.check import check, check_expression
from dsl.concepts import NO_CONCEPTS, Concepts, define, resolved
from dsl.errors import LanguageError
from dsl.nodes import (
    BUILTIN_NAMES,
    OPERATIONS,
    Aggregate,
    And,
    Binary,
    Block,
    Bool,
    Call,
    Compare,
    Concept,
    Expr,
    Find,
    IfElse,
    Let,
    Member,
    Name,
    Neg,
    Not,
    Num,
    Or,
    Program,
    Range,
    Rule,
    Same,
    Statement,
    Str,
    substitute,
)
from dsl.vocabulary import ALIASES, VOCABULARY

MAX_CHARACTERS = 200_000
MAX_DEPTH = 150  # levels of the tree; deeper texts are refused before anything recursive sees them
QUANTIFIERS = ("first", "last", "nearest", "count", "any", "all", "sum", "min", "max")
KEYWORDS = frozenset({"when", "else", "let", "if", "and", "or", "not", "in", "true", "false", "concept", *OPERATIONS})

_EXPECTED = {
    "NUMBER": "a number",
    "STRING": "a string",
    "NAME": "a name",
    "OPERATION": "an operation (set, add, scale, share, max, min, normalize)",
    "COMPARISON": "a comparison",
    "PLUS": "an operator",
    "PRODUCT": "an operator",
    "LBRACE": "'{'",
    "RBRACE": "'}'",
    "LPAR": "'('",
    "RPAR": "')'",
    "COMMA": "','",
    "COLON": "':'",
    "EQUAL": "'='",
    "ELSE": "'else'",
    "WHEN": "'when'",
    "LET": "'let'",
    "CONCEPT": "'concept'",
    "$END": "the end of the program",
}


def parse(source: str, concepts: Concepts = NO_CONCEPTS) -> Program:
    """The program written in `source`, checked; it may use these concepts and define others.

    Raises LanguageError with line and column.
    """
    program, _ = parse_with_concepts(source, concepts)
    return program


def parse_with_concepts(source: str, concepts: Concepts = NO_CONCEPTS) -> tuple[Program, dict[str, Concept]]:
    """The program, and the concepts that its text defines, used or not."""
    trees = _tree(source, "start").children
    count = sum(t.data == "concept" for t in trees)
    own = define(map(_concept, trees[:count]), concepts)
    statements = Program(_statements(trees[count:]))
    program = resolved(statements, {**concepts, **own})
    check(program)
    return program, own


def parse_concepts(source: str) -> dict[str, Concept]:
    """The concepts of a file that holds nothing else, in its order, checked. Raises LanguageError with line and column."""
    return define(map(_concept, _tree(source, "concepts").children))


def parse_expression(source: str, concepts: Concepts = NO_CONCEPTS) -> Expr:
    """One expression over q and k, checked: `parse_expression('dist == 1')`."""
    expression = resolved(_expr(_tree(source, "expr")), concepts)
    check_expression(expression)
    return expression


@cache
def _lark() -> Any:
    from lark import Lark

    grammar = files("grammars").joinpath("pattern.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", propagate_positions=True, maybe_placeholders=True, start=["start", "concepts", "expr"])


def _tree(source: str, start: str) -> Any:
    from lark import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

    if len(source) > MAX_CHARACTERS:
        raise LanguageError(f"the program is longer than {MAX_CHARACTERS} characters")
    try:
        tree = _lark().parse(source, start=start)
    except UnexpectedToken as e:
        raise LanguageError(_unexpected(str(e.token), set(e.accepts or e.expected)), e.line, e.column) from None
    except UnexpectedCharacters as e:
        raise LanguageError(f"{e.char!r} has no meaning here", e.line, e.column) from None
    except UnexpectedInput as e:  # the text ends too early
        raise LanguageError("the program ends too early", e.line, e.column) from None
    _refuse_deep(tree)
    return tree


def _refuse_deep(tree: Any) -> None:
    """Everything after this is recursive, so depth is checked first, without recursion."""
    todo = [(tree, 0)]
    while todo:
        here, depth = todo.pop()
        if depth > MAX_DEPTH:
            raise _fail(f"nested deeper than {MAX_DEPTH}", here)
        below = depth + (len(here.children) // 2 if here.data == "chain" else 1)  # a + b + c nests to the left
        todo.extend((c, below) for c in here.children if hasattr(c, "children"))


def _unexpected(found: str, accepts: set[str]) -> str:
    operators = {"COMPARISON", "PLUS", "MINUS", "PRODUCT", "POWER", "IN", "NOT", "AND", "OR", "IF", "__ANON_0"}
    if {"NUMBER", "LPAR"} <= accepts:
        expected = "a guard or a number"
    else:
        names = {_EXPECTED.get(a, a.lower()) for a in accepts - operators - {"MIN", "MAX", "NORMALIZE"}}
        expected = " or ".join(sorted(names)) or "an operator"
    what = f"found {found!r}" if found else "the program ends here"
    close = get_close_matches(found, sorted(KEYWORDS - {found}), 1) if found.isidentifier() else []
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"expected {expected}, {what}{hint}"


def _at(tree: Any) -> tuple[int, int] | None:
    if hasattr(tree, "line"):
        return (tree.line, tree.column)
    meta = getattr(tree, "meta", None)
    return None if meta is None or meta.empty else (meta.line, meta.column)


def _fail(message: str, tree: Any) -> LanguageError:
    return LanguageError(message, *(_at(tree) or (0, 0)))


def _concept(tree: Any) -> Concept:
    name, params, guard = tree.children
    return Concept(str(name), tuple(map(str, params.children)), _expr(guard), at=_at(tree))


def _statements(trees: list[Any]) -> tuple[Statement, ...]:
    return tuple(_statement(t) for t in trees)


def _statement(tree: Any) -> Statement:
    parts = tree.children
    match tree.data:
        case "let":
            return Let(str(parts[0]), _expr(parts[1]), at=_at(tree))
        case "rule":
            guard = None if parts[0] is None else _expr(parts[0])
            action = parts[1]
            if action.data == "normalize":
                return Rule("normalize", None, guard, at=_at(tree))
            return Rule(str(action.children[0]), _expr(action.children[1]), guard, at=_at(tree))
    assert tree.data == "block", tree.data
    guard = _expr(parts[0])
    *inside, otherwise = parts[1:]
    other: tuple[Statement, ...] = ()
    if otherwise is not None:
        tail = otherwise.children[0]
        other = _statements(tail.children) if tail.data == "else_body" else (_statement(tail),)
    return Block(guard, _statements(inside), other, at=_at(tree))


def _expr(tree: Any) -> Expr:
    parts = getattr(tree, "children", [])
    at = _at(tree)
    match tree.data:
        case "number":
            value = float(parts[0])
            if value > 1e300:
                raise _fail(f"{parts[0]} is too large", tree)
            return Num(value, at=at)
        case "string":
            return Str(_string(parts[0]), at=at)
        case "true" | "false":
            return Bool(tree.data == "true", at=at)
        case "name":
            return Name(str(parts[0]), at=at)
        case "if_else":
            return IfElse(_expr(parts[1]), _expr(parts[0]), _expr(parts[2]), at=at)
        case "any_of":
            return Or(tuple(_expr(p) for p in parts), at=at)
        case "all_of":
            return And(tuple(_expr(p) for p in parts), at=at)
        case "negated":
            return Not(_expr(parts[0]), at=at)
        case "compare":
            return _compare(parts, at)
        case "member":
            return Member(_expr(parts[0]), _literals(parts[1]), at=at)
        case "not_member":
            return Not(Member(_expr(parts[0]), _literals(parts[1]), at=at), at=at)
        case "between":
            item = _expr(parts[0])
            return And((Compare(">=", item, _expr(parts[1])), Compare("<=", item, _expr(parts[2]))), at=at)
        case "chain":
            result = _expr(parts[0])
            for op, right in zip(parts[1::2], parts[2::2], strict=True):
                result = Binary(str(op), result, _expr(right), at=at)
            return result
        case "power":
            return Binary("**", _expr(parts[0]), _expr(parts[2]), at=at)
        case "minus":
            item = _expr(parts[1])
            return Num(-item.value, at=at) if isinstance(item, Num) and item.value >= 0 else Neg(item, at=at)
        case "call":
            return _call(str(parts[0].children[0]), parts[1:], at)
        case "quantified":
            return _quantified(str(parts[0].children[0]), parts[1:], tree)
        case "word_range":
            raise _fail("'in' needs a set {…} here; words(…) and the like belong into any(w in …: …)", tree)
    raise _fail(f"unexpected {tree.data}", tree)


def _string(token: Any) -> str:
    try:
        return loads(token)
    except ValueError:
        raise _fail(f"{token} is not a string: escapes are those of JSON", token) from None


def _literals(tree: Any) -> tuple[str | float, ...]:
    values: list[str | float] = []
    for literal in tree.children:
        if literal is None:
            continue
        parts = [p for p in literal.children if p is not None]
        value = _string(parts[0]) if parts[0].type == "STRING" else float("".join(parts))
        values.append(value)
    if len({type(v) for v in values}) > 1:
        raise _fail("a set holds either strings or numbers", tree)
    return tuple(values)


def _compare(parts: list[Any], at: Any) -> Expr:
    sides = [_expr(p) for p in parts[::2]]
    links = [Compare(str(op), a, b, at=at) for op, a, b in zip(parts[1::2], sides, sides[1:], strict=False)]
    return links[0] if len(links) == 1 else And(tuple(links), at=at)


def _call(name: str, trees: list[Any], at: Any) -> Expr:
    args = [t for t in trees if t is not None]
    if name == "same":
        if len(args) != 1 or args[0].data != "name":
            raise LanguageError("same(…) takes the name of one feature, as in same(text)", *(at or (0, 0)))
        return Same(str(args[0].children[0]), at=at)
    if name in ALIASES:
        wanted = 2 if "{1}" in ALIASES[name] else 0
        if len(args) not in (wanted, 0 if name == "same_sentence" else wanted):
            raise LanguageError(f"{name} takes {wanted} arguments, not {len(args)}", *(at or (0, 0)))
        template = _expr(_tree(ALIASES[name].format("_0", "_1"), "expr"))
        return substitute(template, {f"_{i}": _expr(a) for i, a in enumerate(args)})
    return Call(name, tuple(_expr(a) for a in args), at=at)


def _quantified(name: str, trees: list[Any], tree: Any) -> Expr:
    at = _at(tree)
    if name not in QUANTIFIERS:
        close = get_close_matches(name, QUANTIFIERS, 1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise _fail(f"{name!r} does not run over a range (': ' after a range){hint}", tree)
    *head, body = trees
    if len(head) > 2 or (len(head) == 2 and name not in ("sum", "min", "max")):
        raise _fail(f"{name}(range: …) takes one range before the ':'", tree)
    over = _range(head[0])
    inner = _expr(body)
    if name in ("first", "last", "nearest"):
        if name == "nearest":
            if over.domain is not None or (over.low is None) == (over.high is None):
                raise _fail("nearest needs a range with one end, as in nearest(p < q: …)", tree)
            name = "last" if over.low is None else "first"
        return Find(name, over, inner, at=at)
    if name in ("sum", "min", "max"):
        return Aggregate(name, over, _expr(head[1]) if len(head) == 2 else None, inner, at=at)
    return Aggregate(name, over, inner, at=at)


def _range(tree: Any) -> Range:
    at = _at(tree)
    parts = getattr(tree, "children", [])

    def variable(part: Any) -> str | None:
        name = str(part.children[0]) if part.data == "name" else None
        return None if name in BUILTIN_NAMES else name

    def refuse() -> LanguageError:
        return _fail("expected a range such as p, p < q, p in 0..k, a < p <= b or w in words(k)", tree)

    match tree.data:
        case "name":
            if variable(tree) is None:
                raise refuse()
            return Range(str(parts[0]), at=at)
        case "between" | "word_range":
            name = variable(parts[0])
            if name is None:
                raise refuse()
            if tree.data == "between":
                return Range(name, _expr(parts[1]), _expr(parts[2]), at=at)
            domain = _expr(parts[1])
            if not (isinstance(domain, Call) and domain.name in VOCABULARY and VOCABULARY[domain.name].result == "words"):
                raise _fail("expected words(…), children(…), ancestors(…) or subtree(…) after 'in'", parts[1])
            return Range(name, domain=domain, at=at)
        case "compare":
            sides, ops = parts[::2], [str(op) for op in parts[1::2]]
            if len(sides) == 2:
                if variable(sides[0]) is not None:
                    return _bounded(str(sides[0].children[0]), {ops[0]: _expr(sides[1])}, refuse, at)
                if variable(sides[1]) is not None:
                    return _bounded(str(sides[1].children[0]), {_FLIPPED.get(ops[0], ops[0]): _expr(sides[0])}, refuse, at)
            if len(sides) == 3 and (name := variable(sides[1])) is not None:
                bounds = {_FLIPPED.get(ops[0], ops[0]): _expr(sides[0]), ops[1]: _expr(sides[2])}
                if len(bounds) == 2:
                    return _bounded(name, bounds, refuse, at)
    raise refuse()


_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


def _bounded(name: str, bounds: dict[str, Expr], refuse: Any, at: Any) -> Range:
    low: Expr | None = None
    high: Expr | None = None
    for op, bound in bounds.items():
        match op:
            case "<":
                high = Binary("-", bound, Num(1.0))
            case "<=":
                high = bound
            case ">":
                low = Binary("+", bound, Num(1.0))
            case ">=":
                low = bound
            case _:
                raise refuse()
    return Range(name, low, high, at=at)
