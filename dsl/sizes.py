"""How much there is to read in a program: the only measure of length."""

from __future__ import annotations

import re
from functools import lru_cache

from dsl.nodes import AnyNode, Program
from dsl.printer import statements_text

# What the lexer of grammars/pattern.lark yields one token for. Strings first: they may hold anything.
_TOKEN = re.compile(
    r'"(?:\\.|[^"\\\n])*"'  # string
    r"|(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?"  # number, without its sign
    r"|\w+"  # word
    r"|\*\*|//|==|!=|<=|>=|\.\."  # signs of two characters
    r"|[^\w\s]",  # any other sign, bracket, comma
    re.ASCII,
)


@lru_cache(maxsize=1 << 14)
def size(program: AnyNode) -> int:
    """The number of tokens of the program's text: words, numbers, operators, brackets, commas and strings count one each.

    The sign before a number is an operator of its own. Two ways of writing one program have one size in canonical form only
    (`dsl.simplify`). A concept counts one where it is used, whatever its definition says; the definition is measured for itself.
    """
    return size_of_text(statements_text(program) if isinstance(program, Program) else str(program))


def size_of_text(text: str) -> int:
    """The same for the text that a program prints, which has no comments."""
    return len(_TOKEN.findall(text))
