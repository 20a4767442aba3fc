"""A program as standalone Python: loops over i (query) and j (key), with the helper functions it needs and no others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from dsl.canonical.binders import rename
from dsl.canonical.facts import BEFORE, NO_FACTS, WAS, Facts, bounds, is_in_text, may_be_missing, positions, sort
from dsl.canonical.logic import parts
from dsl.nodes import (
    DIST,
    TRUE,
    Aggregate,
    And,
    Binary,
    Block,
    Bool,
    Call,
    Compare,
    Expr,
    Find,
    IfElse,
    K,
    Let,
    Member,
    Name,
    Neg,
    Not,
    Num,
    Or,
    Program,
    Q,
    Range,
    Rule,
    Same,
    Statement,
    Str,
    free_names,
    substitute,
    walk,
)
from dsl.python_helpers import ATTRIBUTES, HELPERS, NEEDS, source
from dsl.vocabulary import VOCABULARY

TAB = "    "
CHANGES = {"set": "=", "add": "+=", "scale": "*="}
NAMES = {"q": "i", "k": "j", "n": "n", "dist": "i - j", "weight": "weights[i, j]", "row": "rows[i]"}
# How tightly Python binds, loosest first.
_IF, _OR, _AND, _NOT, _COMPARE, _SUM, _PRODUCT, _SIGN, _POWER, _ATOM = range(10)
SAFE = {"/": "divide", "//": "floor_divide", "%": "modulo", "**": "power"}


def to_python(program: Program, causal: bool = True) -> str:
    """A function `program(sentence, tokenizer) -> (name, (n, n) matrix)`, as LLM proposals are written; numpy only, beside
    spacy_parse, _align_to_spacy and embedding_similarity where the program needs them. Word starts and special tokens are told
    from the token strings, as in dsl.text.plain_text."""
    code = _Code(spacy=True)
    body = code.program(program)
    head = ['tokens = tokenizer.convert_ids_to_tokens(tokenizer(sentence, return_tensors="pt").input_ids[0])', "n = len(tokens)"]
    if code.annotated:
        head += ["doc = spacy_parse(sentence)", "align = _align_to_spacy(sentence, tokens)", "count_words = len(doc)"]
    lines = [*head, *code.definitions(), *body, *_ending(causal), 'return "headscript", weights']
    return _function("def program(sentence: str, tokenizer) -> tuple[str, np.ndarray]:", "", lines)


def to_module(program: Program, name: str = "pattern", causal: bool = True) -> str:
    """A module with one function `name(tokens, ...) -> (n, n) matrix` that needs numpy alone."""
    code = _Code(spacy=False)
    body = code.program(program)
    head = ["n = len(tokens)"]
    if code.annotated:
        head += ["words = words or []", "align = align or [[]] * n", "count_words = len(words)"]
    lines = [*head, *code.definitions(), *body, *_ending(causal), "return weights"]
    options = "word_starts=None, special_tokens=None, similarity=None, words=None, align=None"
    says = [
        '"""Attention pattern of one head: (n, n), row i the query, column j the key; rows sum to 1, or to 0.',
        "",
        *(f"{line}" for line in str(program).splitlines()),
        "",
        "tokens: the n token strings, tokenizer marks included. Optional: word_starts and special_tokens, n flags each (told from the",
        "token strings by default: a word starts at the first token, at a mark such as \\u0120, and at what is no letter or digit);",
        "similarity, the (n, n) cosines of the token embeddings (by default 1 for equal tokens, else 0); words, the annotated words",
        "as dictionaries with the keys of dsl.text.Word; align, for each token the list of its words.",
        '"""',
    ]
    doc = "\n".join(line.replace("\\", "\\\\") if 0 < i < len(says) - 6 else line for i, line in enumerate(says))
    return _function(f"def {name}(tokens, *, {options}):", doc, lines)


def _function(signature: str, doc: str, lines: list[str]) -> str:
    body = [line for text in ([doc] if doc else []) + lines for line in text.split("\n")]
    return "\n".join(["import numpy as np", "", "", signature, *(TAB + line if line else "" for line in body)]) + "\n"


def _ending(causal: bool) -> list[str]:
    return [
        "weights = np.maximum(weights, 0)",
        *(["weights = np.tril(weights)"] if causal else []),
        "for i in range(n):",
        TAB + "if weights[i].sum() > 0:",
        TAB + TAB + "weights[i] = weights[i] / weights[i].sum()",
    ]


def _global(node: Any) -> bool:
    """Whether it reads other cells than its own: such rules act after all rules before them have."""
    return any(
        (isinstance(x, Name) and x.name == "row")
        or (isinstance(x, Call) and x.name == "weight")
        or (isinstance(x, Rule) and x.op == "normalize")
        for x in walk(node)
    )


@dataclass
class _Code:
    """Code on its way, and the helpers it uses. Rules that read only their own cell share one double loop."""

    spacy: bool
    used: set[str] = field(default_factory=set)
    kept: int = 0
    facts: Facts = NO_FACTS  # what the `if` around the expression says

    def missing(self, node: Expr) -> bool:
        return may_be_missing(node, self.facts)

    @property
    def annotated(self) -> bool:
        about_words = ("word", "nth_word", "words", "children", "ancestors", "subtree", "first_token", "last_token")
        return any(u in ATTRIBUTES or u in about_words for u in self._closed())

    def _closed(self) -> set[str]:
        todo, found = list(self.used), set()
        while todo:
            name = todo.pop()
            if name not in found:
                found.add(name)
                todo += NEEDS.get(name, ())
        return found

    def definitions(self) -> list[str]:
        names = self._closed()
        texts = [source(name, self.spacy) for name in [*ATTRIBUTES, *HELPERS] if name in names]
        if self.spacy:  # no optional flags: see to_python
            cut = ("    if word_starts:\n        return word_starts[int(p)]\n", "special_tokens[int(p)] if special_tokens else ")
            for text in cut:
                texts = [t.replace(text, "") for t in texts]
        lines = [""] + [line for t in texts for line in (t, "")] if texts else []
        if any("nan" in t for t in texts) or "nan" in names:
            lines.insert(0, 'nan = float("nan")')
        return lines

    def use(self, name: str) -> str:
        self.used.add(name)
        return {"sentence": "sentence_of", "words": "words_at"}.get(name, name)

    def program(self, program: Program) -> list[str]:
        return ["weights = np.zeros((n, n))", *self.statements(_plain(program.statements, {}), [])]

    def statements(self, statements: tuple[Statement, ...], masks: list[str]) -> list[str]:
        """`masks`: conditions of the blocks around, as Python guards over i and j."""
        lines: list[str] = []
        local: list[Statement] = []
        for s in statements:
            if not _global(s) and not isinstance(s, Let):
                local.append(s)
                continue
            lines += self.loop(local, masks)
            local = []
            lines += self.apart(s, masks)
        return lines + self.loop(local, masks)

    def apart(self, s: Statement, masks: list[str]) -> list[str]:
        """A statement that reads other cells: it sees the weights as they were before it."""
        lines = []
        if any(isinstance(x, Name) and x.name == "row" for x in walk(s)) or (isinstance(s, Rule) and s.op == "normalize"):
            lines.append("rows = weights.sum(axis=1)")
        match s:
            case Let(name, value):
                return [*lines, *self.matrix(name, value, masks)]
            case Block(guard, then, other):
                self.kept += 1
                name = f"where{self.kept}"
                lines += self.matrix(name, guard, masks)
                lines += self.statements(then, [*masks, f"{name}[i, j]"])
                return lines + (self.statements(other, [*masks, f"not {name}[i, j]"]) if other else [])
        if any(isinstance(x, Call) and x.name == "weight" for x in walk(s)):
            lines.append("before = weights.copy()")
        return lines + self.loop([s], masks)

    def matrix(self, name: str, value: Expr, masks: list[str]) -> list[str]:
        """A value of every cell, kept as it is now."""
        lines = ["before = weights.copy()"] if any(isinstance(x, Call) and x.name == "weight" for x in walk(value)) else []
        lines.append(f"{name} = np.zeros((n, n), dtype={'bool' if sort(value) == 'guard' else 'float'})")
        return [*lines, *_cells([f"{name}[i, j] = {self.expr(value)}"])]

    def loop(self, statements: list[Statement], masks: list[str]) -> list[str]:
        if not statements:
            return []
        body = [line for s in statements for line in self.act(s)]
        for mask in reversed(masks):
            body = [f"if {mask}:", *(TAB + line for line in body)]
        return _cells(body)

    def act(self, s: Statement) -> Iterator[str]:
        match s:
            case Block(guard, then, other):
                yield f"if {self.expr(guard)}:"
                known, self.facts = self.facts, self.facts.given(parts(guard))
                yield from [TAB + line for t in then for line in self.act(t)] or [TAB + "pass"]
                self.facts = known
                if other:
                    yield "else:"
                    yield from (TAB + line for t in other for line in self.act(t))
            case Rule(op, value, guard):
                if guard is None or guard == TRUE:
                    yield from self.change(op, value)
                    return
                yield f"if {self.expr(guard)}:"
                known, self.facts = self.facts, self.facts.given(parts(guard))
                yield from [TAB + line for line in self.change(op, value)]
                self.facts = known

    def change(self, op: str, value: Expr | None) -> list[str]:
        cell = "weights[i, j]"
        if value is None:
            return ["if rows[i] != 0:", f"{TAB}{cell} = {cell} / rows[i]"]
        written = self.expr(value)
        missing = self.missing(value)
        lines = [f"value = {written}"] if missing else []
        written = "value" if missing else written
        line = f"{cell} {CHANGES[op]} {written}" if op in CHANGES else f"{cell} = {op}({cell}, {written})"
        return [*lines, f"if {self.use('exists')}(value):", TAB + line] if missing else [line]

    # expressions

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
                return _ATOM, f"{self.use(which if over.domain is None else which + '_word')}({self.elements(over, guard, over.var)})"
            case Aggregate():
                return self.aggregate(node)
            case Call():
                return self.call(node)
        raise TypeError(f"not an expression: {node!r}")

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
        if missing and (op == "!=" or (op == "==" and not isinstance(left, Str | Num) and not isinstance(right, Str | Num))):
            if op == "!=" or sort(left) != "number":  # None == None
                return _ATOM, f"{self.use('differs' if op == '!=' else 'equal')}({self.expr(left)}, {self.expr(right)})"
        if (op, left) == ("==", DIST) and isinstance(right, Num):
            if right.value == 0:
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
        if bounds(low, self.facts)[0] >= 0 and bounds(Binary("-", Name("n"), end), self.facts)[0] >= 0 and _is_whole(low) and _is_whole(high):
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
            value = f"embedding_similarity(tokens, {a}, {b})"
        else:
            value = f"(similarity[{a}][{b}] if similarity is not None else float(tokens[{a}] == tokens[{b}]))"
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
            case "punctuation" | "newline" | "char_similarity":
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
        if node in (Q, K) or (isinstance(node, Name) and node.name not in NAMES):
            return f"tokens[{self.expr(node)}]"
        return f"{self.use('text')}({self.expr(node)})"

    def as_word(self, node: Expr) -> str:
        return self.expr(node) if sort(node) == "word" else f"{self.use('word')}({self.expr(node)})"


def _is_whole(node: Expr) -> bool:
    from dsl.canonical.linear import linear

    return linear(node) is not None and not any(isinstance(x, Call) for x in walk(node))


def _cells(body: list[str]) -> list[str]:
    return ["for i in range(n):", TAB + "for j in range(n):", *(TAB + TAB + line for line in body)]


def _plain(statements: tuple[Statement, ...], names: dict[str, Expr]) -> tuple[Statement, ...]:
    """Names put in, but for those that hold weights as they were; range variables named by depth."""
    result: list[Statement] = []
    for s in statements:
        match s:
            case Let(name, value):
                value = rename(substitute(value, names))
                if any(n in ("weight", "row") or n.startswith((WAS, BEFORE)) for n in free_names(value)):
                    kept = f"{WAS if sort(value) == 'guard' else BEFORE}_{name}"
                    result.append(Let(kept, value))
                    value = Name(kept)
                names = {**names, name: value}
            case Block(guard, then, other):
                inside = _plain(then, names), _plain(other, names)
                if any(inside):
                    result.append(Block(rename(substitute(guard, names)), *inside))
            case Rule():
                result.append(rename(substitute(s, names)))
    return tuple(result)


