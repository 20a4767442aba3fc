"""Finds the program in a source text, and guards the lifter against anything that is not one."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dsl.check import check
from dsl.errors import LanguageError
from dsl.lift.annotation import Annotation
from dsl.lift.calls import ENVIRONMENT
from dsl.lift.elsewhere import AT
from dsl.lift.emit import Emitter
from dsl.lift.finish import finished
from dsl.lift.grouping import regrouped
from dsl.lift.idioms import reworded
from dsl.lift.machine import Conflict
from dsl.lift.ranges import size_of
from dsl.lift.terms import TooMuch, new_budget
from dsl.lift.values import Arr, Opaque, Refusal, RowView, Seq
from dsl.nodes import Program, walk

LONGEST_SOURCE = 60_000
MAX_RULES = 400
MAX_NODES = 20_000


@dataclass(frozen=True)
class Lifted:
    program: Program
    name: str  # of the pattern, as the program returns it, else of the function


class Lifter(Annotation):
    """The whole of it; each file adds a part."""

    def builtin(self, name: str, of: Any, args: list[Any], keywords: dict[str, Any]) -> Any:
        if name.startswith(("tokens.", "encoding.", "ids.")):
            return self.tokenizer_call(name, of, args, keywords)
        if name.startswith("sentence."):
            # texts begin and end with what is no white space; where one does not, the original fails on what is left
            return Opaque("sentence" if name in ("sentence.strip", "sentence.rstrip", "sentence.lstrip") and not args else "string")
        if name.startswith("compare."):
            ops = {"equal": ast.Eq(), "not_equal": ast.NotEq(), "greater": ast.Gt(), "greater_equal": ast.GtE(), "less": ast.Lt(),
                   "less_equal": ast.LtE()}  # fmt: skip
            return self.elementwise(lambda x, y: self.compare_values(ops[name[8:]], x, y), *args)
        return super().builtin(name, of, args, keywords)


def lift(source: str, tokenizer: Mapping[str, Any] | None = None) -> Lifted:
    """The program of a Python source: its last top-level function of two parameters.

    tokenizer: what is known of the tokenizer that the program will ask (dsl.text.facts_of); without it the special tokens are
    taken to be those of the usual tokenizers. Raises Refusal, with the line and the reason. Any other exception is a defect of the
    lifter, not of the program.
    """
    tree = regrouped(reworded(parse(source)))
    main = main_function(tree)
    lifter = Lifter(tokenizer)
    new_budget()
    try:
        for node in tree.body:
            if node is main or _is_helper_of_environment(node):
                continue
            if isinstance(node, ast.Expr | ast.If) and not isinstance(getattr(node, "value", None), ast.Constant):
                continue
            lifter.statement(node)
        lifter.steps = 0
        f = lifter.function(main, main.args)
        result = lifter.call_function(f, [Opaque("sentence"), Opaque("tokenizer")], {})
        lifter.line = main.body[-1].lineno  # what is wrong with the result is so where it is returned
        name, array = result_of(lifter, result, main.name)
        lifter.settle(array)
        statements = Emitter(lifter, array).statements()
        if sum(size_of(s, MAX_NODES) for s in statements) > MAX_NODES:
            lifter.refuse("the lifted program becomes too large")
        program = finished(statements)
        verify(lifter, program)
    except Refusal as refusal:
        if refusal.line == 0 and lifter.line:
            raise Refusal(lifter.line, refusal.reason) from None
        raise
    except TooMuch:
        raise Refusal(lifter.line, "following the program takes more work than is allowed") from None
    except RecursionError:
        raise Refusal(lifter.line, "the program is nested too deeply") from None
    return Lifted(program, name)


def parse(source: str) -> ast.Module:
    if len(source) > LONGEST_SOURCE:
        raise Refusal(0, f"the program is longer than {LONGEST_SOURCE} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Python about the program's style
            return ast.parse(source)
    except SyntaxError as error:
        raise Refusal(error.lineno or 0, f"not Python: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise Refusal(0, f"not Python: {error or 'nested too deeply'}") from None


def main_function(tree: ast.Module) -> ast.FunctionDef:
    found = None
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not _is_helper_of_environment(node):
            a = node.args
            if len(a.posonlyargs) + len(a.args) == 2 and not a.vararg and not a.kwonlyargs:
                found = node
    if found is None:
        raise Refusal(0, "there is no top-level function of two parameters")
    return found


def _is_helper_of_environment(node: ast.AST) -> bool:

    return isinstance(node, ast.FunctionDef) and node.name in ENVIRONMENT


def result_of(lifter: Lifter, result: Any, name: str) -> tuple[str, Arr]:
    result = lifter.decided_conflict(result)
    if isinstance(result, Conflict):
        lifter.refuse("the program returns values of different kinds")
    if isinstance(result, tuple) and len(result) == 2:
        if isinstance(result[0], str):
            name = result[0]
        result = result[1]
    result = lifter.decided_conflict(lifter.unbox(result))
    if not isinstance(result, Arr | RowView | Seq | tuple):
        lifter.refuse("the program does not return a matrix")
    if isinstance(result, RowView):
        lifter.refuse("the program returns one row")
    return name, lifter.matrix(result)


def verify(lifter: Lifter, program: Program) -> None:
    """The result is a program of the language, of a size that can be evaluated."""
    if size_of(program, MAX_NODES) > MAX_NODES or len(program.rules()) > MAX_RULES:
        lifter.refuse("the lifted program becomes too large")
    for node in walk(program):
        name = getattr(node, "name", "")
        if isinstance(name, str) and name.startswith(("$", "@")):
            unknown = name.removeprefix(AT)
            reason = lifter.untold.get(unknown) or lifter.origin.get(unknown)
            if reason is not None:
                raise reason
            lifter.refuse("a value that could not be told at the end of a loop")
    try:
        check(program)
    except LanguageError as error:
        lifter.refuse(f"no counterpart in the language: {error}")
