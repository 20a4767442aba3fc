"""A program as standalone Python: loops over i (query) and j (key), with the helper functions it needs and no others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dsl.canonical.binders import rename
from dsl.canonical.facts import BEFORE, WAS, sort
from dsl.canonical.logic import parts
from dsl.nodes import (
    TRUE,
    Block,
    Call,
    Expr,
    Let,
    Name,
    Program,
    Rule,
    Statement,
    free_names,
    substitute,
    walk,
)
from dsl.python_expressions import Writer
from dsl.python_helpers import ATTRIBUTES, HELPERS, NEEDS, source

TAB = "    "
CHANGES = {"set": "=", "add": "+=", "scale": "*="}


def to_python(program: Program, causal: bool = True) -> str:
    """A function `program(sentence, tokenizer) -> (name, (n, n) matrix)`, as LLM proposals are written; numpy only, beside
    spacy_parse, _align_to_spacy and embedding_similarity where the program needs them. The tokenizer's strings are decoded as in
    dsl.decoding, word starts and special tokens told from the tokens, as in dsl.text.plain_text."""
    code = _Code(spacy=True, causal=causal)
    body = code.program(program)
    head = ['pieces = tokenizer.convert_ids_to_tokens(tokenizer(sentence, return_tensors="pt").input_ids[0])', "n = len(pieces)"]
    if code.annotated:
        head += ["doc = spacy_parse(sentence)", "align = _align_to_spacy(sentence, pieces)", "count_words = len(doc)"]
    if code.uses("decode"):
        head.append('decodes = [tokenizer.decode([x]) for x in tokenizer(sentence)["input_ids"]]')
    if code.uses("word_id"):
        head.append("word_ids = tokenizer(sentence).word_ids()")
    decoding: list[str] = []
    if any("tokens[" in line for line in [*code.definitions(), *body]):
        decoding = [
            *source("decoded", True).split("\n"),
            "",
            'tokens = decoded(pieces, tokenizer(sentence, return_offsets_mapping=True)["offset_mapping"])',
        ]
    lines = [*head, *decoding, *code.definitions(), *body, *_ending(causal), 'return "headscript", weights']
    return _function("def program(sentence: str, tokenizer) -> tuple[str, np.ndarray]:", "", lines)


def to_module(program: Program, name: str = "pattern", causal: bool = True) -> str:
    """A module with one function `name(tokens, ...) -> (n, n) matrix` that needs numpy alone."""
    code = _Code(spacy=False, causal=causal)
    body = code.program(program)
    head = ["n = len(tokens)"]
    if code.annotated:
        head += ["words = words or []", "align = align or [[]] * n", "count_words = len(words)"]
    if code.uses("decode"):
        head.append("decodes = decodes or tokens")
    if code.uses("word_id"):
        head.append("word_ids = word_ids or [None] * n")
    if any("pieces[" in line for line in [*code.definitions(), *body]):
        head.append("pieces = pieces or tokens")
    lines = [*head, *code.definitions(), *body, *_ending(causal), "return weights"]
    options = (
        "word_starts=None, special_tokens=None, similarity=None, words=None, align=None, decodes=None, word_ids=None, pieces=None"
    )
    says = [
        '"""Attention pattern of one head: (n, n), row i the query, column j the key; rows sum to 1, or to 0.',
        "",
        *str(program).replace("\\", "\\\\").replace('"""', '""\\"').splitlines(),
        "",
        "tokens: the n decoded tokens, leading spaces included. Optional, with what the tokens tell as default:",
        "word_starts, n flags (a word starts at the first token, at a leading space, at what is no letter or digit);",
        "special_tokens, n flags; similarity, the (n, n) cosines of the token embeddings (1 for equal pieces, else 0);",
        "words, the annotated words as dictionaries with the keys of dsl.text.Word; align, for each token the list of its words;",
        "decodes, n strings, each token decoded alone (the tokens); word_ids, the tokenizer's n word numbers (None each);",
        "pieces, the n strings as the tokenizer spells them (the tokens).",
        '"""',
    ]
    doc = "\n".join(says)
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
        or (isinstance(x, Rule) and x.op in ("normalize", "share"))
        for x in walk(node)
    )


@dataclass
class _Code(Writer):
    """Code on its way, and the helpers it uses. Rules that read only their own cell share one double loop."""

    causal: bool = True
    kept: int = 0

    @property
    def annotated(self) -> bool:
        about_words = ("word", "nth_word", "words", "children", "ancestors", "subtree", "first_token", "last_token")
        return any(u in ATTRIBUTES or u in about_words for u in self._closed())

    def uses(self, helper: str) -> bool:
        return helper in self._closed()

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
        texts += self.concepts.values()
        lines = [""] + [line for t in texts for line in (t, "")] if texts else []
        if any("nan" in t for t in texts) or "nan" in names:
            lines.insert(0, 'nan = float("nan")')
        return lines

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
        return lines + (self.share(s, masks) if isinstance(s, Rule) and s.op == "share" else self.loop([s], masks))

    def share(self, rule: Rule, masks: list[str]) -> list[str]:
        """The shares of a row are collected, then the row is divided up."""
        assert rule.value is not None
        seen = "i + 1" if self.causal else "n"
        tests = [*masks, *([] if rule.guard is None or rule.guard == TRUE else [self.expr(rule.guard)])]
        body = [f"value = {self.expr(rule.value)}", f"if {self.use('exists')}(value):", TAB + "given[j] = value"]
        for test in reversed(tests):
            body = [f"if {test}:", *(TAB + line for line in body)]
        body = ["given = {}", f"for j in range({seen}):", *(TAB + line for line in body)]
        body.append(f"weights[i] = {self.use('shared')}(weights[i], given, {seen})")
        return ["for i in range(n):", *(TAB + line for line in body)]

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
