"""English phrases for expressions, from the phrases of dsl/vocabulary.py."""

from __future__ import annotations

from collections.abc import Callable

from dsl.nodes import (
    Aggregate,
    And,
    Binary,
    Bool,
    Call,
    Compare,
    Concept,
    Expr,
    Find,
    IfElse,
    K,
    Member,
    Name,
    Neg,
    Not,
    Num,
    Or,
    Q,
    Range,
    Same,
    Str,
    Use,
    free_names,
)
from dsl.printer import number
from dsl.vocabulary import VOCABULARY

NAMES = {
    "q": "the query",
    "k": "the key",
    "n": "the number of tokens",
    "dist": "the distance",
    "weight": "the weight so far",
    "row": "the sum of the row so far",
}
COMPARED = {
    "==": "is",
    "!=": "is not",
    "<": "is less than",
    "<=": "is at most",
    ">": "is greater than",
    ">=": "is at least",
}
ORDINALS = ("first", "second", "third", "fourth", "fifth")
VERBS = {"begins": "begin", "starts": "start", "ends": "end", "contains": "contain", "has": "have", "resembles": "resemble"}
SYMBOLS = {"*": "×", "-": "−", "**": "to the power of", "//": "divided and rounded down by", "%": "modulo"}


def position(place: Expr) -> str:
    """A token named by its position."""
    match place:
        case Num(c) if 0 <= c < len(ORDINALS) and c == int(c):
            return f"the {ORDINALS[int(c)]} token"
        case Binary("-", Name("n"), Num(1.0)):
            return "the last token"
        case Binary("-" | "+" as op, base, Num(c)):
            where = "before" if op == "-" else "after"
            return f"the token {where} {noun_of(base)}" if c == 1 else f"the token {number(c)} positions {where} {noun_of(base)}"
        case Name() | Find() | Call("first_token" | "last_token"):
            return noun_of(place)
    return f"the token at position {noun_of(place)}"


def relative(part: Expr, me: Expr, who: str) -> str | None:
    """The guard as a clause about `me`: "that is punctuation", "whose length is greater than 3"; None where it needs more words."""
    whose = "whose" if who == "that" else "its"
    match part:
        case Not(item):
            said = relative(item, me, who)
            return None if said is None else _denied(said)
        case Or(items):
            several = [relative(i, me, who) for i in items]
            return listed([s for s in several if s], "or") if all(several) else None
        case Use(concept, (x,)) if x == me:
            return f"{who} is {a_concept(concept)}"
        case Call(name, (first, *rest)) if first == me and VOCABULARY[name].result == "guard":
            return _template(name, who, rest)
        case Compare("==" | "!=" as op, Call("text", (x,)), Call("text", (y,))) if me in (x, y):
            has = "has" if op == "==" else "does not have"
            return f"{who} {has} the text of {position(y if x == me else x)}"
        case Compare("==" | "!=" as op, Call("text", (x,)), Str(value)) if x == me:
            return f"{who} {COMPARED[op]} {_quoted(value)}"
        case Member(Call("text", (x,)), values) if x == me:
            return f"{who} is {listed([_quoted(v) for v in values], 'or')}"
        case Compare(op, Call(name, (x,)), Str() | Num() as value) if x == me:
            return _about(name, who, whose, f"{COMPARED[op]} {noun_of(value)}")
        case Member(Call(name, (x,)), values) if x == me:
            return _about(name, who, whose, f"is {listed([_quoted(v) for v in values], 'or')}")
        case Compare(op, x, Num() | Binary() as value) if x == me and not free_names(value) - {"n"}:
            where = {"==": "at", "!=": "not at", "<": "before", "<=": "up to", ">": "after", ">=": "from"}[op]
            return f"{who} is {where} position {noun_of(value)}"
    return None


def _about(name: str, who: str, whose: str, rest: str) -> str | None:
    template = VOCABULARY[name].english
    if template.startswith("the ") and template.endswith(" of {0}"):
        return f"{whose} {template[4:-7]} {rest}"
    if template.startswith("{0} "):
        return f"{who} {rest}{template[3:]}"
    return None


def _template(name: str, who: str, rest: list[Expr]) -> str:
    primitive = VOCABULARY[name]
    args = [noun_of(a) for a in rest]
    places = len(primitive.params) - 1
    if primitive.variadic and len(args) > places:
        args = [*args[: places - 1], listed(args[places - 1 :], "or")]
    return primitive.english.format(who, *args)


def _denied(said: str) -> str:
    for verb in (" is ", " are ", " was "):
        if verb in said:
            return said.replace(verb, f"{verb}not ", 1)
    words = said.split(" ")
    for i, w in enumerate(words):
        if w in VERBS:
            return " ".join([*words[:i], "does not", VERBS[w], *words[i + 1 :]])
    return f"it is not the case that {said}"


def clause(guard: Expr) -> str:
    """The guard as a clause with its own subject."""
    match guard:
        case Bool(value):
            return "this always holds" if value else "this never holds"
        case Not(item):
            return _denied(clause(item)) if not isinstance(item, And | Or) else f"it is not the case that {clause(item)}"
        case And(items):
            return listed([clause(i) for i in items])
        case Or(items):
            return "either " + listed([clause(i) for i in items], "or")
        case Same(feature):
            template = VOCABULARY[feature].english
            what = template[4:-7] if template.startswith("the ") and template.endswith(" of {0}") else feature
            return f"the query and the key are alike in {what}" if template.startswith("{0} ") else f"the {what} is the same"
        case Compare("==" | "!=" as op, Call("text", (x,)), Call("text", (y,))):
            return f"{position(x)} {'has' if op == '==' else 'does not have'} the text of {position(y)}"
        case Compare(op, left, right):
            return f"{noun_of(left)} {COMPARED[op]} {noun_of(right)}"
        case Member(item, values):
            return f"{noun_of(item)} is {listed([_quoted(v) for v in values], 'or')}"
        case Call(name, (first, *rest)) if VOCABULARY[name].result == "guard":
            return _template(name, _argument(name, first), rest)
        case Use(concept, (x,)):
            return f"{position(x)} is {a_concept(concept)}"
        case Use(concept, args):
            return f"{listed([position(x) for x in args])} are {concept.name.replace('_', ' ')}"
        case Aggregate("any", over, inner):
            return f"there is {_element(over, inner, 'a')}"
        case Aggregate("all", over, inner):
            return f"there is no {_element(over, Not(inner) if inner is not None else None, '')[1:]}"
        case IfElse(test, then, other):
            return f"{clause(then)} if {clause(test)}, else {clause(other)}"
    return noun_of(guard)


def _element(over: Range, guard: Expr | None, article: str) -> str:
    """A token (or word) of the range for which the guard holds."""
    var = Name(over.var)
    kind = "token" if over.domain is None else "word"
    noun = f"{article} {kind}{_extent(over)}"
    if guard is None or guard == Bool(True):
        return noun
    said = relative(guard, var, "that")
    return f"{noun} {said}" if said else f"{noun}, call it {over.var}, such that {clause(guard)}"


def _extent(over: Range) -> str:
    if over.domain is not None:
        return " of the text" if not over.domain.args else f" among {_template(over.domain.name, noun_of(over.domain.args[0]), [])}"
    low, high = over.low, over.high
    words: list[str] = []
    if low is not None:
        strict = isinstance(low, Binary) and low.op == "+" and low.right == Num(1.0)
        words.append(f"after {_place(low.left)}" if strict and isinstance(low, Binary) else f"from {_place(low)} on")
    if high is not None:
        strict = isinstance(high, Binary) and high.op == "-" and high.right == Num(1.0)
        words.append(f"before {_place(high.left)}" if strict and isinstance(high, Binary) else f"up to {_place(high)}")
    return " " + " and ".join(words) if words else ""


def _place(bound: Expr) -> str:
    return noun_of(bound) if isinstance(bound, Name | Find) else position(bound)


def noun_of(node: Expr) -> str:
    """A number, text or word as a noun phrase."""
    match node:
        case Num(value):
            return number(value) if value >= 0 else "−" + number(-value)
        case Str(value):
            return _quoted(value)
        case Name(name):
            return NAMES.get(name, name)
        case Call(name, args):
            first, *rest = args or (Num(0.0),)
            if name in ("min", "max"):
                return f"the {'smallest' if name == 'min' else 'greatest'} of {listed([noun_of(a) for a in args])}"
            return _template(name, _argument(name, first), rest)
        case Neg(item):
            return f"−{_operand(item)}"
        case Binary(op, left, right):
            return f"{_operand(left)} {SYMBOLS.get(op, op)} {_operand(right)}"
        case IfElse():
            return steps(node, noun_of)
        case Find(which, over, guard):
            return _element(over, guard, "the nearest" if _is_nearest(node) else f"the {which}")
        case Aggregate("count", over, guard):
            return f"the number of times that there is {_element(over, guard, 'a')}"
        case Aggregate(kind, over, guard, value) if value is not None:
            what = {"sum": "sum", "min": "smallest", "max": "greatest"}[kind]
            return f"the {what} of {noun_of(value)} over each {_element(over, guard, '')[1:]} ({over.var})"
    return clause(node)


def a_concept(concept: Concept) -> str:
    """A concept's name as a noun."""
    return ("an " if concept.name[0] in "aeiouAEIOU" else "a ") + concept.name.replace("_", " ")


def steps(node: Expr, said: Callable[[Expr], str]) -> str:
    """A number, or a choice of numbers, each said by `said`: "5 where the query is a name, 12 where it is blank, else 20"."""
    words: list[str] = []
    before: str | None = None
    while isinstance(node, IfElse):
        about = next((x for x in (Q, K) if relative(node.test, x, "it") is not None), None)
        where = relative(node.test, about, "it") if about is not None and about.name == before else clause(node.test)
        words.append(f"{said(node.then)} where {where}")
        before = None if about is None else about.name
        node = node.other
    return ", ".join([*words, f"else {said(node)}" if words else said(node)])


def percent(value: Expr) -> str:
    """A share of a row."""
    if not isinstance(value, Num):
        return f"a share of {noun_of(value)}"
    return f"{number(round(100 * min(max(value.value, 0.0), 1.0), 10))}%"


def _argument(name: str, item: Expr) -> str:
    """The first argument of a primitive: a number is a position where a token is meant."""
    primitive = VOCABULARY[name]
    token = primitive.domain == "position" or (primitive.params[:1] == ("text",) and isinstance(item, Num | Binary))
    return position(item) if token and not isinstance(item, Name) else noun_of(item)


def _is_nearest(node: Find) -> bool:
    low, high = node.range.low, node.range.high
    if node.range.domain is not None or (low is None) == (high is None):
        return False
    return (low is None) == (node.which == "last")


def _operand(node: Expr) -> str:
    return f"({noun_of(node)})" if isinstance(node, Binary | IfElse | Neg) else noun_of(node)


def _quoted(value: str | float) -> str:
    return '"' + value.replace("\n", "\\n") + '"' if isinstance(value, str) else number(value)


def listed(items: list[str], word: str = "and") -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {word} {items[-1]}"
