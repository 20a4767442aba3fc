"""Attributes: modules, annotated words, sentences, objects of the program; and the helpers that programs may call."""

from __future__ import annotations

import math
import string
from typing import Any

from dsl.lift.arrays import Arrays
from dsl.lift.build import (
    ONE,
    N,
    and_,
    arith,
    compare,
    find,
    linear,
    not_,
    nth_word,
    num,
    quantified,
)
from dsl.lift.machine import Conflict
from dsl.lift.sequences import mapped
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
    Slice,
    expr,
    kind_of,
    number,
    sort_of,
    value_of,
)
from dsl.nodes import TRUE, Call, Expr, Name, Num, Range

_TEXTS = {"pos_": "pos", "tag_": "tag", "dep_": "dep", "lemma_": "lemma", "ent_type_": "entity", "shape_": "shape"}
_FLAGS = {"is_stop", "is_punct", "is_space", "like_num"}
_TEXT_FLAGS = {"is_alpha": "isalpha", "is_digit": "isdigit", "is_lower": "islower", "is_upper": "isupper", "is_title": "istitle"}


class Words(Arrays):
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
                    import ast

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
            import ast

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
        if module in ("re", "collections", "itertools", "functools", "operator", "typing"):
            return Builtin(f"{module}.{name}")
        return Opaque(name)

    def array_attribute(self, of: Any, name: str, holder: Any) -> Any:
        if isinstance(of, Arr) and of.is_list:
            if name in ("append", "index", "count", "copy", "extend", "insert", "sort", "reverse"):
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
                    return self.refuse("the numbers of tokens")
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
        roles = {
            "cls_token": ("[CLS]", "<s>"), "sep_token": ("[SEP]", "</s>"), "bos_token": ("<s>", "<|endoftext|>", "<|begin_of_text|>"),
            "eos_token": ("</s>", "<|endoftext|>"), "pad_token": ("[PAD]", "<pad>"), "unk_token": ("[UNK]", "<unk>", "<|endoftext|>"),
        }  # fmt: skip
        if name == "all_special_tokens":
            from dsl.text import SPECIAL

            return tuple(sorted(SPECIAL))
        if name not in roles:
            return self.refuse(f"tokenizer.{name}")
        return Opaque("token:" + " ".join(roles[name]))

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

    # --- words --------------------------------------------------------------------------------------------------

    def word_attribute(self, w: Expr, name: str) -> Any:
        if name in _TEXTS:
            return S("text", Call(_TEXTS[name], (w,)))
        if name in _FLAGS:
            return S("guard", Call(name, (w,)))
        if name in _TEXT_FLAGS:
            return S("guard", Call(_TEXT_FLAGS[name], (Call("text", (w,)),)))
        match name:
            case "text" | "orth_":
                return S("text", Call("text", (w,)))
            case "lower_" | "norm_":
                return S("text", Call("lower", (Call("text", (w,)),)))
            case "i":
                return S("number", Call("index", (w,)))
            case "head":
                return S("word", Call("head", (w,)))
            case "is_sent_start":
                return S("guard", Call("sent_start", (w,)))
            case "is_sent_end":
                return S("guard", Call("sent_end", (w,)))
            case "children" | "ancestors" | "subtree" | "lefts" | "rights" | "conjuncts":
                if name == "conjuncts":
                    self.refuse("conjuncts of a word")
                v = self.var("w")
                domain = Call("children" if name in ("lefts", "rights") else name, (w,))
                guard = TRUE
                if name in ("lefts", "rights"):
                    op = "<" if name == "lefts" else ">"
                    guard = compare(op, Call("index", (Name(v),)), Call("index", (w,)))
                return Seq((Over((Range(v, None, None, domain),), guard, S("word", Name(v))),))
            case "n_lefts" | "n_rights":
                seq = self.word_attribute(w, name[2:])
                o = seq.segments[0]
                return S("number", quantified("count", o.ranges[0], o.guard))
            case "sent":
                return Sentence(w)
            case "left_edge" | "right_edge":
                v = self.var("w")
                which = "first" if name == "left_edge" else "last"
                return S("word", find(which, Range(v, None, None, Call("subtree", (w,))), TRUE))
            case "morph":
                return S("text", Call("morph", (w,)))
            case "nbor" | "is_ancestor":
                return Builtin("word." + name, S("word", w))
            case (
                "like_email" | "like_url" | "is_currency" | "is_bracket" | "is_quote" | "idx" | "ent_iob_" | "vector" | "has_vector"
            ):
                if name == "is_quote":
                    from dsl.lift.build import member

                    return value_of("guard", member(Call("text", (w,)), ['"', "'", "“", "”", "‘", "’", "`", "``", "''"]))
                self.refuse(f"the attribute {name} of a word")
            case "pos" | "dep" | "lemma" | "tag" | "ent_type":
                self.refuse(f"the number {name} of a word (the string is {name}_)")
        return self.refuse(f"the attribute {name} of a word")

    def word_method(self, name: str, of: Any, args: list[Any]) -> Any:
        if name == "nbor":
            step = number(args[0]) if args else ONE
            return S("word", nth_word(arith("+", Call("index", (of.e,)), step)))
        if name == "is_ancestor":
            v = self.var("w")
            r = Range(v, None, None, Call("ancestors", (expr(args[0]),)))
            return value_of("guard", quantified("any", r, compare("==", Name(v), of.e)))
        return self.refuse(f"the method {name} of a word")

    def sentence_attribute(self, of: Sentence, name: str) -> Any:
        v = self.var("w")
        r = Range(v, None, None, Call("words", ()))
        same = compare("==", Call("sentence", (Name(v),)), Call("sentence", (of.word,)))
        match name:
            case "start":
                return S("number", Call("index", (find("first", r, same),)))
            case "end":
                return S("number", arith("+", Call("index", (find("last", r, same),)), ONE))
            case "root":
                return S("word", find("first", r, and_(same, compare("==", Call("head", (Name(v),)), Name(v)))))
        return self.refuse(f"the attribute {name} of a sentence")

    def sentence_item(self, of: Sentence, index: Any) -> Any:
        v = self.var("w")
        r = Range(v, None, None, Call("words", ()))
        same = compare("==", Call("sentence", (Name(v),)), Call("sentence", (of.word,)))
        if index == 0:
            return S("word", find("first", r, same))
        if index == -1:
            return S("word", find("last", r, same))
        return self.refuse("a word of a sentence by number")

    def doc_item(self, index: Any) -> Any:
        if isinstance(index, Slice):
            return self.refuse("a part of the document")
        e = number(index)
        if isinstance(e, Num) and e.value < 0:
            v = self.var("w")
            if e.value == -1:
                return S("word", find("last", Range(v, None, None, Call("words", ())), TRUE))
        terms, const = linear(e)
        if const < 0 and not self.nonnegative(e) and len(terms) == 1:
            atom = next(iter(terms))
            if isinstance(atom, Call) and atom.name == "index":
                v = self.var("w")
                count = quantified("count", Range(v, None, None, Call("words", ())), TRUE)
                from dsl.lift.build import if_

                return S("word", nth_word(if_(compare("<", e, num(0)), arith("+", e, count), e)))
        return S("word", nth_word(e))

    def doc_attribute(self, name: str) -> Any:
        if name == "sents":
            v, w = self.var("w"), self.var("w")
            starts = Call("sent_start", (Name(v),))
            return Seq((Over((Range(v, None, None, Call("words", ())),), starts, Sentence(Name(v))),))
        if name == "text":
            return Opaque("string")
        return self.refuse(f"the document's {name}")

    # --- what programs may call ---------------------------------------------------------------------------------

    def environment_call(self, name: str, args: list[Any]) -> Any:
        match name:
            case "make_row_stochastic":
                return self.row_stochastic(args[0])
            case "apply_causal_mask":
                return self.mask_future(args[0])
            case "spacy_parse":
                return Doc()
            case "_align_to_spacy" | "align_spacy_to_tokens":
                return self.box(mapped(self, self.words_of))
            case "embedding_similarity":
                return self.similarity(args)
            case "_char_sim":
                if len(args) == 3:
                    texts = [self.item(args[0], a) for a in args[1:]]
                else:
                    texts = args
                if sort_of(texts[0]) == "number":
                    self.refuse("_char_sim of numbers")
                return S("number", Call("char_similarity", (expr(texts[0]), expr(texts[1]))))
        return self.refuse(f"{name} is not part of the environment")

    def words_of(self, p: Expr) -> Seq:
        v = self.var("w")
        return Seq((Over((Range(v, None, None, Call("words", (p,))),), TRUE, S("number", Call("index", (Name(v),)))),))

    def similarity(self, args: list[Any]) -> Any:
        positions = args[1:] if len(args) == 3 else args
        found = []
        for a in positions:
            if sort_of(a) == "number":
                found.append(self.wrapped_position(number(a)))
                continue
            e = expr(a) if sort_of(a) == "text" else None
            if isinstance(e, Call) and e.name == "text":
                found.append(e.args[0])
            else:
                return self.refuse("embedding_similarity of strings that are not tokens of the text")
        return S("number", Call("similarity", tuple(found)))

    def wrapped_position(self, e: Expr) -> Expr:
        from dsl.lift.sequences import wrapped

        return wrapped(self, e, N)
