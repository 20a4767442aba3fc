"""What a prompt says about the language, the Python environment, and the form of answers.

The language section derives from the vocabulary and the grammar's own comments: a new primitive appears in prompts by itself.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from dsl.nodes import BUILTIN_NAMES, OPERATIONS
from dsl.vocabulary import ALIASES, SAME_FEATURES, VOCABULARY, Primitive

_NAMES = {
    "q": "query position",
    "k": "key position",
    "n": "number of tokens",
    "dist": "q - k",
    "weight": "the cell so far",
    "row": "the row's sum so far",
}
_RANGES = (
    "Ranges: `p < q`, `k < p <= q`, `p in a..b`, `p`; `w in words(k)`. Over them: first, last, nearest(p < q: guard) give a "
    "position; count, any, all(p < q: guard); sum, min, max(p < q: number). `not`, `and`, `or`, `a if guard else b`, "
    '`text(k) in {"a", "b"}`, `when guard { rules } else { rules }`, `let name = value`. '
    "Comparisons with a missing position are false."
)
_ENVIRONMENT = """\
`def program(sentence, tokenizer)` returns (name, matrix). Known to it: np; make_row_stochastic(a); apply_causal_mask(a); \
{syntax}embedding_similarity(tokens, i, j); _char_sim(a, b). Nothing else can be imported; random numbers are refused. Loops over \
i (query) and j (key), lists of positions, searches with break are understood."""
_SYNTAX = """\
spacy_parse(sentence) gives a doc of words with .text .pos_ .tag_ .dep_ .head .children .ancestors .i .is_stop .is_punct \
.is_sent_start .ent_type_ .lemma_; _align_to_spacy(sentence, tokens) gives for each token the list of indices of its words; """
_PYTHON = """\
```python
def program(sentence, tokenizer):
    tokens = tokenizer.convert_ids_to_tokens(tokenizer(sentence, return_tensors="pt").input_ids[0])
    n = len(tokens)
    a = np.zeros((n, n))
    for i in range(n):
        a[i, 0] += 0.3
        for j in range({stop}):
            if tokens[j] in (".", ",") and abs(i - j) < 12:
                a[i, j] += 0.5 * np.exp(-0.1 * abs(i - j))
    return "stops nearby, else the first token", {result}
```"""
_PATTERN = """\
```pattern
add 0.3 * (1 if k == 0 else 0)
when text(k) in {".", ","} and abs(dist) < 12 add 0.5 * exp(-0.1 * abs(dist))
```"""
_FORM = """\
One to three different programs, each in its own fenced block labelled `pattern` (the language, preferred) or `python`. \
3 to 12 rules each; guess constants, they are fitted afterwards."""


@cache
def language(annotated: bool = True) -> str:
    """The language in about 1,200 tokens: the grammar's introduction, operations, ranges, and every primitive with its meaning.

    Without annotated words, what concerns them is left out (about 800 tokens).
    """
    names = "; ".join(f"{name} ({_NAMES[name]})" for name in sorted(BUILTIN_NAMES, key=list(_NAMES).index))
    groups: dict[str, list[str]] = {}
    for p in VOCABULARY.values():
        if not annotated and (p.domain == "range" or {"word", "words"} & {*p.params, p.result}):
            continue
        groups.setdefault(_GROUPS[p.domain], []).append(_entry(p))
    shown = ("text", "lower", "length", *(("pos", "lemma", "sentence") if annotated else ()))
    aliases = {name: meaning.format("a", "b") for name, meaning in ALIASES.items()}
    syntax = "Where a word is expected, a position stands for its first word: pos(k), dep(q). " + "; ".join(
        f"{name}(a, b) is {meaning}" if "word" in meaning else f"{name} is {meaning}" for name, meaning in aliases.items()
    )
    lines = [
        introduction(),
        f"Operations: {', '.join(OPERATIONS)}. Names: {names}.",
        _RANGES,
        *(f"{title}: {'; '.join(entries)}." for title, entries in groups.items()),
        "same(f) compares a feature of q and k: " + ", ".join(f"same({f})" for f in SAME_FEATURES if f in shown) + ".",
        *([syntax + "."] if annotated else []),
    ]
    return "\n".join(lines)


@cache
def brief_language(annotated: bool = True) -> str:
    """The language in a third of that: the introduction and the names alone."""
    names = [p.name for p in VOCABULARY.values() if annotated or not {"word", "words"} & {*p.params, p.result}]
    return f"{introduction()}\n{_RANGES}\nPrimitives: {', '.join(names)}."


@cache
def introduction() -> str:
    """The opening comment of the grammar file, without its title."""
    lines = files("grammars").joinpath("pattern.lark").read_text(encoding="utf-8").splitlines()
    comment = lines[: next(i for i, line in enumerate(lines) if not line.startswith("//"))]
    return "\n".join(line[2:].removeprefix(" ").rstrip() for line in comment[2:]).replace("dsl/vocabulary.py", "the lists below")


_GROUPS = {
    "position": "Of a position",
    "text": "Of a token's string (a position stands for it)",
    "word": "Of a word",
    "cell": "Others",
    "range": "Words to range over",
    "pair": "Of two positions",
    "number": "Numbers",
}


def _entry(p: Primitive) -> str:
    params = [_SHORT[s] for s in p.params]
    if p.domain == "text" and p.params == ("text",):
        head = p.name
    else:
        shown = [f"[{x}]" if i >= len(params) - p.optional else x for i, x in enumerate(params)]
        head = f"{p.name}({', '.join(shown)}{', …' if p.variadic else ''})"
    return head if p.meaning.removeprefix("is ").replace(" ", "") == p.name else f"{head} {p.meaning}"


_SHORT = {"number": "x", "text": "s", "word": "w", "guard": "g", "words": "ws"}


def environment(annotated: bool = True) -> str:
    """What a Python program finds; without annotated words, nothing about them."""
    return _ENVIRONMENT.format(syntax=_SYNTAX if annotated else "")


def example(causal: bool) -> str:
    """One pattern in both forms."""
    stop, result = ("i + 1", "make_row_stochastic(apply_causal_mask(a))") if causal else ("n", "make_row_stochastic(a)")
    return f"{_PATTERN}\nThe same in Python:\n{_PYTHON.format(stop=stop, result=result)}"


def form() -> str:
    return _FORM


def mask(causal: bool) -> str:
    return (
        "causal attention (a query sees itself and what stands before it)"
        if causal
        else "bidirectional attention (every query sees every key)"
    )
