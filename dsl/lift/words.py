"""Attributes: modules, annotated words, sentences, objects of the program; and the helpers that programs may call."""

from __future__ import annotations

import ast
import math
import string
from typing import Any

from dsl.lift.guards import and_, not_
from dsl.lift.machine import Conflict
from dsl.lift.ranges import quantified
from dsl.lift.reductions import Reductions
from dsl.lift.sequences import mapped
from dsl.lift.terms import ONE, N, arith
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
    Over,
    Ref,
    RowView,
    S,
    Sentence,
    Seq,
    expr,
    kind_of,
    sort_of,
    value_of,
)
from dsl.nodes import Call, Expr, Name, Range

ROLES = {
    "cls_token": ("[CLS]", "<s>"),
    "sep_token": ("[SEP]", "</s>"),
    "bos_token": ("<s>", "<|endoftext|>", "<|begin_of_text|>"),
    "eos_token": ("</s>", "<|endoftext|>"),
    "pad_token": ("[PAD]", "<pad>"),
    "unk_token": ("[UNK]", "<unk>", "<|endoftext|>"),
}


class Words(Reductions):
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
                return Builtin("ids.item", of)
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
                return Builtin("typing." + name)
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
        constants = {"pi": math.pi, "e": math.e, "inf": 1e9, "newaxis": None, "tau": math.tau}
        if module in ("numpy", "math") and name in constants:
            return constants[name]
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
        return Builtin("arr." + name, of)

    def opaque_attribute(self, of: Opaque, name: str) -> Any:
        match of.name:
            case "tokenizer":
                if name.endswith("_token") or name in ("all_special_tokens",):
                    return self.special_tokens(name)
                if name == "all_special_ids":
                    v = self.var()
                    of_special = Over((Range(v),), Call("special", (Name(v),)), S("id", Call("text", (Name(v),))))
                    return self.box(Seq((of_special,), True))
                if name.endswith("_token_id") and name[:-3] in ROLES:
                    return Opaque("id:" + " ".join(ROLES[name[:-3]]))
                if name.endswith("_id") or name in ("vocab", "vocab_size"):
                    return self.refuse("the numbers of tokens")
                return Builtin("tokens." + name)
            case "encoding" | "encodings":
                if name in ("input_ids", "data"):
                    return Opaque("ids" if of.name == "encoding" else "batch") if name == "input_ids" else of
                return Builtin("encoding." + name, of)
            case "ids" | "batch":
                if name == "shape":
                    return (S("number", N),) if of.name == "ids" else (1, S("number", N))
                return Builtin("ids." + name, of)
        return of if of.name != "sentence" else Builtin("sentence." + name)

    def special_tokens(self, name: str) -> Any:
        if name == "all_special_tokens":
            from dsl.text import SPECIAL

            return tuple(sorted(SPECIAL))
        if name not in ROLES:
            return self.refuse(f"tokenizer.{name}")
        return Opaque("token:" + " ".join(ROLES[name]))

    def tokenizer_call(self, name: str, of: Any, args: list[Any], keywords: dict[str, Any]) -> Any:
        """What programs do with the tokenizer, its encoding and its ids."""
        kind, short = name.split(".", 1)
        if kind == "tokens":
            if keywords.get("add_special_tokens") is False:
                self.refuse("tokens without the special ones")
            match short:
                case "convert_ids_to_tokens":
                    if args and isinstance(args[0], S):
                        return S("text", args[0].e) if args[0].sort == "id" else self.refuse("the numbers of tokens")
                    known = self.unbox(args[0]) if args else None
                    if isinstance(known, Seq) and known.segments:
                        return self.box(self.each(known, lambda v: S("text", expr(v))))
                    return self.box(mapped(self, lambda p: S("text", Call("text", (p,)))))
                case "call" | "encode_plus" | "batch_encode_plus":
                    batch = keywords.get("return_tensors") is not None or not isinstance(args[0] if args else None, Opaque)
                    return Opaque("encodings" if batch else "encoding")
                case "encode":
                    return Opaque("batch" if keywords.get("return_tensors") is not None else "ids")
                case "tokenize":
                    return self.refuse("tokenizer.tokenize leaves out the special tokens")
            return self.refuse(f"tokenizer.{short} has no counterpart")
        if kind == "encoding":
            match short:
                case "tokens":
                    return self.box(mapped(self, lambda p: S("text", Call("text", (p,)))))
                case "word_ids":
                    return self.box(mapped(self, self.word_number))
                case "to":
                    return of
                case "get" if args and args[0] == "input_ids":
                    return self.opaque_attribute(of, "input_ids")
            return self.refuse(f"the encoding's {short} has no counterpart")
        if kind == "ids":
            match short:
                case "tolist" | "numpy" | "cpu" | "detach" | "long" | "copy":
                    return of
                case "item":
                    return of
                case "squeeze" | "flatten" | "ravel" | "view" | "reshape":
                    return Opaque("ids")
                case "size" | "numel":
                    if args or short == "numel":
                        return 1 if args == [0] and of.name == "batch" else S("number", N)
                    return (S("number", N),) if of.name == "ids" else (1, S("number", N))
        return self.refuse(f"{name} has no counterpart")

    def word_number(self, p: Expr) -> Any:
        """The number of a token's word, counted by word starts; None for special tokens."""
        v = self.var()
        start = and_(Call("word_start", (Name(v),)), not_(Call("special", (Name(v),))))
        number_of = arith("-", quantified("count", Range(v, None, p), start), ONE)
        return self.merge(Call("special", (p,)), None, S("number", number_of))
