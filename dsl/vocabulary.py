"""Every primitive of the language, once: name, sorts, meaning, evaluator.

The parser's names, the checker, the evaluators, the mutation operators, the English printer and the language section of the LLM
prompt derive from `VOCABULARY`; adding a primitive is one entry here.

Sorts of arguments and results: "number" (positions are numbers), "guard", "text", "word", "words" (what a word variable may run
over). Where a text is expected and a position or a word is given, its token or its text is meant: lower(k) stands for
lower(text(k)). Where a word is expected and a position is given, its first annotated word is meant: pos(k) = pos(word(k)).
"""

from __future__ import annotations

import math
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from dsl.classes import OF_POSITION, OF_TOKEN
from dsl.text import Text, char_similarity

Sort = Literal["number", "guard", "text", "word", "words"]
Domain = Literal["text", "position", "word", "number", "pair", "range", "cell"]


@dataclass(frozen=True)
class Primitive:
    """One entry.

    domain says what `evaluate` takes:
      text      the strings (and numbers) themselves: evaluate(*strings)
      position  a text and a position in it: evaluate(text, i)
      word      a text and an index of a word in it: evaluate(text, w)
      number    numpy arrays (or floats): evaluate(*arrays, xp) with xp = dsl/scalar.py or math
      pair      a text and two positions: evaluate(text, i, j)
      range     a text and a word (or none): the words that a word variable runs over: evaluate(text, w)
      cell      known to the evaluators alone (weights, existence)
    english is a phrase with {0}, {1}, … for the arguments; python an expression in the helper names of dsl/python.py.
    """

    name: str
    params: tuple[Sort, ...]
    result: Sort
    meaning: str
    domain: Domain
    evaluate: Callable[..., Any]
    english: str
    variadic: bool = False  # the last parameter may be repeated
    optional: int = 0  # so many of the last parameters may be left out


def _punctuation(token: str) -> bool:
    bare = token.strip()
    return bool(bare) and all(c in PUNCTUATION for c in bare)


PUNCTUATION = frozenset(string.punctuation + "“”‘’«»…–—¿¡、。，！？；：（）")


def _newline(token: str) -> bool:
    return "\n" in token or "\r" in token


def _strip(method: str) -> Callable[..., str]:
    return lambda token, chars=None: getattr(token, method)(chars)


def _slice(token: str, start: float, stop: float | None = None) -> str:
    return token[int(start) : None if stop is None else int(stop)]


def _any_character(method: str) -> Callable[..., bool]:
    return lambda token: any(getattr(c, method)() for c in token)


def _any_affix(method: str) -> Callable[..., bool]:
    return lambda token, *affixes: getattr(token, method)(affixes)


def _subtree(text: Text, w: int) -> list[int]:
    return [v for v in range(len(text.words)) if v == w or w in _ancestors(text, v)]


def _ancestors(text: Text, w: int) -> list[int]:
    found: list[int] = []
    while text.words[w].head != w and text.words[w].head not in found:
        w = text.words[w].head
        found.append(w)
    return found


def _first_token(text: Text, w: int) -> int:
    return next((i for i, words in enumerate(text.alignment) if w in words), -1)


def _last_token(text: Text, w: int) -> int:
    return next((i for i in range(len(text) - 1, -1, -1) if w in text.alignment[i]), -1)


def _sent_end(text: Text, w: int) -> bool:
    return w + 1 == len(text.words) or text.words[w + 1].is_sent_start


def _text(name: str, meaning: str, evaluate: Callable[..., Any], english: str, result: Sort = "guard", **more: Any) -> Primitive:
    return Primitive(name, more.pop("params", ("text",)), result, meaning, "text", evaluate, english, **more)


def _word(name: str, attribute: str, meaning: str, english: str, result: Sort = "text") -> Primitive:
    return Primitive(name, ("word",), result, meaning, "word", lambda text, w: getattr(text.words[w], attribute), english)


def _number(
    name: str, meaning: str, evaluate: Callable[..., Any], params: tuple[Sort, ...] = ("number",), **more: Any
) -> Primitive:
    arguments = ", ".join(f"{{{i}}}" for i in range(len(params)))
    english = more.pop("english", f"{name}({arguments})")
    return Primitive(name, params, "number", meaning, "number", evaluate, english, **more)


def _entries() -> Iterator[Primitive]:
    # positions
    yield Primitive(
        "text",
        ("number",),
        "text",
        'the token as text, its leading space included, such as " the" or "\\n" (of a word: its text)',
        "position",
        lambda text, i: text.tokens[i],
        "{0}",
    )
    yield Primitive(
        "decode",
        ("number",),
        "text",
        "what the tokenizer's decode gives for the token alone",
        "position",
        lambda text, i: text.encoding.decoded[i] if text.encoding else text.pieces[i],
        "{0} decoded alone",
    )
    yield Primitive(
        "word_id",
        ("number",),
        "number",
        "the tokenizer's number of the token's word; missing for tokens that it added",
        "position",
        lambda text, i: math.nan if text.word_numbers[i] is None else float(text.word_numbers[i]),
        "the number of the tokenizer's word of {0}",
    )
    yield Primitive(
        "piece",
        ("number",),
        "text",
        "the tokenizer's own string for the token, marks included",
        "position",
        lambda text, i: text.pieces[i],
        "the piece of {0}",
    )
    yield Primitive(
        "special",
        ("number",),
        "guard",
        "a special token such as <s> or [SEP]",
        "position",
        lambda text, i: text.special[i],
        "{0} is a special token",
    )
    yield Primitive(
        "word_start",
        ("number",),
        "guard",
        "begins a word or a punctuation mark",
        "position",
        lambda text, i: text.word_start[i],
        "{0} begins a word",
    )
    yield Primitive(
        "aligned",
        ("number",),
        "guard",
        "has at least one annotated word",
        "position",
        lambda text, i: bool(text.alignment[i]),
        "{0} has an annotated word",
    )
    yield Primitive(
        "word",
        ("number",),
        "word",
        "the first annotated word that the token overlaps",
        "position",
        lambda text, i: text.alignment[i][0] if text.alignment[i] else -1,
        "the word of {0}",
    )

    # strings
    yield _text("lower", "in lower case", str.lower, "{0} in lower case", "text")
    yield _text("upper", "in upper case", str.upper, "{0} in upper case", "text")
    for side, where in (("strip", "both ends"), ("lstrip", "the start"), ("rstrip", "the end")):
        yield _text(
            side,
            f"without the given characters (white space) at {where}",
            _strip(side),
            f"{{0}} without {{1}} at {where}",
            "text",
            params=("text", "text"),
            optional=1,
        )
    yield _text(
        "replace",
        "with one string replaced by another",
        str.replace,
        "{0} with {1} replaced by {2}",
        "text",
        params=("text", "text", "text"),
    )
    yield _text(
        "slice",
        "characters from start up to stop, counted as in Python",
        _slice,
        "characters {1} to {2} of {0}",
        "text",
        params=("text", "number", "number"),
        optional=1,
    )
    yield _text("length", "number of characters", lambda s: float(len(s)), "the length of {0}", "number")
    yield _text(
        "occurrences",
        "how often the second string occurs in the first",
        lambda s, t: float(s.count(t)),
        "the number of times {1} occurs in {0}",
        "number",
        params=("text", "text"),
    )
    yield _text(
        "startswith",
        "starts with one of the given strings",
        _any_affix("startswith"),
        "{0} starts with {1}",
        params=("text", "text"),
        variadic=True,
    )
    yield _text(
        "endswith",
        "ends with one of the given strings",
        _any_affix("endswith"),
        "{0} ends with {1}",
        params=("text", "text"),
        variadic=True,
    )
    yield _text(
        "contains",
        "contains one of the given strings",
        lambda s, *parts: any(p in s for p in parts),
        "{0} contains {1}",
        params=("text", "text"),
        variadic=True,
    )
    for kind, meaning in (
        ("isalpha", "is all letters"),
        ("isalnum", "is all letters and digits"),
        ("isdigit", "is all digits"),
        ("isnumeric", "is numeric"),
        ("isspace", "is white space"),
        ("isupper", "is in upper case"),
        ("islower", "is in lower case"),
        ("istitle", "is capitalised"),
    ):
        yield _text(kind, meaning, getattr(str, kind), "{0} " + meaning)
    for kind, what in (("isalpha", "letter"), ("isdigit", "digit"), ("isalnum", "letter or digit"), ("isupper", "capital")):
        name = "has_" + {"isalpha": "letter", "isdigit": "digit", "isalnum": "alnum", "isupper": "upper"}[kind]
        yield _text(name, f"contains a {what}", _any_character(kind), f"{{0}} contains a {what}")
    yield _text("punctuation", "is punctuation, white space aside", _punctuation, "{0} is punctuation")
    yield _text("newline", "contains a line break", _newline, "{0} is a line break")

    # classes of words and signs
    for c in OF_TOKEN:
        yield _text(c.name, c.meaning, c.evaluate, c.english)
    for c in OF_POSITION:
        yield Primitive(c.name, ("number",), c.result, c.meaning, "position", c.evaluate, c.english)

    # annotated words
    yield _word("pos", "pos", "universal part of speech", "the part of speech of {0}")
    yield _word("tag", "tag", "fine-grained part of speech", "the tag of {0}")
    yield _word("dep", "dep", "dependency relation to the head", "the dependency relation of {0}")
    yield _word("lemma", "lemma", "lemma", "the lemma of {0}")
    yield _word("entity", "ent_type", "entity type", "the entity type of {0}")
    yield _word("morph", "morph", "morphological features", "the morphology of {0}")
    yield _word("shape", "shape", "orthographic shape", "the shape of {0}")
    yield _word("is_stop", "is_stop", "is a stop word", "{0} is a stop word", "guard")
    yield _word("is_punct", "is_punct", "is punctuation for the annotator", "{0} is punctuation", "guard")
    yield _word("is_space", "is_space", "is white space for the annotator", "{0} is white space", "guard")
    yield _word("like_num", "like_num", "resembles a number", "{0} resembles a number", "guard")
    yield _word("sent_start", "is_sent_start", "begins a sentence", "{0} begins a sentence", "guard")
    yield Primitive("sent_end", ("word",), "guard", "ends a sentence", "word", _sent_end, "{0} ends a sentence")
    yield _word("sentence", "sent", "number of the sentence", "the sentence of {0}", "number")
    yield Primitive(
        "index",
        ("word",),
        "number",
        "number of the word in the text",
        "word",
        lambda text, w: float(w),
        "the index of {0}",
    )
    yield Primitive("nth_word", ("number",), "word", "the word with the given number", "cell", lambda text, i: i, "word number {0}")
    yield Primitive(
        "head",
        ("word",),
        "word",
        "the governing word; a root governs itself",
        "word",
        lambda text, w: text.words[w].head,
        "the head of {0}",
    )
    yield Primitive(
        "first_token",
        ("word",),
        "number",
        "the first position that overlaps the word",
        "word",
        _first_token,
        "the first token of {0}",
    )
    yield Primitive(
        "last_token",
        ("word",),
        "number",
        "the last position that overlaps the word",
        "word",
        _last_token,
        "the last token of {0}",
    )

    # what a word variable runs over
    yield Primitive(
        "words",
        ("number",),
        "words",
        "the annotated words of a position; of the whole text without an argument",
        "range",
        lambda text, i: list(range(len(text.words))) if i is None else list(text.alignment[i]),
        "the words of {0}",
        optional=1,
    )
    yield Primitive(
        "children",
        ("word",),
        "words",
        "the words it governs",
        "range",
        lambda text, w: [v for v in range(len(text.words)) if text.words[v].head == w and v != w],
        "the children of {0}",
    )
    yield Primitive(
        "ancestors", ("word",), "words", "its head, the head's head, and so on", "range", _ancestors, "the ancestors of {0}"
    )
    yield Primitive(
        "subtree", ("word",), "words", "the word and all it governs, directly or not", "range", _subtree, "the subtree of {0}"
    )

    # two positions
    yield Primitive(
        "similarity",
        ("number", "number"),
        "number",
        "cosine of the two tokens' input embeddings",
        "pair",
        lambda text, i, j: float(text.similarity[i, j]),
        "the embedding similarity of {0} and {1}",
    )
    yield _text(
        "char_similarity",
        "2 x common characters / all characters of two strings",
        char_similarity,
        "the character similarity of {0} and {1}",
        "number",
        params=("text", "text"),
    )

    # numbers
    yield _number("exp", "e to the power", lambda x, xp: xp.exp(x))
    yield _number("log", "natural logarithm", lambda x, xp: xp.log(x))
    yield _number("sqrt", "square root", lambda x, xp: xp.sqrt(x))
    yield _number("tanh", "hyperbolic tangent", lambda x, xp: xp.tanh(x))
    yield _number("sin", "sine", lambda x, xp: xp.sin(x))
    yield _number("cos", "cosine", lambda x, xp: xp.cos(x))
    yield _number("abs", "absolute value", lambda x, xp: abs(x), english="the absolute value of {0}")
    yield _number("floor", "greatest whole number below", lambda x, xp: xp.floor(x), english="{0} rounded down")
    yield _number(
        "round",
        "nearest whole number, halves to even",
        lambda x, xp: xp.round(x) if xp is not math else float(round(x)),
        english="{0} rounded",
    )
    yield Primitive(
        "min", ("number", "number"), "number", "the smallest", "number", _smallest, "the smallest of {0}", variadic=True
    )
    yield Primitive(
        "max", ("number", "number"), "number", "the greatest", "number", _greatest, "the greatest of {0}", variadic=True
    )

    # known to the evaluators
    yield Primitive(
        "weight",
        ("number", "number"),
        "number",
        "the weight so far of another cell (query, key)",
        "cell",
        _unreachable,
        "the weight of the cell ({0}, {1})",
    )
    yield Primitive("exists", ("number",), "guard", "there is such a position or word", "cell", _unreachable, "{0} exists")
    yield Primitive(
        "default",
        ("number", "number"),
        "number",
        "the first, or the second where the first is missing",
        "cell",
        _unreachable,
        "{0}, or {1} where there is none",
    )


def _smallest(*args: Any) -> Any:
    *values, xp = args
    if xp is math:
        return min(values)
    result = values[0]
    for v in values[1:]:
        result = xp.minimum(result, v)
    return result


def _greatest(*args: Any) -> Any:
    *values, xp = args
    if xp is math:
        return max(values)
    result = values[0]
    for v in values[1:]:
        result = xp.maximum(result, v)
    return result


def _unreachable(*args: Any) -> Any:
    raise AssertionError("handled by the evaluators themselves")


VOCABULARY: dict[str, Primitive] = {p.name: p for p in _entries()}

# Other spellings that the parser understands; the canonical form does not use them. {0}, {1} are the arguments.
ALIASES: dict[str, str] = {
    "head_of": "head({1}) == word({0})",
    "child_of": "head({0}) == word({1})",
    "ancestor_of": "any(_a in ancestors({1}): _a == word({0}))",
    "same_sentence": "same(sentence)",
}

SAME_FEATURES: tuple[str, ...] = tuple(
    p.name
    for p in VOCABULARY.values()
    if len(p.params) - p.optional == 1 and p.domain in ("text", "position", "word") and p.result != "words"
)
