"""Attributes: modules, annotated words, sentences, objects of the program; and the helpers that programs may call."""

from __future__ import annotations

import ast
import math
import string
from typing import Any

from dsl.lift.machine import Conflict
from dsl.lift.terms import N, arith
from dsl.lift.tokens import Tokens
from dsl.lift.values import (
    Arr,
    Builtin,
    Dict,
    DictSlot,
    Doc,
    Func,
    Instance,
    Module,
    Opaque,
    Ref,
    RowView,
    S,
    Sentence,
    Seq,
    kind_of,
    sort_of,
    value_of,
)


class Words(Tokens):
    def attribute(self, of: Any, name: str) -> Any:
        of = self.decided_conflict(of)
        match of:
            case Module(module):
                return self.module_member(module, name)
            case S("word", e):
                return self.word_attribute(e, name)
            case S("text") | str():
                return Builtin("str." + name, of)
            case Ref():
                held = self.unbox(of)
                if isinstance(held, Dict):
                    return Builtin("dict." + name, of)
                if isinstance(held, Seq) and name in (
                    "size",
                    "shape",
                    "astype",
                    "tolist",
                    "sum",
                    "max",
                    "min",
                    "mean",
                    "any",
                    "all",
                ):
                    if name in ("size", "shape"):
                        size = self.py_len(of)
                        return size if name == "size" else (size,)
                    return Builtin("arr." + name, held)
                return Builtin("list." + name, of) if isinstance(held, Seq) else self.array_attribute(held, name, of)
            case Seq() | tuple():
                return Builtin("list." + name, of)
            case DictSlot():
                return Builtin("slot." + name, of)
            case Dict():
                return Builtin("dict." + name, of)
            case Arr() | RowView():
                return self.array_attribute(of, name, of)
            case S("id"):
                return Builtin("ids." + name, of)
            case Opaque():
                return self.opaque_attribute(of, name)
            case Sentence():
                return self.sentence_attribute(of, name)
            case Doc():
                return self.doc_attribute(name)
            case Instance(scope, cls):
                if ("v", scope, name) in self.store:
                    return self.store["v", scope, name]
                for s in cls.node.body:
                    if isinstance(s, ast.FunctionDef) and s.name == name:
                        bound = None if any(ast.unparse(d) == "staticmethod" for d in s.decorator_list) else of
                        made = Func(s, cls.scope, tuple(self.evaluate(d) for d in s.args.defaults), bound)
                        if any(ast.unparse(d) == "property" for d in s.decorator_list):
                            return self.call_function(made, [], {})
                        return made
                return self.refuse(f"an attribute {name!r} that is not set")
            case Builtin(inner):
                if inner in ("np.maximum", "np.minimum") and name == "accumulate":
                    return Builtin(f"accumulate.{inner[3:6]}")
                if inner in ("np.subtract", "np.multiply", "np.add", "np.equal", "np.less_equal", "np.less") and name == "outer":
                    return Builtin(f"outer.{inner[3:]}")
                if inner.startswith("typing."):
                    return Builtin("typing." + name)
                return self.refuse(f"{inner.removeprefix('arr.')}.{name}")
            case Conflict(cond=cond, a=a, b=b):
                return self.merge(cond, self.attribute(a, name), self.attribute(b, name))
            case None:
                return self.refuse(f"None has no {name}")
        if sort_of(of) == "number":
            if name in ("item", "astype"):
                return Builtin("np.item", None) if name == "item" else Builtin("arr.astype", of)
            if name in ("sum", "max", "min", "mean", "any", "all"):
                return Builtin("scalar", of)
        if isinstance(of, S) and of.sort == "guard":
            return Builtin("scalar", of)
        return self.refuse(f"the attribute {name} of a {kind_of(of)}")

    def builtin(self, name: str, of: Any, args: list[Any], keywords: dict[str, Any]) -> Any:
        if name.startswith("accumulate."):
            return self.np_accumulate(args[0], name[11:])
        if name.startswith("outer."):
            ops: dict[str, Any] = {"subtract": ast.Sub(), "multiply": ast.Mult(), "add": ast.Add()}
            if name[6:] in ops:
                return self.outer(args[0], args[1], lambda u, v: self.binary(ops[name[6:]], u, v))
            tests: dict[str, Any] = {"equal": ast.Eq(), "less_equal": ast.LtE(), "less": ast.Lt()}
            return self.outer(args[0], args[1], lambda u, v: self.compare_values(tests[name[6:]], u, v))
        if name == "scalar":
            return of
        return super().builtin(name, of, args, keywords)

    def module_member(self, module: str, name: str) -> Any:
        if module in ("random", "numpy.random"):
            return Builtin("random." + name)
        constants: dict[str, float] = {"pi": math.pi, "e": math.e, "inf": math.inf, "nan": math.nan, "tau": math.tau}
        if module in ("numpy", "math") and name in constants:
            return self.known_number(constants[name])
        if module == "numpy" and name == "newaxis":
            return None
        if module == "numpy":
            if name == "random":
                return Module("random")
            if name in (
                "float64",
                "float32",
                "float16",
                "int64",
                "int32",
                "int8",
                "bool_",
                "ndarray",
                "float_",
                "int_",
                "intp",
                "bool",
            ):
                return Opaque(name)
            if name in ("equal", "not_equal", "greater", "greater_equal", "less", "less_equal"):
                return Builtin("compare." + name)
            return Builtin("np." + name)
        if module == "math":
            return Builtin("math." + name)
        if module == "string":
            value = getattr(string, name, None)
            return value if isinstance(value, str) else self.refuse(f"string.{name}")
        if module in ("re", "collections", "itertools", "functools", "operator", "typing", "bisect"):
            return Builtin(f"{module}.{name}")
        return Opaque(name)

    def array_attribute(self, of: Any, name: str, holder: Any) -> Any:
        listed = ("append", "index", "count", "copy", "extend", "insert", "sort", "reverse")
        if isinstance(of, Arr) and of.is_list and name in listed:
            return Builtin("list." + name, holder)
        a = self.row_array(of)
        match name:
            case "shape":
                return tuple(value_of("number", d) for d in a.dims)
            case "size":
                return value_of("number", a.dims[0] if len(a.dims) == 1 else arith("*", a.dims[0], a.dims[1]))
            case "ndim":
                return len(a.dims)
            case "T":
                return self.np_transpose(a)
            case "dtype":
                return Opaque("dtype")
            case "float" | "double" | "numpy" | "cpu" | "detach":  # of a tensor
                return Builtin("ids." + name, of)
        return Builtin("arr." + name, of)

    def opaque_attribute(self, of: Opaque, name: str) -> Any:
        match of.name:
            case "tokenizer":
                return self.tokenizer_attribute(name)
            case "encoding" | "encodings":
                return self.encoding_attribute(of, name)
            case "ids" | "batch":
                if name == "shape":
                    return (S("number", N),) if of.name == "ids" else (1, S("number", N))
                return Builtin("ids." + name, of)
        return of if of.name != "sentence" else Builtin("sentence." + name)
