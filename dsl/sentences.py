"""A program in English: one sentence per rule, made from the phrases of dsl/vocabulary.py.

A rule's guard is split by what it speaks of: the query (who attends), the key (to what), and everything else ("where …").
"""

from __future__ import annotations

from collections.abc import Iterator

from dsl.nodes import (
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
    Statement,
    Str,
    free_names,
    substitute,
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
NEGATED = {"==": "!=", "!=": "==", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}
ORDINALS = ("first", "second", "third", "fourth", "fifth")
VERBS = {"begins": "begin", "starts": "start", "ends": "end", "contains": "contain", "has": "have", "resembles": "resemble"}
SYMBOLS = {"*": "×", "-": "−", "**": "to the power of", "//": "divided and rounded down by", "%": "modulo"}


def english(program: Program) -> list[str]:
    """One sentence per leaf rule, in the program's order."""
    return [_sentence(rule, guard) for rule, guard in _rules(program.statements, (), {})]


def _rules(statements: tuple[Statement, ...], path: tuple[Expr, ...], names: dict[str, Expr]) -> Iterator[tuple[Rule, list[Expr]]]:
    """Leaf rules with all guards around them; names are replaced by what they stand for."""
    for s in statements:
        match s:
            case Let(name, value):
                names = {**names, name: substitute(value, names)}
            case Block(guard, then, other):
                guard = substitute(guard, names)
                yield from _rules(then, (*path, guard), names)
                yield from _rules(other, (*path, Not(guard)), names)
            case Rule():
                rule = substitute(s, names)
                whole = path if rule.guard is None else (*path, rule.guard)
                yield rule, [p for g in whole for p in _parts(g)]


def _parts(guard: Expr) -> Iterator[Expr]:
    match guard:
        case And(items):
            for i in items:
                yield from _parts(i)
        case Not(Or(items)):
            for i in items:
                yield from _parts(Not(i))
        case Not(Not(item)):
            yield from _parts(item)
        case Not(Compare(op, Name() | Num() as left, Name() | Num() as right)):
            yield Compare(NEGATED[op], left, right)
        case _:
            yield guard


def _sentence(rule: Rule, guard: list[Expr]) -> str:
    subject, guard = _subject(guard)
    target, conditions = _target(guard)
    where = f", where {_list(conditions)}" if conditions else ""
    value = rule.value
    if value is None:
        said = f"the weights of {subject} are divided by their sum"
    elif rule.op == "scale":
        said = f"the attention of {subject} to {target} is multiplied by {_noun(value)}"
    elif rule.op in ("set", "add") and value == Num(0.0):
        said = f"{subject} does not attend to {target}" if rule.op == "set" else f"{subject} attends to {target} as before"
    elif rule.op == "add" and isinstance(value, Num) and value.value < 0:
        said = f"{subject} attends with {number(-value.value)} less weight to {target}"
    else:
        how = {"set": "with weight exactly", "add": "with weight", "max": "with weight at least", "min": "with weight at most"}
        said = f"{subject} attends {how[rule.op]} {_noun(value)} to {target}"
    text = said + where
    return text[0].upper() + text[1:] + "."


def _subject(guard: list[Expr]) -> tuple[str, list[Expr]]:
    """Who attends, and the parts of the guard that this does not say."""
    rest: list[Expr] = []
    noun, relatives = "each token", []
    for part in guard:
        about = free_names(part)
        if part == Compare("==", Q, Num(0.0)):
            noun = "the first token"
        elif part == Compare("==", Q, Binary("-", N, Num(1.0))):
            noun = "the last token"
        elif "q" in about and "k" not in about and (said := _relative(part, Q, "that")) is not None:
            relatives.append(said)
        else:
            rest.append(part)
    return noun + (" " + _list(relatives) if relatives else ""), rest


def _target(guard: list[Expr]) -> tuple[str, list[str]]:
    """To what it attends, and the remaining conditions as clauses."""
    noun, unique, rest = "every token", False, list(guard)
    for part in guard:
        found = _one_token(part)
        if found is not None:
            noun, unique = found, True
            rest.remove(part)
            break
    else:
        for part in guard:
            found = _many_tokens(part)
            if found is not None:
                noun = found
                rest.remove(part)
                break
        if Same("text") in rest:
            rest.remove(Same("text"))
            noun += " with the same text"
    relatives, conditions = [], []
    for part in rest:
        about = free_names(part)
        said = _relative(part, K, "it" if unique else "that") if "k" in about and "q" not in about else None
        if said is None:
            conditions.append(_clause(part))
        else:
            relatives.append(said)
    if relatives:
        noun += (", if " if unique else " ") + _list(relatives)
    return noun, conditions


def _one_token(part: Expr) -> str | None:
    match part:
        case Compare("==", Name("dist"), Num(0.0)):
            return "itself"
        case Compare("==", Name("dist"), Num(c)) if c == int(c):
            if abs(c) == 1:
                return "the previous token" if c > 0 else "the next token"
            return f"the token {int(abs(c))} positions {'before' if c > 0 else 'after'} it"
        case Compare("==", Name("k"), place):
            return _noun(place) if isinstance(place, Find) else _position(place)
        case Compare("==", Find() as place, Name("k")):
            return _noun(place)
    return None


def _many_tokens(part: Expr) -> str | None:
    match part:
        case Compare(">", Name("dist"), Num(0.0)):
            return "every earlier token"
        case Compare(">=", Name("dist"), Num(0.0)):
            return "itself and every earlier token"
        case Compare("<", Name("dist"), Num(0.0)):
            return "every later token"
        case Compare("!=", Name("dist"), Num(0.0)):
            return "every other token"
        case Compare("<=" | "<" as op, Call("abs", (Name("dist"),)), Num(c)):
            return f"every token {'at most' if op == '<=' else 'less than'} {number(c)} positions away"
        case Compare("<=" | "<" as op, Name("dist"), Num(c)) if c > 0:
            return f"every token {'at most' if op == '<=' else 'less than'} {number(c)} positions back"
        case Compare(">=" | ">" as op, Name("dist"), Num(c)) if c > 0:
            return f"every token {'at least' if op == '>=' else 'more than'} {number(c)} positions back"
        case Member(Name("dist"), values):
            return f"every token {_list([number(float(v)) for v in values], 'or')} positions back"
    return None


def _position(place: Expr) -> str:
    """A token named by its position."""
    match place:
        case Num(c) if 0 <= c < len(ORDINALS) and c == int(c):
            return f"the {ORDINALS[int(c)]} token"
        case Binary("-", Name("n"), Num(1.0)):
            return "the last token"
        case Binary("-" | "+" as op, base, Num(c)):
            where = "before" if op == "-" else "after"
            return f"the token {where} {_noun(base)}" if c == 1 else f"the token {number(c)} positions {where} {_noun(base)}"
        case Name() | Find() | Call("first_token" | "last_token"):
            return _noun(place)
    return f"the token at position {_noun(place)}"


def _relative(part: Expr, me: Expr, who: str) -> str | None:
    """The guard as a clause about `me`: "that is punctuation", "whose length is greater than 3"; None where it needs more words."""
    whose = "whose" if who == "that" else "its"
    match part:
        case Not(item):
            said = _relative(item, me, who)
            return None if said is None else _denied(said)
        case Or(items):
            several = [_relative(i, me, who) for i in items]
            return _list([s for s in several if s], "or") if all(several) else None
        case Call(name, (first, *rest)) if first == me and VOCABULARY[name].result == "guard":
            return _template(name, who, rest)
        case Compare("==" | "!=" as op, Call("text", (x,)), Str(value)) if x == me:
            return f"{who} {COMPARED[op]} {_quoted(value)}"
        case Member(Call("text", (x,)), values) if x == me:
            return f"{who} is {_list([_quoted(v) for v in values], 'or')}"
        case Compare(op, Call(name, (x,)), Str() | Num() as value) if x == me:
            return _about(name, who, whose, f"{COMPARED[op]} {_noun(value)}")
        case Member(Call(name, (x,)), values) if x == me:
            return _about(name, who, whose, f"is {_list([_quoted(v) for v in values], 'or')}")
        case Compare(op, x, Num() | Binary() as value) if x == me and not free_names(value) - {"n"}:
            where = {"==": "at", "!=": "not at", "<": "before", "<=": "up to", ">": "after", ">=": "from"}[op]
            return f"{who} is {where} position {_noun(value)}"
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
    args = [_noun(a) for a in rest]
    places = len(primitive.params) - 1
    if primitive.variadic and len(args) > places:
        args = [*args[: places - 1], _list(args[places - 1 :], "or")]
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


def _clause(guard: Expr) -> str:
    """The guard as a clause with its own subject."""
    match guard:
        case Bool(value):
            return "true" if value else "never"
        case Not(item):
            return _denied(_clause(item)) if not isinstance(item, And | Or) else f"it is not the case that {_clause(item)}"
        case And(items):
            return _list([_clause(i) for i in items])
        case Or(items):
            return "either " + _list([_clause(i) for i in items], "or")
        case Same(feature):
            template = VOCABULARY[feature].english
            what = template[4:-7] if template.startswith("the ") and template.endswith(" of {0}") else feature
            return f"the query and the key are alike in {what}" if template.startswith("{0} ") else f"the {what} is the same"
        case Compare(op, left, right):
            return f"{_noun(left)} {COMPARED[op]} {_noun(right)}"
        case Member(item, values):
            return f"{_noun(item)} is {_list([_quoted(v) for v in values], 'or')}"
        case Call(name, (first, *rest)) if VOCABULARY[name].result == "guard":
            return _template(name, _noun(first), rest)
        case Aggregate("any", over, inner):
            return f"there is {_element(over, inner, 'a')}"
        case Aggregate("all", over, inner):
            return f"there is no {_element(over, Not(inner) if inner is not None else None, '')[1:]}"
        case IfElse(test, then, other):
            return f"{_clause(then)} if {_clause(test)}, else {_clause(other)}"
    return _noun(guard)


def _element(over: Range, guard: Expr | None, article: str) -> str:
    """A token (or word) of the range for which the guard holds."""
    var = Name(over.var)
    kind = "token" if over.domain is None else "word"
    noun = f"{article} {kind}{_extent(over)}"
    if guard is None or guard == Bool(True):
        return noun
    said = _relative(guard, var, "that")
    return f"{noun} {said}" if said else f"{noun}, call it {over.var}, such that {_clause(guard)}"


def _extent(over: Range) -> str:
    if over.domain is not None:
        return " of the text" if not over.domain.args else f" among {_template(over.domain.name, _noun(over.domain.args[0]), [])}"
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
    return _noun(bound) if isinstance(bound, Name | Find) else _position(bound)


def _noun(node: Expr) -> str:
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
                return f"the {'smallest' if name == 'min' else 'greatest'} of {_list([_noun(a) for a in args])}"
            if VOCABULARY[name].domain == "position" and not isinstance(first, Name):
                return _template(name, _position(first), rest)
            return _template(name, _noun(first), rest)
        case Neg(item):
            return f"−{_operand(item)}"
        case Binary(op, left, right):
            return f"{_operand(left)} {SYMBOLS.get(op, op)} {_operand(right)}"
        case IfElse(test, then, other):
            return f"{_noun(then)} if {_clause(test)}, else {_noun(other)},"
        case Find(which, over, guard):
            return _element(over, guard, "the nearest" if _is_nearest(node) else f"the {which}")
        case Aggregate("count", over, guard):
            return f"the number of times that there is {_element(over, guard, 'a')}"
        case Aggregate(kind, over, guard, value) if value is not None:
            what = {"sum": "sum", "min": "smallest", "max": "greatest"}[kind]
            return f"the {what} of {_noun(value)} over each {_element(over, guard, '')[1:]} ({over.var})"
    return _clause(node)


def _is_nearest(node: Find) -> bool:
    low, high = node.range.low, node.range.high
    if node.range.domain is not None or (low is None) == (high is None):
        return False
    return (low is None) == (node.which == "last")


def _operand(node: Expr) -> str:
    return f"({_noun(node)})" if isinstance(node, Binary | IfElse | Neg) else _noun(node)


def _quoted(value: str | float) -> str:
    return '"' + value.replace("\n", "\\n") + '"' if isinstance(value, str) else number(value)


def _list(items: list[str], word: str = "and") -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {word} {items[-1]}"
