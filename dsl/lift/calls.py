"""Calls: Python's built-in functions, methods of strings, lists and dictionaries."""

from __future__ import annotations

import ast
from typing import Any

from dsl.lift.build import (
    MISSING_NUMBER,
    ONE,
    ZERO,
    N,
    and_,
    arith,
    compare,
    default,
    exists,
    extreme,
    if_,
    neg,
    not_,
    num,
    or_,
    quantified,
)
from dsl.lift.expressions import Expressions
from dsl.lift.machine import Conflict
from dsl.lift.sequences import (
    combine_sets,
    constant,
    constant_key,
    contains,
    dict_get,
    dict_values,
    element,
    fold_numbers,
    items_of,
    length,
    nonempty,
    plain,
    quantify,
    rename_guard,
    renewed,
    reversed_,
    sort_positions,
)
from dsl.lift.values import (
    Arr,
    Builtin,
    Class,
    Dict,
    DictSlot,
    EmptyList,
    Extend,
    Func,
    Item,
    Module,
    Opaque,
    Over,
    Ref,
    Refusal,
    RowView,
    S,
    Seq,
    Write,
    equal,
    expr,
    high_of,
    kind_of,
    low_of,
    number,
    rename,
    sort_of,
    value_of,
)
from dsl.nodes import FALSE, TRUE, Call, Expr, Name, Num, Range

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

_TESTS = {"isalpha", "isalnum", "isdigit", "isnumeric", "isspace", "isupper", "islower", "istitle"}


class Calls(Expressions):
    environment: dict[str, Any] = {
        **{name: Builtin(name) for name in (*PYTHON, *ENVIRONMENT)},
        **{name: Builtin(name) for name in ERRORS.split()},
        "np": Module("numpy"),
        "numpy": Module("numpy"),
        "math": Module("math"),
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
        if (
            isinstance(node.func, ast.Name)
            and node.func.id == "isinstance"
            and self.lookup("isinstance").__class__.__name__ == "Undefined"
        ):
            return True
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
                return self.builtin(name, of, args, keywords)
            case Opaque("tokenizer"):
                return self.builtin("tokens.call", None, args, keywords)
            case Opaque(name):
                return Opaque(name)
            case Conflict(cond=cond, a=a, b=b):
                return self.merge(cond, self.apply(a, args, keywords), self.apply(b, args, keywords))
        return self.refuse(f"a call of a {kind_of(f)}")

    def builtin(self, name: str, of: Any, args: list[Any], keywords: dict[str, Any]) -> Any:
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
        if name.startswith("word."):
            return self.word_method(name[5:], of, args)
        if name in ENVIRONMENT:
            return self.environment_call(name, args)
        method = getattr(self, "py_" + name, None)
        if method is None:
            return self.refuse(f"{name}(…) has no counterpart")
        try:
            return method(*args, **keywords)
        except TypeError as error:
            if "argument" in str(error):
                return self.refuse(f"{name}(…) with these arguments")
            raise

    # --- Python's own functions ---------------------------------------------------------------------------------

    def py_len(self, x: Any) -> Any:
        x = self.unbox(x)
        match x:
            case S("text", e):
                return S("number", Call("length", (e,)))
            case S("word", e):
                return S("number", Call("length", (Call("text", (e,)),)))
            case str() | tuple():
                return len(x)
            case Arr() | RowView():
                array = self.row_array(x)
                return value_of("number", array.dims[0])
            case Dict(items, writes):
                if writes:
                    return value_of("number", length(self, self.keys_set(x)))
                return len(items)
            case DictSlot(ref, key):
                return self.py_len(dict_get(self, self.unbox(ref), key, Seq()))
            case Opaque("ids"):
                return S("number", N)
            case Opaque("batch"):
                return 1
            case Opaque():
                self.refuse("the length of this object")
        return value_of("number", length(self, self.iterable(x)))

    def keys_set(self, d: Dict) -> Seq:
        segments: list[Item | Over] = [Item(k) for k, _ in d.items]
        for w in d.writes:
            segments.append(Over(w.ranges, w.cond, w.key) if w.ranges else Item(w.key, w.cond))
        return Seq(tuple(segments), True)

    def py_range(self, *args: Any) -> Any:
        values = [number(a) for a in args]
        if not 1 <= len(values) <= 3:
            self.refuse("range(…) with these arguments")
        low, high = (ZERO, values[0]) if len(values) == 1 else (values[0], values[1])
        step = values[2] if len(values) == 3 else ONE
        if isinstance(low, Num) and isinstance(high, Num) and isinstance(step, Num) and step.value:
            known = range(int(low.value), int(high.value), int(step.value))
            if len(known) > 200:
                self.refuse("a loop over very many fixed numbers")
            return constant(list(known))
        if not isinstance(step, Num) or step.value == 0:
            self.refuse("a range with a computed step")
        assert isinstance(step, Num)
        small = self.small_range(low, high, step.value)
        if small is not None:
            return small
        v = self.var()
        if step.value in (1, -1):
            if step.value == 1:
                r, down = (low, arith("-", high, ONE)), False
            else:
                r, down = (arith("+", high, ONE), low), True
            return self.span(v, *r, down)
        if step.value > 0:
            guard = compare("==", arith("%", arith("-", Name(v), low), step), ZERO)
            s = self.span(v, low, arith("-", high, ONE), False)
        else:
            guard = compare("==", arith("%", arith("-", low, Name(v)), num(-step.value)), ZERO)
            s = self.span(v, arith("+", high, ONE), low, True)
        o = s.segments[0]
        assert isinstance(o, Over)
        return Seq((Over(o.ranges, guard, o.value, o.descending),))

    def span(self, v: str, low: Expr, high: Expr, descending: bool) -> Seq:
        """low..high as positions of the text. Numbers outside are left out, so refuse where the program could see them."""
        if not self.inside_later(low):
            shifted = self.shifted_span(v, low, high, descending)
            if shifted is not None:
                return shifted
        if not self.inside_later(arith("-", arith("-", N, ONE), high)):
            shifted = self.shifted_span(v, low, high, descending)
            if shifted is not None:
                return shifted
        return Seq((Over((Range(v, None if low == ZERO else low, None if high == arith("-", N, ONE) else high),), TRUE,
                          S("number", Name(v)), descending),))  # fmt: skip

    def shifted_span(self, v: str, low: Expr, high: Expr, descending: bool) -> Seq | None:
        """A range that leaves the text on one side, in terms of positions at a distance."""
        size = arith("-", high, low)
        if isinstance(size, Num) and size.value <= 64:
            count = int(size.value) + 1
            values = [value_of("number", arith("+", low, num(i))) for i in range(max(0, count))]
            return constant(list(reversed(values)) if descending else values)
        if self.nonnegative(arith("-", arith("-", N, ONE), size)):
            # v counts from the low end: position = low + v
            value = S("number", arith("+", low, Name(v)))
            return Seq((Over((Range(v, None, size),), TRUE, value, descending),))
        return self.refuse("a range that reaches beyond the text")

    def small_range(self, low: Expr, high: Expr, step: float) -> Seq | None:
        if step == 1:
            return self.list_range(low, arith("-", high, ONE), False)
        if step == -1:
            return self.list_range(arith("+", high, ONE), low, True)
        return None

    def py_enumerate(self, x: Any, start: Any = 0) -> Any:
        seq = self.iterable(x)
        known = items_of(seq)
        offset = number(start)
        if known is not None:
            return constant([(value_of("number", arith("+", num(i), offset)), v) for i, v in enumerate(known)])
        segments: list[Item | Over] = []
        before: Expr = offset
        if len(seq.segments) == 1 and isinstance(seq.segments[0], Over) and seq.segments[0].rank is not None:
            o = renewed(self, seq.segments[0])
            assert o.rank is not None
            return Seq((Over(o.ranges, o.guard, (value_of("number", arith("+", o.rank, offset)), o.value)),), False, False)
        if not seq.ordered or seq.is_set:
            self.refuse("numbering a set or a list whose order follows from the data")
        for s in seq.segments:
            if isinstance(s, Item):
                segments.append(Item((value_of("number", before), s.value), s.cond))
                before = arith("+", before, if_(s.cond, ONE, ZERO))
                continue
            o = renewed(self, s)
            r = o.ranges[0]
            if len(o.ranges) != 1:
                self.refuse("numbering a list built by nested loops")
            if o.guard == TRUE and r.domain is None:
                index = arith("-", high_of(r), Name(r.var)) if o.descending else arith("-", Name(r.var), low_of(r))
            else:
                v = self.var(self.named.get(r.var, ""))
                guard = rename_guard(o.guard, {r.var: Name(v)})
                if r.domain is not None:
                    guard = and_(guard, compare("<", Call("index", (Name(v),)), Call("index", (Name(r.var),))))
                    index = quantified("count", Range(v, None, None, r.domain), guard)
                elif o.descending:
                    index = quantified("count", Range(v, arith("+", Name(r.var), ONE), r.high), guard)
                else:
                    index = quantified("count", Range(v, r.low, arith("-", Name(r.var), ONE)), guard)
            segments.append(Over(o.ranges, o.guard, (value_of("number", arith("+", before, index)), o.value), o.descending))
            before = arith("+", before, length(self, Seq((s,))))
        return Seq(tuple(segments))

    def py_zip(self, *lists: Any) -> Any:
        seqs = [self.iterable(x) for x in lists]
        if not seqs:
            return Seq()
        known = [items_of(s) for s in seqs]
        if all(k is not None for k in known):
            return constant(list(zip(*known, strict=False)))  # type: ignore[arg-type]
        if any(k is not None for k in known):
            size = min(len(k) for k in known if k is not None)
            columns = [
                k[:size] if k is not None else [element(self, s, i) for i in range(size)] for k, s in zip(known, seqs, strict=True)
            ]
            conds = []
            for i in range(size):
                c = and_(*(compare("<", num(i), length(self, s)) for k, s in zip(known, seqs, strict=True) if k is None))
                conds.append(c)
            return Seq(tuple(Item(t, c) for t, c in zip(zip(*columns, strict=True), conds, strict=True)))
        overs = []
        for s in seqs:
            if len(s.segments) != 1 or not isinstance(s.segments[0], Over) or len(s.segments[0].ranges) != 1 or not s.ordered:
                self.refuse("zip of lists put together from several")
            overs.append(renewed(self, s.segments[0]))
        first = overs[0]
        same = all(o.descending == first.descending for o in overs)
        if same and all(o.ranges[0].domain == first.ranges[0].domain and _bounds(o) == _bounds(first) for o in overs):
            v = first.ranges[0].var
            guards = [rename_guard(o.guard, {o.ranges[0].var: Name(v)}) for o in overs]
            if all(g == guards[0] for g in guards):
                values = tuple(rename(o.value, {o.ranges[0].var: Name(v)}) for o in overs)
                return Seq((Over(first.ranges, first.guard, values, first.descending),))
        if not all(o.guard == TRUE and o.ranges[0].domain is None for o in overs):
            if len(seqs) == 2 and seqs[0].segments[0].ranges[0].domain is None:  # type: ignore[union-attr]
                return self.zip_neighbours(seqs)
            self.refuse("zip of filtered lists")
        sizes = [arith("+", arith("-", high_of(o.ranges[0]), low_of(o.ranges[0])), ONE) for o in overs]
        shortest = sizes[0]
        for s in sizes[1:]:
            shortest = (
                s
                if self.nonnegative(arith("-", shortest, s))
                else shortest
                if self.nonnegative(arith("-", s, shortest))
                else extreme("min", [shortest, s])
            )
        v = self.var()
        values = []
        for o in overs:
            r = o.ranges[0]
            at = arith("-", high_of(r), Name(v)) if o.descending else arith("+", low_of(r), Name(v))
            values.append(rename(o.value, {r.var: at}))
        return Seq((Over((Range(v, None, arith("-", shortest, ONE)),), TRUE, tuple(values)),))

    def zip_neighbours(self, seqs: list[Seq]) -> Any:
        """zip(starts, starts[1:]): every element with the next one."""
        a = seqs[0].segments[0]
        b = seqs[1].segments[0]
        assert isinstance(a, Over) and isinstance(b, Over)
        v = self.var()
        rest = element_after(self, a, v)
        rb = renewed(self, b)
        following = self.sliced_once(seqs[0])
        from dsl.lift.loops import canonical

        if canonical(following) != canonical(Seq((b,))) and canonical(following) != canonical(Seq((rb,))):
            self.refuse("zip of filtered lists")
        o = renewed(self, a)
        nxt = rest(o)
        return Seq((Over(o.ranges, and_(o.guard, exists(nxt)), (o.value, rename(o.value, {o.ranges[0].var: nxt}))),))

    def sliced_once(self, seq: Seq) -> Seq:
        from dsl.lift.sequences import sliced

        return sliced(self, seq, 1, None, None)

    def py_reversed(self, x: Any) -> Any:
        return reversed_(self.iterable(x))

    def py_sorted(self, x: Any, key: Any = None, reverse: Any = False) -> Any:
        seq = self.iterable(x)
        if isinstance(key, Builtin) and key.name == "dict.get":
            held = self.unbox(key.of)
            if isinstance(self.unbox(x), Dict) and self.unbox(x) == held:
                seq = Seq(seq.segments, False, True)
        if not isinstance(reverse, bool):
            self.refuse("sorting in a computed direction")
        if key is not None:
            ranked = self.ranked(seq, key, reverse)
            return ranked
        return self.box(sort_positions(self, seq, reverse))

    def ranked(self, seq: Seq, key: Any, reverse: bool) -> Any:
        """Sorted by a key: only the first elements can be asked for, one by one."""
        known = items_of(seq)
        if known is not None:
            keys = [self.apply(key, [v], {}) for v in known]
            if all(isinstance(k, int | float | str) for k in keys):
                order = sorted(range(len(known)), key=lambda i: keys[i], reverse=reverse)
                return self.box(constant([known[i] for i in order]))
        return self.box(self.by_rank(seq, key, reverse))

    def by_rank(self, seq: Seq, key: Any, reverse: bool) -> Seq:
        if len(seq.segments) != 1 or not isinstance(seq.segments[0], Over) or len(seq.segments[0].ranges) != 1:
            self.refuse("sorting a list put together from several")
        a, b = renewed(self, seq.segments[0]), renewed(self, seq.segments[0])
        ra, rb = a.ranges[0], b.ranges[0]
        if ra.domain is not None or not seq.ordered:
            self.refuse("sorting words by computed values")
        keys = [self.apply(key, [o.value], {}) for o in (a, b)]
        mine, other = (
            [number(x) for x in (k if isinstance(k, tuple) else (k,)) if sort_of(x) in ("number", "guard")] for k in keys
        )
        if len(mine) != len(keys[0] if isinstance(keys[0], tuple) else (0,)):
            self.refuse("sorting by computed strings")
        ahead: Expr = FALSE
        equal_so_far: list[Expr] = []
        for x, y in zip(other, mine, strict=True):
            ahead = or_(ahead, and_(*equal_so_far, compare(">" if reverse else "<", x, y)))
            equal_so_far.append(compare("==", x, y))
        tie = and_(*equal_so_far, compare(">" if a.descending else "<", Name(rb.var), Name(ra.var)))
        rank = quantified("count", rb, and_(b.guard, or_(ahead, tie)))
        return Seq((Over(a.ranges, a.guard, a.value, a.descending, rank),), False, False)

    def py_list(self, x: Any = ()) -> Any:
        value = self.unbox(x)
        if isinstance(value, Arr) and len(value.dims) == 1:
            return value
        if isinstance(value, Seq) and value.is_set and items_of(value) is None:
            from dsl.lift.sequences import as_filter

            try:
                return self.box(as_filter(self, value))
            except Refusal:
                return self.box(Seq(value.segments, False, False))
        seq = self.iterable(x)
        return self.box(Seq(seq.segments, False, seq.ordered and not seq.is_set))

    def py_tuple(self, x: Any = ()) -> Any:
        seq = self.iterable(x)
        known = items_of(seq)
        return tuple(known) if known is not None else self.box(seq)

    def py_set(self, x: Any = ()) -> Any:
        return self.box(Seq(self.iterable(x).segments, True))

    py_frozenset = py_set

    def py_dict(self, x: Any = (), **more: Any) -> Any:
        x = self.unbox(x)
        if isinstance(x, Dict):
            return self.box(self.updated(x, Dict(tuple(more.items()))))
        result = Dict(tuple(more.items()))
        if x == ():
            return self.box(result)
        seq = self.iterable(x)
        for s in seq.segments:
            if not isinstance(s.value, tuple) or len(s.value) != 2:
                self.refuse("dict(…) of this list")
            k, v = s.value
            if isinstance(s, Item):
                result = self.with_entry(result, k, v)
            else:
                result = Dict(result.items, (*result.writes, Write(s.ranges, s.guard, k, v, "last", 0.0, s.descending)))
        return self.box(result)

    def py_str(self, x: Any = "") -> Any:
        return x if sort_of(x) == "text" else str(x) if isinstance(x, int | float) else Opaque("string")

    py_repr = py_str

    def py_int(self, x: Any = 0) -> Any:
        if isinstance(x, int | float):
            return int(x)
        if isinstance(x, str):
            return self.refuse("int(…) of a string")
        e = number(x)
        from dsl.lift.build import whole

        if whole(e):
            return value_of("number", e)
        if self.nonnegative(e):
            return S("number", Call("floor", (e,)))
        return S("number", if_(compare(">=", e, ZERO), Call("floor", (e,)), neg(Call("floor", (neg(e),)))))

    def py_float(self, x: Any = 0.0) -> Any:
        if isinstance(x, str):
            if x in ("inf", "-inf"):
                return 1e9 if x == "inf" else -1e9
            return self.refuse("float(…) of a string")
        return x if isinstance(x, int | float) and not isinstance(x, bool) else value_of("number", number(x))

    def py_bool(self, x: Any = False) -> Any:
        return value_of("guard", self.decide(self.truth(x)))

    def py_abs(self, x: Any) -> Any:
        if isinstance(x, Arr):
            return self.numpy_call("np.abs", None, [x], {})
        if isinstance(x, int | float):
            return abs(x)
        e = number(x)
        if self.nonnegative(e):
            return value_of("number", e)
        if self.nonnegative(arith("-", ZERO, e)):
            return value_of("number", neg(e))
        return value_of("number", Call("abs", (e,)))

    def py_round(self, x: Any, digits: Any = 0) -> Any:
        if isinstance(x, int | float) and isinstance(digits, int):
            return round(x, digits) if digits else round(x)
        if not isinstance(digits, int):
            self.refuse("rounding to a computed number of digits")
        e = number(x)
        if digits:
            scale = num(10.0**digits)
            return S("number", arith("/", Call("round", (arith("*", e, scale),)), scale))
        return S("number", Call("round", (e,)))

    def py_min(self, *args: Any, **keywords: Any) -> Any:
        return self.extreme_of("min", args, keywords)

    def py_max(self, *args: Any, **keywords: Any) -> Any:
        return self.extreme_of("max", args, keywords)

    def extreme_of(self, kind: str, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        key, otherwise = keywords.pop("key", None), keywords.pop("default", _NONE)
        if keywords:
            self.refuse(f"{kind}(…) with these arguments")
        if len(args) > 1 and key is None:
            if all(isinstance(a, int | float) for a in args):
                return (min if kind == "min" else max)(args)
            es = [number(a) for a in args]
            return value_of("number", self.simplest_extreme(kind, es))
        seq = self.iterable(args[0]) if len(args) == 1 else constant(args)
        if key is not None:
            return self.best_of(kind, seq, key, otherwise)
        known = items_of(seq)
        if known is not None and known and all(isinstance(a, int | float) for a in known):
            return (min if kind == "min" else max)(known)
        if known is not None and known and all(sort_of(v) in ("number", "guard") for v in known):
            return value_of("number", self.simplest_extreme(kind, [number(v) for v in known]))
        e = fold_numbers(self, kind, seq)
        if otherwise is not _NONE and otherwise is not None:
            e = default(e, number(otherwise))
        return value_of("number", e)

    def simplest_extreme(self, kind: str, es: list[Expr]) -> Expr:
        kept: list[Expr] = []
        for e in es:
            if any(self.below(kind, e, k) for k in kept):
                continue
            kept = [k for k in kept if not self.below(kind, k, e)]
            kept.append(e)
        return extreme(kind, kept)

    def below(self, kind: str, a: Expr, b: Expr) -> bool:
        """a can be left out beside b."""
        d = arith("-", b, a) if kind == "max" else arith("-", a, b)
        return self.nonnegative(d) and not isinstance(d, Num) if not isinstance(d, Num) else d.value >= 0

    def best_of(self, kind: str, seq: Seq, key: Any, otherwise: Any) -> Any:
        """min or max by a key: the first element whose key is the best."""
        if len(seq.segments) != 1 or not isinstance(seq.segments[0], Over) or len(seq.segments[0].ranges) != 1:
            known = items_of(seq)
            if known:
                best, score = known[0], number(self.apply(key, [known[0]], {}))
                for v in known[1:]:
                    s = number(self.apply(key, [v], {}))
                    better = compare(">" if kind == "max" else "<", s, score)
                    best, score = self.merge(better, v, best), if_(better, s, score)
                return best
            return self.refuse(f"{kind}(…, key=…) of a list put together from several")
        if not seq.ordered:
            self.refuse("the order of this list follows from the data")
        a, b = renewed(self, seq.segments[0]), renewed(self, seq.segments[0])
        score_a = number(self.apply(key, [a.value], {}))
        score_b = number(self.apply(key, [b.value], {}))
        best = quantified(kind, b.ranges[0], b.guard, score_b)
        from dsl.lift.build import find

        at = find("last" if a.descending else "first", a.ranges[0], and_(a.guard, compare("==", score_a, best)))
        value = rename(a.value, {a.ranges[0].var: at})
        if otherwise is _NONE or otherwise is None:
            return value
        return self.merge(nonempty(self, seq), value, otherwise)

    def py_sum(self, x: Any, start: Any = 0) -> Any:
        if isinstance(x, Arr | RowView):
            return self.numpy_call("np.sum", None, [x], {})
        seq = self.iterable(x)
        if any(isinstance(self.unbox(s.value), Seq) for s in seq.segments):
            parts = [p for s in seq.segments if isinstance(s, Item) for p in self.iterable(s.value).segments]
            if all(isinstance(s, Item) and s.cond == TRUE for s in seq.segments):
                return self.box(Seq(tuple(parts)))
            self.refuse("a list of lists flattened by sum")
        total = fold_numbers(self, "sum", seq)
        return value_of("number", arith("+", total, number(start)))

    def py_any(self, x: Any) -> Any:
        return self.some(x, "any")

    def py_all(self, x: Any) -> Any:
        return self.some(x, "all")

    def some(self, x: Any, kind: str) -> Any:
        if isinstance(x, Arr | RowView):
            return self.numpy_call("np." + kind, None, [x], {})
        parts = []
        for s in self.iterable(x).segments:
            if isinstance(s, Item):
                t = self.truth(s.value)
                parts.append(and_(s.cond, t) if kind == "any" else or_(not_(s.cond), t))
                continue
            o = renewed(self, s)
            t = self.truth(o.value)
            if kind == "any":
                parts.append(quantify("any", o, and_(o.guard, t)))
            else:
                parts.append(not_(quantify("any", o, and_(o.guard, not_(t)))))
        return value_of("guard", self.decide(or_(*parts) if kind == "any" else and_(*parts)))

    def over_characters(self, kind: str, node: ast.expr) -> Any:
        """any(c.isdigit() for c in token) and kin."""
        if not isinstance(node, ast.GeneratorExp | ast.ListComp) or len(node.generators) != 1:
            return None
        g = node.generators[0]
        if not isinstance(g.target, ast.Name) or not isinstance(g.iter, ast.Name | ast.Subscript | ast.Call | ast.Attribute):
            return None
        if kind == "next":
            return None
        if (
            isinstance(g.iter, ast.Call)
            and isinstance(g.iter.func, ast.Name)
            and self.lookup(g.iter.func.id).__class__.__name__ == "Undefined"
        ):
            return None
        source = self.evaluate(g.iter)
        if not (isinstance(source, S) and source.sort == "text"):
            return None
        tests = [*g.ifs, node.elt] if kind != "sum" or not isinstance(node.elt, ast.Constant) else list(g.ifs)
        if len(tests) != 1:
            return self.refuse("the characters of a token one by one")
        test, negated = tests[0], False
        while isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            test, negated = test.operand, not negated
        e = source.e
        wanted_all = kind == "all"
        c = g.target.id
        if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.left, ast.Name) and test.left.id == c:
            op = test.ops[0]
            if isinstance(op, ast.NotIn | ast.NotEq):
                negated = not negated
            if isinstance(op, ast.In | ast.NotIn | ast.Eq | ast.NotEq):
                held = self.unbox(self.evaluate(test.comparators[0]))
                known = list(held) if isinstance(held, str | tuple) else items_of(held) if isinstance(held, Seq) else None
                if known is not None and all(isinstance(k, str) and len(k) == 1 for k in known) and kind != "sum":
                    some = Call("contains", (e, *(expr(k) for k in dict.fromkeys(known))))
                    only = compare("==", Call("strip", (e, expr("".join(known)))), expr(""))
                    guard = {(False, False): some, (False, True): not_(only), (True, False): only, (True, True): not_(some)}
                    return value_of("guard", guard[wanted_all, negated])
                if known is not None and kind == "sum" and not negated and all(isinstance(k, str) and len(k) == 1 for k in known):
                    total: Expr = ZERO
                    for k in dict.fromkeys(known):
                        total = arith("+", total, Call("occurrences", (e, expr(k))))
                    return value_of("number", total)
        if isinstance(test, ast.Call) and isinstance(test.func, ast.Attribute) and isinstance(test.func.value, ast.Name):
            kind_name = {"isalpha": "has_letter", "isdigit": "has_digit", "isalnum": "has_alnum", "isupper": "has_upper"}.get(
                test.func.attr
            )
            if test.func.value.id == c and not test.args and kind != "sum":
                if kind_name is not None and not wanted_all:
                    if not negated:
                        return value_of("guard", Call(kind_name, (e,)))
                    if test.func.attr in ("isalpha", "isdigit", "isalnum"):
                        whole_token = and_(compare("!=", e, expr("")), not_(Call(test.func.attr, (e,))))
                        return value_of("guard", whole_token)
                if wanted_all and not negated and test.func.attr in ("isalpha", "isdigit", "isalnum", "isspace"):
                    return value_of("guard", or_(compare("==", e, expr("")), Call(test.func.attr, (e,))))
                if wanted_all and negated and kind_name is not None:
                    return value_of("guard", not_(Call(kind_name, (e,))))
        return self.refuse("the characters of a token one by one")

    def py_isinstance(self, *args: Any) -> Any:
        return True

    def py_hasattr(self, *args: Any) -> Any:
        return True

    def py_print(self, *args: Any, **keywords: Any) -> Any:
        return None

    def py_next(self, x: Any, *otherwise: Any) -> Any:
        seq = self.iterable(x)
        known = items_of(seq)
        if known is not None:
            return known[0] if known else otherwise[0] if otherwise else self.refuse("next(…) of nothing")
        from dsl.lift.sequences import choose_first

        value = choose_first(self, list(seq.segments), False)
        if not otherwise:
            return value
        if otherwise[0] is None and sort_of(value) in ("number", "word"):
            return value
        if sort_of(value) == "number" and isinstance(otherwise[0], int | float | S):
            return value_of("number", default(number(value), number(otherwise[0])))
        return self.merge(nonempty(self, seq), value, otherwise[0])

    def py_iter(self, x: Any) -> Any:
        return self.iterable(x)

    def py_map(self, f: Any, *lists: Any) -> Any:
        seq = self.iterable(lists[0]) if len(lists) == 1 else self.py_zip(*lists)
        return self.each(seq, lambda v: self.apply(f, list(v) if len(lists) > 1 else [v], {}))

    def each(self, seq: Seq, change: Any) -> Seq:
        segments: list[Item | Over] = []
        for s in seq.segments:
            if isinstance(s, Item):
                segments.append(Item(self.frozen(change(s.value)), s.cond))
            else:
                o = renewed(self, s)
                segments.append(Over(o.ranges, o.guard, self.frozen(change(o.value)), o.descending))
        return Seq(tuple(segments), False, seq.ordered and not seq.is_set)

    def py_filter(self, f: Any, x: Any) -> Any:
        segments: list[Item | Over] = []
        for s in self.iterable(x).segments:
            o: Any = s if isinstance(s, Item) else renewed(self, s)
            test = self.truth(o.value if f is None else self.apply(f, [o.value], {}))
            if isinstance(o, Item):
                segments.append(Item(o.value, and_(o.cond, test)))
            else:
                segments.append(Over(o.ranges, and_(o.guard, test), o.value, o.descending))
        return Seq(tuple(segments))

    def py_pow(self, a: Any, b: Any) -> Any:
        return self.binary(ast.Pow(), a, b)

    def py_divmod(self, a: Any, b: Any) -> Any:
        return self.binary(ast.FloorDiv(), a, b), self.binary(ast.Mod(), a, b)

    def py_getattr(self, of: Any, name: Any, *otherwise: Any) -> Any:
        if not isinstance(name, str):
            self.refuse("getattr with a computed name")
        return self.attribute(of, name)

    # --- strings ------------------------------------------------------------------------------------------------

    def string_method(self, name: str, of: Any, args: list[Any]) -> Any:
        args = [tuple(items_of(self.unbox(a)) or ()) if isinstance(a, Ref) else a for a in args]
        if isinstance(of, str) and all(isinstance(a, str | int | tuple) or a is None for a in args):
            if name in ("format", "format_map"):
                return Opaque("string")
            if name == "join":
                known = args[0] if isinstance(args[0], tuple) else ()
                return of.join(known) if all(isinstance(k, str) for k in known) and known else Opaque("string")
            if name in ("center", "ljust", "rjust", "zfill", "expandtabs") or not hasattr(of, name) or name.startswith("_"):
                self.refuse(f"the string method {name}")
            try:
                result = getattr(of, name)(*args)
            except (TypeError, ValueError):
                return self.refuse(f"the string method {name} with these arguments")
            if isinstance(result, list):
                return self.box(constant(result))
            return result
        if isinstance(of, str) and name == "join":
            return Opaque("joined")
        if isinstance(of, str) and name == "format":
            return Opaque("string")
        e = expr(of)
        if isinstance(of, S) and of.sort == "word":
            e = Call("text", (e,))
        texts = [expr(a) for a in args if not isinstance(a, tuple) and a is not None]
        match name:
            case "lower" | "upper" | "casefold":
                return S("text", Call("lower" if name == "casefold" else name, (e,)))
            case "strip" | "lstrip" | "rstrip":
                return S("text", Call(name, (e, *texts)))
            case "replace":
                return S("text", Call("replace", (e, *texts[:2])))
            case "startswith" | "endswith":
                options = [expr(a) for a in args[0]] if isinstance(args[0], tuple) else texts[:1]
                if len(args) > 1:
                    self.refuse(f"{name} from a position")
                return value_of("guard", Call(name, (e, *options)) if options else FALSE)
            case "count":
                return S("number", Call("occurrences", (e, *texts[:1])))
            case "removeprefix" | "removesuffix":
                size = Call("length", (texts[0],)) if not isinstance(args[0], str) else num(len(args[0]))
                if name == "removeprefix":
                    return S("text", if_(Call("startswith", (e, texts[0])), Call("slice", (e, size)), e))
                return S("text", if_(Call("endswith", (e, texts[0])), Call("slice", (e, ZERO, neg(size))), e))
            case "split" if not args or args == [" "]:
                return Opaque("string")
            case "find" | "index" if len(args) == 1:
                self.refuse(f"the place of a string in a token ({name})")
            case "isdecimal":
                return value_of("guard", Call("isdigit", (e,)))
            case "isidentifier" | "isascii" | "isprintable":
                self.refuse(f"the string method {name}")
            case "encode" | "format" | "join":
                return Opaque("string")
        if name in _TESTS:
            return value_of("guard", Call(name, (e,)))
        return self.refuse(f"the string method {name}")

    # --- lists and dictionaries ---------------------------------------------------------------------------------

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
        from dsl.lift.build import find

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
        at = find("last" if o.descending else "first", Range(r.var, low, high, r.domain), guard)
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
        if name in ("append", "add"):
            write = Write((), TRUE, slot.key, self.stored(args[0]), "append")
            self.rebox(slot.ref, Dict(held.items, (*held.writes, write), held.factory))
            return None
        seq = dict_get(self, held, slot.key, Seq())
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
                    return self.box(Dict((), (), _Zero()))
                seq = self.iterable(args[0])
                writes = []
                for s in seq.segments:
                    if isinstance(s, Over):
                        writes.append(Write(s.ranges, s.guard, s.value, 1, "sum"))
                    else:
                        writes.append(Write((), s.cond, s.value, 1, "sum"))
                return self.box(Dict((), tuple(writes), _Zero()))
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
                return self.py_zip(seq, self.sliced_once(seq))
        return self.refuse(f"itertools.{name}")

    def regex(self, name: str, of: Any, args: list[Any]) -> Any:
        return self.refuse("regular expressions have no counterpart")


class _Zero:
    def __init__(self, value: float = 0):
        self.value = value

    def __call__(self) -> Any:
        return self.value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Zero) and other.value == self.value

    def __hash__(self) -> int:
        return hash(self.value)

    def __repr__(self) -> str:
        return f"default {self.value}"


_NONE = object()


def _bounds(o: Over) -> tuple[Any, Any]:
    return o.ranges[0].low, o.ranges[0].high


def element_after(m: Any, over: Over, v: str) -> Any:
    from dsl.lift.build import find

    def rest(o: Over) -> Expr:
        r = o.ranges[0]
        guard = rename_guard(o.guard, {r.var: Name(v)})
        if o.descending:
            return find("last", Range(v, r.low, arith("-", Name(r.var), ONE)), guard)
        return find("first", Range(v, arith("+", Name(r.var), ONE), r.high), guard)

    return rest
