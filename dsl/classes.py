"""Closed word classes of English and kinds of sign, told from the tokens of a text alone: no annotator is asked.

They look at decoded tokens (" the", "\\n") without the white space around them. `OF_TOKEN` are told from one token's string;
`OF_POSITION` look at the tokens around it, too. dsl/vocabulary.py makes each a primitive, dsl/python_helpers.py prints them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from dsl.text import Text


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Lower case. A word may belong to several classes: "that" and "her" do.
WORDS: dict[str, frozenset[str]] = {
    "article": _words("the a an"),
    "determiner": _words(
        "the a an this that these those my your his her its our their some any each every no another either neither both all such"
    ),
    "pronoun": _words(
        "i you he she it we they me him her us them mine yours hers ours theirs myself yourself himself herself itself ourselves "
        "themselves someone somebody something anyone anybody anything everyone everybody everything nobody nothing one oneself "
        "who whom which what that"
    ),
    "preposition": _words(
        "of in on at to from with by for into onto through over under across around along during between among after before near "
        "against about within without toward towards behind inside outside beside beyond beneath above below up down off out upon "
        "as like until since per throughout despite except via past"
    ),
    "conjunction": _words(
        "and or but so because if when while then than nor yet although though unless until since whereas whether where as that"
    ),
    "auxiliary": _words(
        "be been being am is are was were 's 're 'm have has had having 've do does did can could will would 'll 'd shall should "
        "may might must ought"
    ),
    "copula": _words("be been being am is are was were 's 're 'm become becomes became seem seems seemed"),
    "negation": _words("not no never none nor neither n't 't cannot nothing nobody nowhere without"),
    "wh_word": _words("who whom whose which what when where why how whoever whatever whichever whenever wherever"),
    "number_word": _words(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen "
        "nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion trillion dozen half third "
        "quarter first second once twice"
    ),
}
FUNCTION = ("determiner", "pronoun", "preposition", "conjunction", "auxiliary", "copula", "negation", "wh_word")
CLAUSAL = ("pronoun", "conjunction", "auxiliary", "copula", "negation", "wh_word")  # what clauses are built with
WORDS["function_word"] = frozenset().union(*(WORDS[name] for name in FUNCTION))

QUOTES = "\"“”‘’«»`'"  # what may stand around the end of a sentence, brackets and the $ of formulas too
CLOSERS = QUOTES + ")]}>$*_"
OPENING = "([{⟨"
CLOSING = ")]}⟩"
OPERATORS = "=+-*/<>%&|^~×÷−·≤≥≠≈→"
JOINING = "_-{[\\'/^($"
LEADING, TRAILING = "“‘«", "”»"  # quotes that show their side
STRAIGHT = '"`'  # quotes that do not


@dataclass(frozen=True)
class WordClass:
    """evaluate(string) for a class of a token, evaluate(text, position) for one of a position."""

    name: str
    meaning: str
    english: str
    evaluate: Callable[..., Any]
    result: Literal["guard", "number"] = "guard"


def _member(name: str) -> Callable[[str], bool]:
    words = WORDS[name]
    return lambda token: token.strip().lower() in words


def content_word(token: str) -> bool:
    word = token.strip().lower()
    return word.isalpha() and word not in WORDS["function_word"]


def breaks(token: str) -> bool:
    return "\n" in token or "\r" in token


def blank(token: str) -> bool:
    return token.strip() == "" and not breaks(token)


def symbol(token: str) -> bool:
    return token.strip() != "" and not any(c.isalnum() for c in token)


def light(token: str) -> bool:
    return blank(token) or symbol(token) or token.strip().lower() in WORDS["function_word"]


def the(token: str) -> bool:
    return token.strip() == "the"


def ends(token: str) -> bool:
    """A full stop, an exclamation or question mark, whatever closes with it, and no number."""
    mark = token.strip().rstrip(CLOSERS)
    return mark[-1:] in (".", "!", "?", "…") and not any(c.isdigit() for c in mark)


def digit(token: str) -> bool:
    return any(c.isdigit() for c in token)


def capitalised(token: str) -> bool:
    return token.strip()[:1].isupper()


def clause_mark(token: str) -> bool:
    return token.strip().rstrip(CLOSERS) in (",", ";", ":")


def operator(token: str) -> bool:
    sign = token.strip()
    return sign in ("!=", ":=") or (sign != "" and all(c in OPERATORS for c in sign))


def joining(token: str) -> bool:
    sign = token.strip()
    return sign != "" and all(c in JOINING for c in sign)


def boundary(token: str) -> bool:
    return ends(token) or clause_mark(token) or breaks(token)


def leaning(token: str) -> bool:
    """What a reader expects more after: it says little without the token that follows."""
    word = token.strip().lower()
    return blank(token) or joining(token) or opening_bracket(token) or word in WORDS["determiner"] or word in WORDS["copula"]


def clause_word(token: str) -> bool:
    word = token.strip().lower()
    return any(word in WORDS[name] for name in CLAUSAL)


def _depth(token: str) -> int:
    """Brackets opened minus brackets closed; 0 for a token with letters or digits."""
    if any(c.isalnum() for c in token):
        return 0
    return sum(c in OPENING for c in token) - sum(c in CLOSING for c in token)


def opening_bracket(token: str) -> bool:
    return _depth(token) > 0


def closing_bracket(token: str) -> bool:
    return _depth(token) < 0


def sentence_end(text: Text, i: int) -> bool:
    """Told without what follows, as a causal model has to tell it: the stop in 3.5 counts, too."""
    return ends(text.tokens[i])


def opening_quote(text: Text, i: int) -> bool:
    return _quote(text.tokens, i) == 1


def closing_quote(text: Text, i: int) -> bool:
    return _quote(text.tokens, i) == -1


def _quote(tokens: tuple[str, ...], i: int) -> int:
    """1 for an opening quote, -1 for a closing one, 0 for anything else.

    A straight quote opens after white space or an opening bracket, closes before white space or a sign; where both are so, or
    neither is, every other one opens.
    """
    token = tokens[i]
    if any(c.isalnum() for c in token):
        return 0
    if any(c in TRAILING for c in token):
        return -1
    if any(c in LEADING for c in token):
        return 1
    at = next((j for j, c in enumerate(token) if c in STRAIGHT), -1)
    if at < 0:
        return 0
    before = token[at - 1] if at else tokens[i - 1][-1:] if i else ""
    after = token.rstrip(STRAIGHT)[at + 1 :][:1] or (tokens[i + 1][:1] if i + 1 < len(tokens) else "")
    opens, closes = before.strip() == "" or before in OPENING or before == "=", not after.isalnum()
    if opens != closes:
        return 1 if opens else -1
    return 1 if sum(any(c in STRAIGHT for c in t) for t in tokens[:i]) % 2 == 0 else -1


def indentation(text: Text, i: int) -> bool:
    token = text.tokens[i]
    if breaks(token):
        return token[-1] in " \t"
    return token != "" and token.strip() == "" and (i == 0 or text.tokens[i - 1][-1:] in ("\n", "\r"))


def line_start(text: Text, i: int) -> bool:
    """The first token of a line that is more than white space."""
    if text.tokens[i].strip() == "":
        return False
    j = i - 1
    while j >= 0 and blank(text.tokens[j]):
        j -= 1
    return j < 0 or text.special[j] or breaks(text.tokens[i][:1] + text.tokens[j])


def line_end(text: Text, i: int) -> bool:
    return i + 1 < len(text) and breaks(text.tokens[i + 1]) and text.tokens[i].strip() != ""


def name_like(text: Text, i: int) -> bool:
    """Capitalised where a common word would not be: in the middle of a sentence."""
    word = text.tokens[i].strip()
    if not word[:1].isupper() or word.lower() in WORDS["function_word"] or line_start(text, i):
        return False
    j = i - 1
    while j > 0 and (text.tokens[j].strip() == "" or _quote(text.tokens, j) == 1):
        j -= 1
    return not (text.special[j] or sentence_end(text, j))


def continuation(text: Text, i: int) -> bool:
    return i > 0 and not text.word_start[i] and text.tokens[i][:1].isalpha() and text.tokens[i - 1][-1:].isalnum()


def inner(text: Text, i: int) -> bool:
    return digit(text.tokens[i]) or continuation(text, i)


def given(text: Text, i: int) -> bool:
    return content_word(text.tokens[i]) and repeated(text, i)


def first_occurrence(text: Text, i: int) -> bool:
    return text.tokens.index(text.tokens[i]) == i


def repeated(text: Text, i: int) -> bool:
    return text.tokens.index(text.tokens[i]) < i


def occurrence(text: Text, i: int) -> float:
    return float(text.tokens[: i + 1].count(text.tokens[i]))


def start(text: Text, i: int) -> bool:
    """Where attention goes that has nowhere to go: the first token, what repeats it at once, or a blank after it."""
    tokens = text.tokens
    return tokens[:i].count(tokens[i]) == i or (i == 1 and blank(tokens[1]) and not text.special[0])


def anchor(text: Text, i: int) -> bool:
    """Where a share of the attention of many heads goes besides the start."""
    tokens = text.tokens
    if start(text, i):
        return False
    if blank(tokens[i]):
        return not any(map(blank, tokens[:i]))
    return i > 0 and the(tokens[i]) and tokens[i - 1].strip().lower() in WORDS["preposition"]


def _first(holds: Callable[[str], bool]) -> Callable[[Text, int], bool]:
    """The first token beside the start for which a class holds: another place where attention rests."""

    def first(text: Text, i: int) -> bool:
        return (
            holds(text.tokens[i]) and not start(text, i) and not any(holds(text.tokens[j]) and not start(text, j) for j in range(i))
        )

    return first


def _listed(name: str, meaning: str) -> WordClass:
    return WordClass(name, meaning, f"{{0}} is {meaning}", _member(name))


OF_TOKEN: tuple[WordClass, ...] = (
    _listed("article", "an article: the, a, an"),
    _listed("determiner", "a determiner"),
    _listed("pronoun", "a pronoun"),
    _listed("preposition", "a preposition"),
    _listed("conjunction", "a conjunction"),
    _listed("auxiliary", "an auxiliary verb"),
    _listed("copula", "a form of be, become or seem"),
    _listed("negation", "a negation"),
    _listed("wh_word", "a wh-word"),
    _listed("number_word", "a number word"),
    _listed("function_word", "a function word"),
    WordClass("content_word", "letters, and no function word", "{0} is a content word", content_word),
    WordClass("light", "a function word, a sign or blank", "{0} is light", light),
    WordClass("clause_mark", "a comma, semicolon or colon", "{0} is a clause mark", clause_mark),
    WordClass("opening_bracket", "an opening bracket", "{0} is an opening bracket", opening_bracket),
    WordClass("closing_bracket", "a closing bracket", "{0} is a closing bracket", closing_bracket),
    WordClass("operator", "an operator such as + = < ==", "{0} is an operator", operator),
    WordClass("joining", "a sign that binds what follows, such as _ - ( [ / $", "{0} is a joining sign", joining),
    WordClass("symbol", "neither letters nor digits", "{0} is a sign", symbol),
    WordClass("digit", "holds a digit", "{0} holds a digit", digit),
    WordClass("blank", "white space without a line break", "{0} is blank", blank),
    WordClass("boundary", "ends a sentence, a clause or a line", "{0} is a boundary", boundary),
    WordClass(
        "leaning",
        "leans on what follows: determiner, copula, opening bracket, joining sign, blank",
        "{0} leans on what follows",
        leaning,
    ),
    WordClass(
        "clause_word", "a function word that is neither determiner nor preposition alone", "{0} is a clause_word word", clause_word
    ),
    WordClass("capitalised", "begins with a capital", "{0} is capitalised", capitalised),
)

OF_POSITION: tuple[WordClass, ...] = (
    WordClass("sentence_end", "a mark that ends a sentence", "{0} is the end of a sentence", sentence_end),
    WordClass("opening_quote", "an opening quote", "{0} is an opening quote", opening_quote),
    WordClass("closing_quote", "a closing quote", "{0} is a closing quote", closing_quote),
    WordClass("indentation", "white space that indents a line", "{0} is an indentation", indentation),
    WordClass("line_start", "the first token of a line", "{0} is the start of a line", line_start),
    WordClass("line_end", "the last token of a line", "{0} is the end of a line", line_end),
    WordClass("name_like", "capitalised within a sentence", "{0} is like a name", name_like),
    WordClass("continuation", "letters that continue a word", "{0} is the continuation of a word", continuation),
    WordClass("inner", "continues a word, or holds a digit", "{0} is within a word or number", inner),
    WordClass("given", "a repeated content word", "{0} is a content word met before", given),
    WordClass("first_occurrence", "no earlier token has its text", "{0} is the first of its kind", first_occurrence),
    WordClass("repeated", "an earlier token has its text", "{0} is a repetition", repeated),
    WordClass("occurrence", "how often its text has occurred, itself included", "the count so far of {0}", occurrence, "number"),
    WordClass("start", "the first token and what repeats it at once", "{0} is the start", start),
    WordClass("anchor", "the first blank, or “the” after a preposition", "{0} is an anchor", anchor),
    WordClass("first_the", "the first “the”", "{0} is the first “the”", _first(the)),
    WordClass("first_sign", "the first sign", "{0} is the first sign", _first(symbol)),
    WordClass("first_stop", "the first end of a sentence", "{0} is the first end of a sentence", _first(ends)),
    WordClass("first_comma", "the first comma, semicolon or colon", "{0} is the first clause mark", _first(clause_mark)),
    WordClass("first_break", "the first line break", "{0} is the first line break", _first(breaks)),
)

NAMES = frozenset(c.name for c in (*OF_TOKEN, *OF_POSITION))
