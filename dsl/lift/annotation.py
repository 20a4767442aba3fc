"""Annotated words, sentences, and the helpers that programs may call."""

from __future__ import annotations

from typing import Any

from dsl.lift.elements import wrapped
from dsl.lift.guards import and_, compare, if_, member
from dsl.lift.ranges import find, nth_word, quantified
from dsl.lift.sequences import mapped
from dsl.lift.terms import ONE, N, arith, linear, num
from dsl.lift.values import Builtin, Doc, Opaque, Over, S, Sentence, Seq, Slice, expr, number, sort_of, value_of
from dsl.lift.words import Words
from dsl.nodes import TRUE, Call, Expr, Name, Num, Range

_TEXTS = {"pos_": "pos", "tag_": "tag", "dep_": "dep", "lemma_": "lemma", "ent_type_": "entity", "shape_": "shape"}
_FLAGS = {"is_stop", "is_punct", "is_space", "like_num"}
_TEXT_FLAGS = {"is_alpha": "isalpha", "is_digit": "isdigit", "is_lower": "islower", "is_upper": "isupper", "is_title": "istitle"}


class Annotation(Words):
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
                guard: Expr = TRUE
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

                return S("word", nth_word(if_(compare("<", e, num(0)), arith("+", e, count), e)))
        return S("word", nth_word(e))

    def doc_attribute(self, name: str) -> Any:
        if name == "sents":
            v, _w = self.var("w"), self.var("w")
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
                texts = [self.item(args[0], a) for a in args[1:]] if len(args) == 3 else args
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
            if isinstance(e, Call) and e.name == "piece":
                found.append(e.args[0])
            else:
                return self.refuse("embedding_similarity of strings that are not tokens of the text")
        return S("number", Call("similarity", tuple(found)))

    def wrapped_position(self, e: Expr) -> Expr:

        return wrapped(self, e, N)
