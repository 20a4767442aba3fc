"""Names and sorts: what the grammar lets through is a program only if this finds nothing."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

from dsl.classes import NAMES
from dsl.concepts import reads_too_much
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
    Use,
    walk,
)
from dsl.vocabulary import ALIASES, SAME_FEATURES, VOCABULARY, Sort

Scope = Mapping[str, Sort]
NO_NAMES: Scope = {}
MAX_NODES = 50_000
# Names that no variable may have. A class of words may share its name: start(k) is the class, start the variable.
TAKEN = BUILTIN_NAMES | (VOCABULARY.keys() - NAMES)

_SAID = {"number": "a number", "guard": "a guard", "text": "a text", "word": "a word", "words": "a range of words"}


def check(program: Program) -> None:
    """Raises LanguageError at the first name that is unknown or sort that does not fit."""
    if sum(1 for _ in walk(program)) > MAX_NODES:
        raise LanguageError(f"the program has more than {MAX_NODES} parts")
    _check_statements(program.statements, NO_NAMES)
    names = [c.name for c in program.concepts]
    if twice := next((n for n in names if names.count(n) > 1), None):
        raise LanguageError(f"the program uses two concepts that are called {twice!r}")


def check_concept(concept: Concept) -> None:
    """Raises LanguageError unless the definition is a guard of its parameters, which are positions."""
    if sum(1 for _ in walk(concept.guard)) > MAX_NODES:
        raise LanguageError(f"the concept {concept.name!r} has more than {MAX_NODES} parts", *(concept.at or (0, 0)))
    scope: Scope = dict.fromkeys(concept.params, "number")
    _want(concept.guard, "guard", scope, f"a guard as the meaning of {concept.name!r}")
    name = reads_too_much(concept)
    if name is not None:
        place = next((x for x in walk(concept.guard) if str(x) == name), concept)
        what = " and ".join(concept.params)
        raise _error(f"the concept {concept.name!r} may read {what} and n, not {name}", place)  # type: ignore[arg-type]


def check_expression(expression: Expr, scope: Scope = NO_NAMES) -> Sort:
    """The sort of an expression over q, k and the names of `scope`."""
    return sort_of(expression, scope)


def _check_statements(statements: tuple[Statement, ...], scope: Scope) -> None:
    for s in statements:
        match s:
            case Let(name, value):
                if name in scope or name in TAKEN or name in OPERATIONS:
                    raise _error(f"the name {name!r} is taken", s)
                scope = {**scope, name: sort_of(value, scope)}
            case Block(guard, then, other):
                _want(guard, "guard", scope, "a guard after 'when'")
                _check_statements(then, scope)
                _check_statements(other, scope)
            case Rule(op, value, guard):
                if guard is not None:
                    _want(guard, "guard", scope, "a guard after 'when'")
                if (value is None) != (op == "normalize") or op not in OPERATIONS:
                    raise _error(f"{op!r} is not an operation with this value", s)
                if value is not None:
                    _want(value, "number", scope, f"a number after {op!r}")


def sort_of(node: Expr, scope: Scope = NO_NAMES) -> Sort:
    """The sort of an expression; raises LanguageError where its parts do not fit together."""
    match node:
        case Num():
            return "number"
        case Str():
            return "text"
        case Bool():
            return "guard"
        case Name(name):
            if name in scope:
                return scope[name]
            if name in BUILTIN_NAMES:
                return "number"
            raise _unknown(name, [*BUILTIN_NAMES, *scope], node, "name")
        case Same(feature):
            if feature not in SAME_FEATURES:
                raise _unknown(feature, list(SAME_FEATURES), node, "feature")
            return "guard"
        case Call():
            return _call(node, scope)
        case Use(concept, args):
            count = len(concept.params)
            if len(args) != count:
                raise _error(f"{concept.name} takes {count} argument{'s' * (count != 1)}, not {len(args)}", node)
            for i, arg in enumerate(args):
                _want(arg, "number", scope, f"a position as argument {i + 1} of {concept.name!r}")
            return "guard"
        case Neg(item):
            _want(item, "number", scope, "a number after '-'")
            return "number"
        case Binary(op, left, right):
            _want(left, "number", scope, f"a number before {op!r}")
            _want(right, "number", scope, f"a number after {op!r}")
            return "number"
        case Compare(op, left, right):
            a, b = sort_of(left, scope), sort_of(right, scope)
            if a != b:
                raise _error(f"{_SAID[a]} is compared with {_SAID[b]}", node)
            if a == "guard" or (a != "number" and op not in ("==", "!=")):
                raise _error(f"{_SAID[a]} cannot be compared with {op!r}", node)
            return "guard"
        case Member(item, values):
            sort = sort_of(item, scope)
            wanted: Sort = "text" if values and isinstance(values[0], str) else "number"
            if (values and sort != wanted) or sort not in ("text", "number"):
                raise _error(f"{_SAID[sort]} is looked up in a set of {wanted}s", node)
            return "guard"
        case Not(item):
            _want(item, "guard", scope, "a guard after 'not'")
            return "guard"
        case And(items) | Or(items):
            for item in items:
                _want(item, "guard", scope, f"a guard beside {'and' if isinstance(node, And) else 'or'!r}")
            return "guard"
        case IfElse(test, then, other):
            _want(test, "guard", scope, "a guard after 'if'")
            a, b = sort_of(then, scope), sort_of(other, scope)
            if a != b:
                raise _error(f"{_SAID[a]} if … else {_SAID[b]}: both sides must be of one sort", node)
            return a
        case Find(_, over, guard):
            inner, sort = _range(over, scope)
            _want(guard, "guard", inner, "a guard after ':'")
            return sort
        case Aggregate(kind, over, guard, value):
            inner, _ = _range(over, scope)
            if guard is not None:
                _want(guard, "guard", inner, "a guard after the range")
            if value is not None:
                _want(value, "number", inner, "a number after ':'")
            return "guard" if kind in ("any", "all") else "number"
    raise LanguageError(f"not an expression: {node!r}")


def _call(node: Call, scope: Scope) -> Sort:
    primitive = VOCABULARY.get(node.name)
    if primitive is None:
        raise _unknown(node.name, [*VOCABULARY, *ALIASES, "same"], node, "function")
    if primitive.result == "words":
        raise _error(f"{node.name}(…) can only stand in a range, as in any(w in {node.name}(q): …)", node)
    check_arguments(node, scope)
    if node.name == "default":
        return sort_of(node.args[0], scope)
    return primitive.result


def check_arguments(node: Call, scope: Scope) -> None:
    """The number and the sorts of a primitive's arguments. A position stands for its token, a word for its text."""
    primitive = VOCABULARY[node.name]
    most = len(primitive.params)
    least = most - primitive.optional
    given = len(node.args)
    if given < least or (given > most and not primitive.variadic):
        wanted = str(most) if least == most else f"{least} to {most}"
        raise _error(f"{node.name} takes {wanted} argument{'s' * (most != 1)}, not {given}", node)
    for i, arg in enumerate(node.args):
        wanted_sort = primitive.params[min(i, most - 1)]
        sort = sort_of(arg, scope)
        if not fits(sort, wanted_sort, node.name):
            raise _error(f"{node.name} needs {_SAID[wanted_sort]} as argument {i + 1}, not {_SAID[sort]}", arg, node)
    if node.name in ("default",) and sort_of(node.args[0], scope) != sort_of(node.args[1], scope):
        raise _error("default(x, d) needs two arguments of one sort", node)


def fits(sort: Sort, wanted: Sort, name: str = "") -> bool:
    """Whether an argument may stand where `wanted` is expected, conversions included."""
    if sort == wanted:
        return True
    if wanted == "text":
        return sort in ("number", "word")
    if wanted == "word":
        return sort == "number"
    return (name == "text" and sort == "word") or (name in ("exists", "default") and sort in ("word", "text"))


def _range(over: Range, scope: Scope) -> tuple[Scope, Sort]:
    if over.var in scope or over.var in TAKEN:
        raise _error(f"the name {over.var!r} is taken", over)
    if over.domain is not None:
        check_arguments(over.domain, scope)
        return {**scope, over.var: "word"}, "word"
    for bound in (over.low, over.high):
        if bound is not None:
            _want(bound, "number", scope, "a position as bound of a range")
    return {**scope, over.var: "number"}, "number"


def _want(node: Expr, wanted: Sort, scope: Scope, said: str) -> None:
    sort = sort_of(node, scope)
    if sort != wanted:
        raise _error(f"expected {said}, found {_SAID[sort]}", node)


def _error(message: str, *nodes: Expr | Range | Statement | Concept) -> LanguageError:
    at = next((n.at for n in nodes if n.at is not None), None) or (0, 0)
    return LanguageError(message, *at)


def _unknown(name: str, known: list[str], node: Expr, what: str) -> LanguageError:
    close = get_close_matches(name, sorted(known), 1, 0.5)
    return _error(f"unknown {what} {name!r}" + (f"; did you mean {close[0]!r}?" if close else ""), node)
