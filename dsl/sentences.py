"""A program in English: one sentence per rule, made from the phrases of dsl/vocabulary.py.

A rule's guard is split by what it speaks of: the query (who attends), the key (to what), and everything else ("where …").
"""

from __future__ import annotations

from collections.abc import Iterator

from dsl.canonical.binders import rename
from dsl.canonical.expressions import simplified
from dsl.canonical.layout import shown
from dsl.concepts import body
from dsl.decay import told
from dsl.nodes import (
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
    K,
    Let,
    Member,
    N,
    Name,
    Not,
    Num,
    Program,
    Q,
    Rule,
    Same,
    Statement,
    free_names,
    substitute,
)
from dsl.phrases import a_concept, clause, listed, noun_of, percent, position, relative, steps
from dsl.printer import number


def english(program: Program) -> list[str]:
    """One sentence per leaf rule, in the program's order."""
    return [_sentence(rule, guard) for rule, guard in _rules(program.statements, (), {})]


def definition(concept: Concept) -> str:
    """What a concept means, in one sentence."""
    guard = shown(simplified(rename(body(concept))))
    name = a_concept(concept)
    if len(concept.params) == 2:
        return f"A query and a key are {concept.name.replace('_', ' ')} if {clause(guard)}."
    said = [relative(part, K, "it") for part in _parts(guard)]
    if said and all(said):
        return f"A token is {name} if {listed([s for s in said if s])}."
    return f"A token, the key, is {name} if {clause(guard)}."


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
                yield rule, list(_parts(shown(simplified(rename(And(whole)))))) if whole else []


def _parts(guard: Expr) -> tuple[Expr, ...]:
    return guard.items if isinstance(guard, And) else () if guard == Bool(True) else (guard,)


def _sentence(rule: Rule, guard: list[Expr]) -> str:
    values = None if rule.value is None else told(rule.value, guard)
    subject, guard = _subject(guard)
    target, conditions = _target(guard)
    target = "itself" if target == subject else target
    where = f", where {listed(conditions)}" if conditions else ""
    value = rule.value
    if value is None or (rule.op == "share" and target == "every token" and not conditions):
        said = f"the weights of {subject} are divided by their sum"
    elif rule.op == "share":
        whose = "each token's attention" if subject == "each token" else f"the attention of {subject}"
        part = steps(value, percent)
        said = f"of {whose}, {part}, goes to {target}" if isinstance(value, IfElse) else f"{part} of {whose} goes to {target}"
    elif rule.op == "scale":
        said = f"the attention of {subject} to {target} is multiplied by {noun_of(value)}"
    elif rule.op in ("set", "add") and value == Num(0.0):
        said = f"{subject} does not attend to {target}" if rule.op == "set" else f"{subject} attends to {target} as before"
    elif rule.op == "add" and isinstance(value, Num) and value.value < 0:
        said = f"{subject} attends with {number(-value.value)} less weight to {target}"
    else:
        how = {"set": "with weight exactly", "add": "with weight", "max": "with weight at least", "min": "with weight at most"}
        said = f"{subject} attends {how[rule.op]} {noun_of(value)} to {target}"
        if isinstance(value, IfElse):  # the longer part stands last
            said = f"{subject} attends to {target} {how[rule.op]} {noun_of(value)}"
    text = said + where + (f" ({values})" if values else "")
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
        elif "q" in about and "k" not in about and (said := relative(part, Q, "that")) is not None:
            relatives.append(said)
        else:
            rest.append(part)
    return noun + (" " + listed(relatives) if relatives else ""), rest


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
        said = relative(part, K, "it" if unique else "that") if "k" in about and "q" not in about else None
        if said is None:
            conditions.append(clause(part))
        else:
            relatives.append(said)
    if relatives:
        noun += (", if " if unique else " ") + listed(relatives)
    return noun, conditions


def _one_token(part: Expr) -> str | None:
    match part:
        case Compare("==", Name("dist"), Num(0.0)):
            return "itself"
        case Compare("==", Name("dist"), Num(c)) if c == int(c):
            if abs(c) == 1:
                return "the previous token" if c > 0 else "the next token"
            return f"the token {int(abs(c))} positions {'before' if c > 0 else 'after'} it"
        case Call("start", (Name("k"),)):
            return "the start"
        case Compare("==", Name("k"), place):
            return noun_of(place) if isinstance(place, Find) else position(place)
        case Compare("==", Find() as place, Name("k")):
            return noun_of(place)
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
            return f"every token {listed([number(float(v)) for v in values], 'or')} positions back"
    return None
