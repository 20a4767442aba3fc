"""Calls: Python's built-in functions, methods of strings, lists and dictionaries."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import replace
from inspect import signature
from typing import Any, ClassVar

from dsl.lift.idioms import PAIRWISE
from dsl.lift.machine import Conflict
from dsl.lift.ranges import find
from dsl.lift.sequences import items_of, rename_guard
from dsl.lift.subscripts import Subscripts
from dsl.lift.terms import ONE, arith
from dsl.lift.values import Builtin, Class, Extend, Func, Item, Module, Opaque, Over, Ref, Refusal, Seq, kind_of
from dsl.nodes import Expr, Name, Range

PYTHON = [
    "len",
    "range",
    "enumerate",
    "zip",
    "reversed",
    "sorted",
    "set",
    "list",
    "tuple",
    "dict",
    "frozenset",
    "str",
    "int",
    "float",
    "bool",
    "abs",
    "min",
    "max",
    "sum",
    "any",
    "all",
    "round",
    "isinstance",
    "print",
    "next",
    "iter",
    "map",
    "filter",
    "pow",
    "divmod",
    "repr",
    "hasattr",
    "type",
    "ord",
    "chr",
    "slice",
    "getattr",
]
ITERATORS = frozenset({
    "zip", "map", "filter", "enumerate", "reversed", "iter",
    "itertools.chain", "itertools.product", "itertools.pairwise",
})  # fmt: skip
ERRORS = "Exception ValueError IndexError KeyError TypeError AttributeError StopIteration RuntimeError ZeroDivisionError NameError"
ENVIRONMENT = [
    "make_row_stochastic",
    "apply_causal_mask",
    "spacy_parse",
    "_align_to_spacy",
    "align_spacy_to_tokens",
    "embedding_similarity",
    "_char_sim",
]


class Arguments(list[Any]):
    """Of a call; the program may have left out what a function needs."""

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, int) and not -len(self) <= at < len(self):
            raise Refusal(0, "a call without its arguments")
        return super().__getitem__(at)


class Calls(Subscripts):
    environment: ClassVar[dict[str, Any]] = {
        **{name: Builtin(name) for name in (*PYTHON, *ENVIRONMENT)},
        **{name: Builtin(name) for name in ERRORS.split()},
        "np": Module("numpy"),
        "numpy": Module("numpy"),
        "math": Module("math"),
        PAIRWISE: Builtin("itertools.pairwise"),
        "True": True,
        "False": False,
        "None": None,
        "__name__": "program",
    }

    def call(self, node: ast.Call) -> Any:
        if isinstance(node.func, ast.Name) and node.func.id in ("any", "all", "sum", "next") and len(node.args) >= 1:
            found = self.over_characters(node.func.id, node.args[0])
            if found is not None:
                return found
        if self.extends_group(node):
            return None
        f = self.evaluate(node.func)
        args: list[Any] = []
        for a in node.args:
            if isinstance(a, ast.Starred):
                inner = self.unbox(self.evaluate(a.value))
                known = list(inner) if isinstance(inner, tuple) else items_of(inner) if isinstance(inner, Seq) else None
                if known is None:
                    self.refuse("a call with a list of arguments")
                args.extend(known or [])
            else:
                args.append(self.decided_conflict(self.evaluate(a)))
        keywords: dict[str, Any] = {}
        for k in node.keywords:
            if k.arg is None:
                self.refuse("a call with ** arguments")
            else:
                keywords[k.arg] = self.decided_conflict(self.evaluate(k.value))
        line = self.line = node.lineno
        result = self.apply(f, args, keywords)
        self.line = line
        return result

    def extends_group(self, node: ast.Call) -> bool:
        """groups[-1].append(x), where groups is being filled by a loop."""
        match node:
            case ast.Call(ast.Attribute(ast.Subscript(ast.Name(name), index), "append"), [value], []):
                pass
            case _:
                return False
        if ast.unparse(index) != "-1":
            return False
        ref = self.lookup(name)
        held = self.unbox(ref)
        if not isinstance(ref, Ref) or not isinstance(held, Seq) or (held.segments and items_of(held) is not None):
            return False
        self.rebox(ref, Seq((*held.segments, Item(Extend(self.frozen(self.evaluate(value))))), held.is_set, held.ordered))
        return True

    def apply(self, f: Any, args: list[Any], keywords: dict[str, Any]) -> Any:
        f = self.decided_conflict(f)
        match f:
            case Func():
                return self.call_function(f, args, keywords)
            case Class():
                return self.instantiate(f, args, keywords)
            case Builtin(name, of):
                made = self.builtin(name, of, args, keywords)
                return replace(made, once=True) if isinstance(made, Seq) and name in ITERATORS else made
            case Opaque("tokenizer"):
                return self.builtin("tokens.call", None, args, keywords)
            case Opaque(name):
                return Opaque(name)
            case Conflict(cond=cond, a=a, b=b):
                return self.merge(cond, self.apply(a, args, keywords), self.apply(b, args, keywords))
        return self.refuse(f"a call of a {kind_of(f)}")

    def builtin(self, name: str, of: Any, args: list[Any], keywords: dict[str, Any]) -> Any:
        args = Arguments(args)
        if name.startswith("str."):
            return self.string_method(name[4:], of, args)
        if name.startswith("list."):
            return self.list_method(name[5:], of, args, keywords)
        if name.startswith("dict."):
            return self.dict_method(name[5:], of, args, keywords)
        if name.startswith("slot."):
            return self.slot_method(name[5:], of, args)
        if name.startswith(("np.", "arr.")):
            return self.numpy_call(name, of, args, keywords)
        if name.startswith("random."):
            if name == "random.seed":
                return None
            return self.refuse("random numbers have no fixed meaning")
        if name.startswith("math."):
            return self.math_call(name[5:], args)
        if name.startswith("re."):
            return self.regex(name[3:], of, args)
        if name.startswith("typing."):
            return args[-1] if args else Opaque("typing")
        if name.startswith("collections."):
            return self.collection(name[12:], args, keywords)
        if name.startswith("functools."):
            if name == "functools.partial":
                return self.refuse("functools.partial")
            return args[0] if args else Opaque("decorator")
        if name.startswith("itertools."):
            return self.itertool(name[10:], args)
        if name.startswith("operator."):
            return self.refuse("operator functions")
        if name.startswith("bisect."):
            return self.bisected(name[7:], args)
        if name.startswith("word."):
            return self.word_method(name[5:], of, args)
        if name in ENVIRONMENT:
            return self.environment_call(name, args)
        method = getattr(self, "py_" + name, None)
        if method is None:
            return self.refuse(f"{name}(…) has no counterpart")
        return self.called(method, name, args, keywords)

    def called(self, method: Callable[..., Any], name: str, args: list[Any], keywords: dict[str, Any]) -> Any:
        """The function that stands for one of Python's or numpy's, if it takes such arguments."""
        try:
            signature(method).bind(*args, **keywords)
        except TypeError:
            return self.refuse(f"{name}(…) with these arguments")
        return method(*args, **keywords)


class _Zero:
    """The factory of a defaultdict of numbers, or what a Counter says of other keys. creates: a read makes an entry."""

    def __init__(self, value: float = 0, creates: bool = True):
        self.value, self.creates = value, creates

    def __call__(self) -> Any:
        return self.value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Zero) and (other.value, other.creates) == (self.value, self.creates)

    def __hash__(self) -> int:
        return hash(self.value)

    def __repr__(self) -> str:
        return f"default {self.value}"


def _bounds(o: Over) -> tuple[Any, Any]:
    return o.ranges[0].low, o.ranges[0].high


def element_after(m: Any, over: Over, v: str) -> Any:

    def rest(o: Over) -> Expr:
        r = o.ranges[0]
        guard = rename_guard(o.guard, {r.var: Name(v)})
        if o.descending:
            return find("last", Range(v, r.low, arith("-", Name(r.var), ONE)), guard)
        return find("first", Range(v, arith("+", Name(r.var), ONE), r.high), guard)

    return rest
