"""Elements, slices, and what can be gone through."""

from __future__ import annotations

import ast
from typing import Any

from dsl.lift.comprehensions import Comprehensions
from dsl.lift.dictionaries import constant_key, dict_get, dict_has, dict_values, entries_asked, entry_read
from dsl.lift.elements import element, sliced
from dsl.lift.guards import compare, not_
from dsl.lift.machine import Conflict, merge_sequences
from dsl.lift.sequences import constant, length, mapped
from dsl.lift.terms import ONE, arith, num
from dsl.lift.values import (
    Arr,
    Builtin,
    Dict,
    DictSlot,
    Doc,
    EmptyList,
    Extend,
    Opaque,
    Over,
    Ref,
    RowView,
    S,
    Sentence,
    Seq,
    Slice,
    Stream,
    kind_of,
    number,
)
from dsl.nodes import TRUE, Call, Expr, Name, Num, Range


class Subscripts(Comprehensions):
    def index(self, node: ast.expr) -> Any:
        """An index, slices as Slice, several as a tuple."""
        match node:
            case ast.Slice(low, high, step):
                return Slice(*(None if x is None else self.evaluate(x) for x in (low, high, step)))
            case ast.Tuple(elts):
                return tuple(self.index(e) for e in elts)
        return self.evaluate(node)

    def settled_list(self, held: Any) -> Any:
        if isinstance(held, Seq) and any(isinstance(s.value, Extend) for s in held.segments):
            self.refuse("a list of lists that is read while it is filled")
        return held

    def item(self, of: Any, index: Any) -> Any:
        """of[index]."""
        holder = of = self.decided_conflict(of)
        of = self.unbox(of)
        index = self.decided_conflict(index)
        match of:
            case Arr() | RowView():
                return self.array_item(of, index)
            case Seq():
                self.settled_list(of)
                if isinstance(index, Slice):
                    return self.box(sliced(self, of, index.low, index.high, index.step))
                inner = self.unbox(index)
                if isinstance(inner, Seq) and (chosen := self.picked(of, inner)) is not None:
                    return self.box(chosen)
                if isinstance(index, tuple | Arr):
                    return self.array_item(self.as_array(of), index)
                if self.failing is not None:
                    self.fails_if(not_(compare("<", number(index), length(self, of))))
                return element(self, of, index)
            case tuple():
                if isinstance(index, Slice):
                    return of[slice(index.low, index.high, index.step)]
                if isinstance(index, bool | int):
                    if not -len(of) <= index < len(of):
                        self.refuse("an index beyond the end of a tuple")
                    return of[index]
                return element(self, constant(of), index)
            case Dict():
                if isinstance(holder, Ref) and isinstance(of.factory, EmptyList) and not constant_key(index):
                    return DictSlot(holder, index)
                if self.failing is not None:
                    self.fails_if(not_(dict_has(self, of, index)))
                entry_read(self, holder, of, index)
                return dict_get(self, of, index)
            case DictSlot():
                return self.item(self.slot_list(of), index)
            case Doc():
                return self.doc_item(index)
            case S("text", e):
                return self.text_item(e, index)
            case str():
                if isinstance(index, int | Slice):
                    return of[slice(index.low, index.high, index.step)] if isinstance(index, Slice) else of[index]
                if isinstance(index, S):
                    return element(self, constant(tuple(of)), index)
            case Opaque("encoding" | "encodings"):
                return self.encoding_attribute(of, index) if isinstance(index, str) else self.refuse("this part of the encoding")
            case Opaque("batch"):
                if index == 0 or (isinstance(index, tuple) and index[0] == 0 and index[1] == Slice(None, None, None)):
                    return Opaque("ids")
                if isinstance(index, tuple) and index[0] == 0:
                    return self.item(Opaque("ids"), index[1])
                return self.refuse("this part of the encoding")
            case Opaque("ids"):
                return self.item(self.iterable(of), index)
            case Opaque(name):
                return Opaque(name)
            case Builtin() if of.name.startswith("typing"):
                return of
            case Sentence():
                return self.sentence_item(of, index)
        if isinstance(of, Conflict):
            return self.merge(of.cond, self.item(of.a, index), self.item(of.b, index))
        return self.refuse(f"an element of a {kind_of(of)}")

    def slot_list(self, slot: DictSlot) -> Any:
        """The list in a dictionary, read."""
        held = self.unbox(slot.ref)
        entry_read(self, slot.ref, held, slot.key)
        return dict_get(self, held, slot.key, Seq())

    def text_item(self, e: Expr, index: Any) -> Any:
        if isinstance(index, Slice):
            if index.step not in (None, 1):
                if index.low is None and index.high is None and index.step == -1:
                    self.refuse("a string reversed")
                self.refuse("a slice with a step")
            if index.low is None and index.high is None:
                return S("text", e)
            low = num(0) if index.low is None else number(index.low)
            args = (e, low) if index.high is None else (e, low, number(index.high))
            return S("text", Call("slice", args))
        i = number(index)
        if index == -1:
            return S("text", Call("slice", (e, num(-1))))
        return S("text", Call("slice", (e, i, arith("+", i, ONE))))

    # --- iteration ----------------------------------------------------------------------------------------------

    def iterable(self, value: Any) -> Seq:
        holder = self.decided_conflict(value)
        value = self.unbox(holder)
        match value:
            case Seq():
                return self.settled_list(value)
            case Stream():
                return self.settled_list(self.gone_through(value))
            case tuple() | str():
                return constant(tuple(value))
            case Dict():
                entries_asked(self, holder)
                return dict_values(self, value, "keys")
            case DictSlot():
                return self.iterable(self.slot_list(value))
            case Opaque("ids"):
                return mapped(self, lambda p: S("id", Call("piece", (p,))))
            case Opaque("batch"):
                return constant((Opaque("ids"),))
            case Doc():
                v = self.var("w")
                return Seq((Over((Range(v, None, None, Call("words", ())),), TRUE, S("word", Name(v))),))
            case Sentence(word):
                v = self.var("w")
                same = compare("==", Call("sentence", (Name(v),)), Call("sentence", (word,)))
                return Seq((Over((Range(v, None, None, Call("words", ())),), same, S("word", Name(v))),))
            case Arr(dims=dims):
                if len(dims) == 1:
                    if isinstance(dims[0], Num):
                        return constant([self.array_item(value, i) for i in range(int(dims[0].value))])
                    return mapped(self, lambda p: self.array_item(value, S("number", p)), None, arith("-", dims[0], ONE))
                return mapped(self, lambda p: RowView(value, S("number", p)), None, arith("-", dims[0], ONE))
            case RowView():
                return self.iterable(self.row_array(value))
            case Conflict(cond=cond, a=a, b=b):
                return merge_sequences(cond, self.iterable(a), self.iterable(b))
            case S("text"):
                self.refuse("the characters of a token one by one")
        return self.refuse(f"going through a {kind_of(value)}")
