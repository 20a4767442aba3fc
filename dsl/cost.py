"""How much there is to read in a program: the archive's second axis."""

from __future__ import annotations

from functools import lru_cache

from dsl.nodes import (
    Aggregate,
    And,
    AnyNode,
    Binary,
    Block,
    Bool,
    Call,
    Compare,
    Find,
    IfElse,
    Let,
    Member,
    Neg,
    Not,
    Num,
    Or,
    Program,
    Rule,
    Same,
    Str,
    children,
)
from dsl.vocabulary import VOCABULARY

RULE = 1.0  # a rule, a block, a let
NUMBER = 0.5
LITERAL = 0.25  # each further element of a set
OPERATOR = 0.5  # arithmetic, a comparison, each further operand of and / or
SEARCH = 1.5  # first, last, count, any, …
CHOICE = 1.0


def complexity(program: Program) -> float:
    """The sum of the costs of the program's parts.

    A rule, block or `let` costs 1, a primitive its `cost` in the vocabulary, same(f) the cost of f; an operator, a comparison,
    a further operand of and / or 0.5; a number or string 0.5, each further element of a set 0.25; a choice (if … else) 1, a search
    or an aggregate 1.5; names are free.
    """
    return _cost(program)


@lru_cache(maxsize=1 << 16)
def _cost(node: AnyNode) -> float:
    return _own(node) + sum(_cost(below) for below in children(node))


def _own(node: AnyNode) -> float:
    match node:
        case Rule() | Block() | Let():
            return RULE
        case Num() | Bool() | Str():
            return NUMBER
        case Call(name, _):
            return VOCABULARY[name].cost
        case Same(feature):
            return VOCABULARY[feature].cost
        case Member(_, values):
            return OPERATOR + NUMBER + LITERAL * max(len(values) - 1, 0)
        case And(items) | Or(items):
            return OPERATOR * (len(items) - 1)
        case Neg() | Not() | Binary() | Compare():
            return OPERATOR
        case IfElse():
            return CHOICE
        case Find() | Aggregate():
            return SEARCH
    return 0.0
