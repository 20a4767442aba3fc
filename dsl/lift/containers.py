"""Methods of lists and dictionaries."""

from __future__ import annotations

from typing import Any

from dsl.lift.calls import _Zero
from dsl.lift.dictionaries import constant_key, dict_get, dict_values, entries_asked
from dsl.lift.guards import and_, compare, exists, if_, not_
from dsl.lift.order import search
from dsl.lift.ranges import quantified
from dsl.lift.sequences import (
    combine_sets,
    constant,
    contains,
    items_of,
    nonempty,
    plain,
    quantify,
    rename_guard,
    renewed,
    reversed_,
    sort_positions,
)
from dsl.lift.terms import MISSING_NUMBER, ONE, ZERO, arith
from dsl.lift.text_methods import TextMethods
from dsl.lift.values import (
    Arr,
    Builtin,
    Dict,
    DictSlot,
    EmptyList,
    Func,
    Item,
    Over,
    Ref,
    Seq,
    Write,
    equal,
    high_of,
    low_of,
    number,
    value_of,
)
from dsl.nodes import TRUE, Expr, Name, Range


class Containers(TextMethods):
    def list_method(self, name: str, ref: Any, args: list[Any], keywords: dict[str, Any]) -> Any:
        held = self.unbox(ref)
        if isinstance(held, Arr):
            held = self.iterable(held)
        keep = self.stored if name in ("append", "add", "insert", "appendleft") else self.frozen
        args = [keep(a) for a in args]
        match name:
            case "append" | "add":
                if not isinstance(ref, Ref):
                    self.refuse("changing a list inside another")
                if held.is_set and self.decide(contains(self, held, args[0])) == TRUE:
                    return None
                self.rebox(ref, Seq((*held.segments, Item(args[0])), held.is_set, held.ordered))
                return None
            case "extend" | "update":
                more = self.iterable(args[0])
                self.rebox(ref, Seq((*held.segments, *more.segments), held.is_set, held.ordered and more.ordered))
                return None
            case "appendleft":
                self.rebox(ref, Seq((Item(args[0]), *held.segments), held.is_set, held.ordered))
                return None
            case "insert":
                if args[0] != 0:
                    self.refuse("inserting into the middle of a list")
                self.rebox(ref, Seq((Item(args[1]), *held.segments), held.is_set, held.ordered))
                return None
            case "index":
                return self.index_of(held, args)
            case "count":
                return value_of("number", self.count_of(held, args[0]))
            case "copy":
                return self.box(held)
            case "reverse":
                self.rebox(ref, reversed_(held))
                return None
            case "sort":
                if keywords.get("key") is not None:
                    self.rebox(ref, self.unbox(self.ranked(held, keywords["key"], keywords.get("reverse", False))))
                else:
                    self.rebox(ref, sort_positions(self, held, keywords.get("reverse", False)))
                return None
            case "clear":
                self.rebox(ref, Seq((), held.is_set))
                return None
            case "pop" | "popleft":
                return self.pop(ref, held, args if name == "pop" else [0])
            case "union" | "intersection" | "difference" | "symmetric_difference":
                symbol = {"union": "|", "intersection": "&", "difference": "-", "symmetric_difference": "^"}[name]
                result = held
                for a in args:
                    result = combine_sets(self, symbol, result, self.iterable(a))
                return self.box(result)
            case "issubset":
                known = items_of(held)
                if known is not None:
                    return value_of("guard", and_(*(self.inside_of(v, args[0]) for v in known)))
            case "isdisjoint":
                return value_of("guard", not_(nonempty(self, combine_sets(self, "&", held, self.iterable(args[0])))))
            case "discard" | "remove":
                gone = combine_sets(self, "-", Seq(held.segments, True), constant([args[0]]))
                if name == "remove" and not held.is_set:
                    self.refuse("removing an element of a list")
                self.rebox(ref, Seq(gone.segments, held.is_set, held.ordered))
                return None
        return self.refuse(f"the list method {name}")

    def pop(self, ref: Any, held: Seq, args: list[Any]) -> Any:
        known = items_of(held)
        if known is None or not isinstance(ref, Ref) or (args and not isinstance(args[0], int)):
            return self.refuse("taking elements off a list")
        at = args[0] if args else -1
        if not -len(known) <= at < len(known):
            self.refuse("taking an element off an empty list")
        value = known.pop(at)
        self.rebox(ref, Seq(constant(known).segments, held.is_set, held.ordered))
        return value

    def count_of(self, held: Seq, x: Any) -> Expr:
        total: Expr = ZERO
        for s in held.segments:
            if isinstance(s, Item):
                total = arith("+", total, if_(and_(s.cond, equal(s.value, x)), ONE, ZERO))
            else:
                o = renewed(self, s)
                guard = and_(o.guard, equal(o.value, x))
                total = arith("+", total, quantify("count", o, guard))
        return total

    def index_of(self, held: Seq, args: list[Any]) -> Any:

        x = args[0]
        known = items_of(held)
        if known is not None and isinstance(x, str | int | float):
            return known.index(x) if x in known else self.refuse("index(…) of something that is not there")
        if known is not None:
            result: Any = value_of("number", MISSING_NUMBER)
            for i, v in reversed(list(enumerate(known))):
                result = self.merge(equal(v, x), i, result)
            return result
        if len(held.segments) != 1 or not isinstance(held.segments[0], Over) or len(held.segments[0].ranges) != 1:
            self.refuse("index(…) in a list put together from several")
        o = renewed(self, held.segments[0])  # type: ignore[arg-type]
        r = o.ranges[0]
        guard = and_(o.guard, equal(o.value, x))
        low = r.low
        if len(args) > 1:
            if not plain(o) or low is not None:
                self.refuse("index(…) from a position")
            low = number(args[1])
        high = arith("-", number(args[2]), ONE) if len(args) > 2 else r.high
        at = search(self, "last" if o.descending else "first", Range(r.var, low, high, r.domain), guard)
        self.fails_if(not_(exists(at)))
        if o.guard == TRUE and r.domain is None:
            return value_of("number", arith("-", high_of(r), at) if o.descending else arith("-", at, low_of(r)))
        if r.domain is not None or o.descending:
            self.refuse("index(…) in a filtered list")
        v = self.var()
        before = Range(v, r.low, arith("-", at, ONE))
        count = quantified("count", before, rename_guard(o.guard, {r.var: Name(v)}))
        return value_of("number", count)

    def dict_method(self, name: str, ref: Any, args: list[Any], keywords: dict[str, Any]) -> Any:
        held = self.unbox(ref)
        if name in ("get", "keys", "values", "items", "setdefault"):
            entries_asked(self, ref)
        match name:
            case "get":
                return dict_get(self, held, args[0], self.frozen(args[1]) if len(args) > 1 else None)
            case "keys" | "values" | "items":
                return dict_values(self, held, name)
            case "setdefault":
                value = self.frozen(args[1]) if len(args) > 1 else None
                if isinstance(value, Seq) and not value.segments:
                    return DictSlot(ref, args[0]) if not constant_key(args[0]) else self.default_list(ref, held, args[0], args[1])
                if constant_key(args[0]) and not held.writes:
                    if args[0] not in dict(held.items):
                        self.rebox(ref, self.with_entry(held, args[0], value))
                    return dict_get(self, self.unbox(ref), args[0])
                self.rebox(ref, Dict(held.items, (*held.writes, Write((), TRUE, args[0], value, "first")), held.factory))
                return dict_get(self, self.unbox(ref), args[0])
            case "copy":
                return self.box(held)
            case "update":
                other = self.unbox(args[0])
                if not isinstance(other, Dict):
                    self.refuse("a dictionary updated by a list")
                self.rebox(ref, self.updated(held, other))
                return None
            case "pop":
                self.refuse("taking entries out of a dictionary")
            case "most_common":
                self.refuse("sorting by computed values")
        return self.refuse(f"the dictionary method {name}")

    def default_list(self, ref: Ref, held: Dict, key: Any, value: Any) -> Any:
        if key not in dict(held.items):
            self.rebox(ref, self.with_entry(held, key, value))
        return dict_get(self, self.unbox(ref), key)

    def slot_method(self, name: str, slot: DictSlot, args: list[Any]) -> Any:
        held = self.unbox(slot.ref)
        if not isinstance(slot.ref, Ref) or not isinstance(held, Dict):
            self.refuse("a dictionary inside a dictionary, filled in turn")
        if name in ("append", "add"):
            write = Write((), TRUE, slot.key, self.stored(args[0]), "append")
            self.rebox(slot.ref, Dict(held.items, (*held.writes, write), held.factory))
            return None
        seq = self.slot_list(slot)
        return self.list_method(name, self.box(seq) if isinstance(seq, Seq) else seq, args, {})

    def collection(self, name: str, args: list[Any], keywords: dict[str, Any]) -> Any:
        match name:
            case "defaultdict":
                factory = args[0] if args else None
                made = Dict((), (), None)
                if isinstance(factory, Builtin) and factory.name in ("list", "set"):
                    made = Dict((), (), EmptyList(factory.name == "set"))
                elif isinstance(factory, Builtin) and factory.name in ("int", "float"):
                    made = Dict((), (), _Zero())
                elif isinstance(factory, Func):
                    value = self.call_function(factory, [], {})
                    if isinstance(value, int | float):
                        made = Dict((), (), _Zero(value))
                return self.box(made)
            case "OrderedDict":
                return self.py_dict(*args)
            case "deque":
                if keywords.get("maxlen") is not None or len(args) > 1:
                    self.refuse("a deque of limited length")
                return self.py_list(*args)
            case "Counter":
                if not args:
                    return self.box(Dict((), (), _Zero(creates=False)))
                seq = self.iterable(args[0])
                writes = []
                for s in seq.segments:
                    if isinstance(s, Over):
                        writes.append(Write(s.ranges, s.guard, s.value, 1, "sum"))
                    else:
                        writes.append(Write((), s.cond, s.value, 1, "sum"))
                return self.box(Dict((), tuple(writes), _Zero(creates=False)))
        return self.refuse(f"collections.{name}")

    def itertool(self, name: str, args: list[Any]) -> Any:
        match name:
            case "chain":
                seqs = [self.iterable(a) for a in args]
                return Seq(tuple(s for q in seqs for s in q.segments), False, all(q.ordered for q in seqs))
            case "product" if len(args) == 2:
                a, b = self.iterable(args[0]), self.iterable(args[1])
                segments: list[Item | Over] = []
                for s in a.segments:
                    for t in b.segments:
                        if isinstance(s, Over) and isinstance(t, Over):
                            x, y = renewed(self, s), renewed(self, t)
                            segments.append(Over((*x.ranges, *y.ranges), and_(x.guard, y.guard), (x.value, y.value)))
                        else:
                            self.refuse("itertools.product of these lists")
                return Seq(tuple(segments))
            case "pairwise":
                seq = self.iterable(args[0])
                if len(seq.segments) > 1 and items_of(seq) is None:
                    return self.neighbours(seq)
                return self.py_zip(seq, self.sliced_once(seq))
        return self.refuse(f"itertools.{name}")

    def bisected(self, name: str, args: list[Any]) -> Any:
        """bisect_left and bisect_right: how many elements come before a number."""
        if name not in ("bisect", "bisect_left", "bisect_right") or len(args) != 2:
            return self.refuse(f"bisect.{name}")
        total: Expr = ZERO
        for s in self.iterable(args[0]).segments:
            o: Any = s if isinstance(s, Item) else renewed(self, s)
            before = compare("<" if name == "bisect_left" else "<=", number(o.value), number(args[1]))
            if isinstance(o, Item):
                total = arith("+", total, if_(and_(o.cond, before), ONE, ZERO))
            else:
                total = arith("+", total, quantify("count", o, and_(o.guard, before)))
        return value_of("number", total)

    def regex(self, name: str, of: Any, args: list[Any]) -> Any:
        return self.refuse("regular expressions have no counterpart")
