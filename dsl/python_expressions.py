"""Expressions as Python code over i (query) and j (key); helper functions are noted where they are used."""

from __future__ import annotations

from dataclasses import dataclass, field

from dsl.canonical.binders import rename
from dsl.canonical.estimates import bounds, is_in_text, may_be_missing
from dsl.canonical.facts import BEFORE, NO_FACTS, WAS, Facts, positions, sort
from dsl.canonical.linear import linear
from dsl.concepts import body, places
from dsl.nodes import (
    DIST,
    TRUE,
    Aggregate,
    And,
    Binary,
    Bool,
    Call,
    Compare,
    Concept,
    Expr,
    Find,
    IfElse,
    K,
    Member,
    Name,
    Neg,
    Not,
    Num,
    Or,
    Q,
    Range,
    Same,
    Str,
    Use,
    walk,
)
from dsl.python_helpers import ATTRIBUTES, HELPERS
from dsl.vocabulary import VOCABULARY

NAMES = {"q": "i", "k": "j", "n": "n", "dist": "i - j", "weight": "weights[i, j]", "row": "rows[i]"}
# How tightly Python binds, loosest first.
_IF, _OR, _AND, _NOT, _COMPARE, _SUM, _PRODUCT, _SIGN, _POWER, _ATOM = range(10)
SAFE = {"/": "divide", "//": "floor_divide", "%": "modulo", "**": "power"}


@dataclass
class Writer:
    """Writes expressions. Missing numbers become nan, missing texts and words None; `used` collects the helpers that this takes."""

    spacy: bool
    used: set[str] = field(default_factory=set)
    concepts: dict[str, str] = field(default_factory=dict)  # functions for concepts, in the order of their definition
    facts: Facts = NO_FACTS  # what the `if` around the expression says

    def missing(self, node: Expr) -> bool:
        return may_be_missing(node, self.facts)

    def use(self, name: str) -> str:
        self.used.add(name)
        return {"sentence": "sentence_of", "words": "words_at"}.get(name, name)

    def expr(self, node: Expr, level: int = _IF) -> str:
        binds, text = self.written(node)
        return f"({text})" if binds < level else text

    def written(self, node: Expr) -> tuple[int, str]:
        match node:
            case Num(value):
                whole = value == int(value) and abs(value) < 1e15
                return _SIGN if value < 0 else _ATOM, str(int(value)) if whole else repr(value)
            case Str(value):
                return _ATOM, repr(value)
            case Bool(value):
                return _ATOM, str(value)
            case Name(name):
                kept = f"{name}[i, j]" if name.startswith((WAS, BEFORE)) else name
                return _SUM if name == "dist" else _ATOM, NAMES.get(name, kept)
            case Same(feature):
                return self.same(feature)
            case Use(concept, args):
                return _ATOM, f"{self.define(concept)}({', '.join(self.expr(a) for a in args)})"
            case Neg(item):
                return _SIGN, f"-{self.expr(item, _SIGN)}"
            case Binary(op, left, right):
                return self.binary(op, left, right)
            case Compare(op, left, right):
                return self.compare(op, left, right)
            case Member(item, values):
                listed = ", ".join(self.expr(Str(v) if isinstance(v, str) else Num(v)) for v in values)
                return _COMPARE, f"{self.expr(item, _SUM)} in ({listed}{',' if len(values) == 1 else ''})"
            case Not(Member(item, values)) if not self.missing(item):
                return _COMPARE, self.expr(Member(item, values)).replace(" in (", " not in (", 1)
            case Not(item):
                return _NOT, f"not {self.expr(item, _NOT)}"
            case And(items):
                return _AND, " and ".join(self.expr(i, _NOT) for i in items)
            case Or(items):
                return _OR, " or ".join(self.expr(i, _AND) for i in items)
            case IfElse(test, then, other):
                return _IF, f"{self.expr(then, _OR)} if {self.expr(test, _OR)} else {self.expr(other, _IF)}"
            case Find(which, over, guard):
                return (
                    _ATOM,
                    f"{self.use(which if over.domain is None else which + '_word')}({self.elements(over, guard, over.var)})",
                )
            case Aggregate():
                return self.aggregate(node)
            case Call():
                return self.call(node)
        raise TypeError(f"not an expression: {node!r}")

    def define(self, concept: Concept) -> str:
        """The name of a function for a concept, which is written down once."""
        name = f"is_{concept.name}" if f"is_{concept.name}" not in ATTRIBUTES else f"is_{concept.name}_here"
        if name not in self.concepts:
            known, self.facts = self.facts, NO_FACTS
            held = self.expr(rename(body(concept)))
            self.facts = known
            names = [NAMES[p.name] for p in places(concept)]
            self.used.add("inside")
            lines = [f"def {name}({', '.join(names)}):", f"    if not ({' and '.join(f'inside({x})' for x in names)}):"]
            lines += ["        return False", *(f"    {x} = int({x})" for x in names), f"    return {held}"]
            self.concepts[name] = "\n".join(lines)
        return name

    def same(self, feature: str) -> tuple[int, str]:
        left, right = Call(feature, (Q,)), Call(feature, (K,))
        if sort(left) != "guard":
            return self.compare("==", left, right)
        return _COMPARE, f"{self.expr(left, _SUM + 1)} == {self.expr(right, _SUM + 1)}"

    def binary(self, op: str, left: Expr, right: Expr) -> tuple[int, str]:
        if op in SAFE and self.missing(Binary(op, left, right)):
            return _ATOM, f"{self.use(SAFE[op])}({self.expr(left)}, {self.expr(right)})"
        level = {"+": _SUM, "-": _SUM, "**": _POWER}.get(op, _PRODUCT)
        if op == "**":
            return level, f"{self.expr(left, _ATOM)} ** {self.expr(right, _SIGN)}"
        return level, f"{self.expr(left, level)} {op} {self.expr(right, level + 1)}"

    def compare(self, op: str, left: Expr, right: Expr) -> tuple[int, str]:
        missing = self.missing(left) or self.missing(right)
        both = not isinstance(left, Str) and not isinstance(right, Str) and sort(left) != "number"  # None == None
        if missing and (op == "!=" or (op == "==" and both)):
            return _ATOM, f"{self.use('differs' if op == '!=' else 'equal')}({self.expr(left)}, {self.expr(right)})"
        if (op, left, right) == ("==", DIST, Num(0.0)):
            return _COMPARE, "i == j"
        return _COMPARE, f"{self.expr(left, _SUM)} {op} {self.expr(right, _SUM)}"

    def elements(self, over: Range, guard: Expr | None, value: str) -> str:
        """A list of `value` over the range where the guard holds."""
        test = "" if guard is None or guard == TRUE else f" if {self.expr(guard, _OR)}"
        return f"[{value} for {over.var} in {self.range(over)}{test}]"

    def range(self, over: Range) -> str:
        if over.domain is not None:
            name, args = over.domain.name, over.domain.args
            if not args:
                self.use("word")
                return "range(count_words)"
            return f"{self.use(name)}({self.expr(args[0]) if name == 'words' else self.as_word(args[0])})"
        low = over.low if over.low is not None else Num(0.0)
        high = over.high if over.high is not None else Binary("-", Name("n"), Num(1.0))
        end = high.left if isinstance(high, Binary) and high.op == "-" and high.right == Num(1.0) else Binary("+", high, Num(1.0))
        if (
            bounds(low, self.facts)[0] >= 0
            and bounds(Binary("-", Name("n"), end), self.facts)[0] >= 0
            and _is_whole(low)
            and _is_whole(high)
        ):
            return f"range({'' if low == Num(0.0) else self.expr(low) + ', '}{self.expr(end)})"
        return f"{self.use('span')}({self.expr(low)}, {self.expr(high)})"

    def aggregate(self, node: Aggregate) -> tuple[int, str]:
        kind, over, guard, value = node.kind, node.range, node.guard, node.value
        if kind in ("any", "all"):
            assert guard is not None
            return _ATOM, f"{kind}([{self.expr(guard)} for {over.var} in {self.range(over)}])"
        if kind == "count":
            return _ATOM, f"len({self.elements(over, guard, over.var)})"
        assert value is not None
        if kind == "sum" and not self.missing(value):
            return _ATOM, f"sum({self.elements(over, guard, self.expr(value))})"
        helper = {"sum": "total", "min": "smallest", "max": "greatest"}[kind]
        return _ATOM, f"{self.use(helper)}({self.elements(over, guard, self.expr(value))})"

    def call(self, node: Call) -> tuple[int, str]:
        name, args = node.name, node.args
        primitive = VOCABULARY[name]
        match primitive.domain:
            case "position":
                if name == "text":
                    return _ATOM, self.as_text(args[0])
                if name == "piece" and self.is_in_loop(args[0]):
                    return _ATOM, f"pieces[{self.expr(args[0])}]"
                if name == "aligned":
                    return self.written(Call("exists", (Call("word", args),)))
                return _ATOM, f"{self.use(name)}({self.expr(args[0])})"
            case "word":
                return _ATOM, f"{self.use(name)}({self.as_word(args[0])})"
            case "pair":
                return self.pair(args)
            case "text":
                return self.string(node)
            case "number":
                return self.number(node)
        if name == "weight":
            return _ATOM, f"{self.use('cell')}({self.expr(args[0])}, {self.expr(args[1])})"
        return _ATOM, f"{self.use(name)}({', '.join(self.expr(a) for a in args)})"

    def pair(self, args: tuple[Expr, ...]) -> tuple[int, str]:
        near = all(x in (Q, K) for x in args)
        a, b = (self.expr(x) if near else f"int({self.expr(x)})" for x in args)
        if self.spacy:
            value = f"embedding_similarity(pieces, {a}, {b})"
        else:
            value = f"(similarity[{a}][{b}] if similarity is not None else float(pieces[{a}] == pieces[{b}]))"
        if near:
            return _ATOM, value
        tests = " and ".join(f"{self.use('inside')}({self.expr(x)})" for x in args)
        self.used.add("nan")
        return _ATOM, f"({value} if {tests} else nan)"

    def number(self, node: Call) -> tuple[int, str]:
        name, args = node.name, node.args
        written = ", ".join(self.expr(a) for a in args)
        if name in ("min", "max"):
            if not self.missing(node):
                return _ATOM, f"{name}({written})"
            result = self.expr(args[0])
            for a in args[1:]:  # unlike min and max, these pass nan on
                result = f"np.{name}imum({result}, {self.expr(a)})"
            return _ATOM, result
        if name in ("exp", "log", "sqrt") and self.missing(node):
            return _ATOM, f"{self.use(name)}({written})"
        return _ATOM, f"abs({written})" if name == "abs" else f"np.{name}({written})"

    def string(self, node: Call) -> tuple[int, str]:
        """A function of texts; where one of them may be missing, so is the result."""
        name, args = node.name, node.args
        primitive = VOCABULARY[name]
        places = positions(node)
        wanted = (primitive.params + primitive.params[-1:] * len(args))[: len(args)]
        written = [self.as_text(a) if w == "text" else self.expr(a, _IF) for a, w in zip(args, wanted, strict=True)]
        numbers = [w == "number" for w in wanted]
        first, rest = written[0], [f"int({x})" if is_number else x for x, is_number in zip(written[1:], numbers[1:], strict=True)]
        unsure = [
            x
            for a, x in zip(args, written, strict=True)
            if self.missing(a) or (a in places and not is_in_text(a, self.facts)) or sort(a) == "word"
        ]
        match name:
            case "length":
                text = f"len({first})"
            case "occurrences":
                text = f"{first}.count({rest[0]})"
            case "slice":
                text = f"{first}[{':'.join(rest) if len(rest) == 2 else rest[0] + ':'}]"
            case "contains":
                text = " or ".join(f"{r} in {first}" for r in rest)
                text = f"({text})"
            case "startswith" | "endswith":
                text = f"{first}.{name}({rest[0] if len(rest) == 1 else '(' + ', '.join(rest) + ')'})"
            case _ if name in HELPERS:
                text = f"{self.use(name)}({', '.join([first, *rest])})"
            case _:
                text = f"{first}.{name}({', '.join(rest)})"
        if not unsure:
            return _ATOM, text
        tests = " and ".join(f"{self.use('exists')}({x})" for x in unsure)
        if primitive.result == "guard":
            return _ATOM, f"({tests} and {text})"
        if primitive.result == "number":
            self.used.add("nan")
        return _ATOM, f"({text} if {tests} else {'nan' if primitive.result == 'number' else 'None'})"

    def as_text(self, node: Expr) -> str:
        match sort(node):
            case "text":
                return self.expr(node, _ATOM)
            case "word":
                return f"{self.use('word_text')}({self.expr(node)})"
        if self.is_in_loop(node):
            return f"tokens[{self.expr(node)}]"
        return f"{self.use('text')}({self.expr(node)})"

    @staticmethod
    def is_in_loop(node: Expr) -> bool:
        """q, k, or the variable of a range: a position of the text for certain."""
        return node in (Q, K) or (isinstance(node, Name) and node.name not in NAMES)

    def as_word(self, node: Expr) -> str:
        return self.expr(node) if sort(node) == "word" else f"{self.use('word')}({self.expr(node)})"


def _is_whole(node: Expr) -> bool:
    return linear(node) is not None and not any(isinstance(x, Call) for x in walk(node))
