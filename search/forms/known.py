# ruff: noqa: E501  (a table, a form in each line)
"""Known forms of attention heads: short programs in the words of the language, with which every head is tried first, fitted.

Names and kinds follow the literature: sinks (Xiao et al. 2023), previous-token, duplicate-token and induction heads (Elhage et al.
2021; Olsson et al. 2022), delimiters and broad heads (Clark et al. 2019), name movers (Wang et al. 2022). {d} is the distance.
"""

from __future__ import annotations

from dataclasses import dataclass

from dsl import parse
from dsl.nodes import Program


@dataclass(frozen=True)
class Form:
    """A known form: its name, what it says, its program, and whether it is one of models that also look ahead."""

    name: str
    sentence: str
    text: str
    ahead: bool = False

    def program(self, causal: bool) -> Program:
        return parse(self.text.replace("{d}", "dist" if causal else "abs(dist)"))


_SINK = "\nwhen start(k) add 1"
FORMS: tuple[Form, ...] = (
    Form("uniform", "Looks at everything alike.", "add 1"),
    Form("sink", "Rests on the start of the text, and looks at everything else alike.", "add 0.02" + _SINK),
    Form("decay", "The nearer, the more.", "add 0.9 ** {d}"),
    Form("power decay", "The nearer, the more, with a long tail.", "add ({d} + 1) ** -1"),
    Form("sink and decay", "Rests on the start; of the rest, the nearer, the more.", "add 0.9 ** {d}" + _SINK),
    Form("sink and power decay", "Rests on the start; looks back with a long tail.", "add ({d} + 1) ** -1" + _SINK),
    Form("sink and steep decay", "Rests on the start; looks at the last few tokens.", "add ({d} + 1) ** -3" + _SINK),
    Form("sink by share", "Gives the start a fixed share of every row.", "add 0.95 ** {d}\nwhen start(k) share 0.6"),
    Form("sink but for sentence ends", "Rests on the start unless a sentence ends.", "add 0.95 ** {d}\nwhen start(k) share 0.3 if sentence_end(q) else 0.7"),
    Form("sink of content words", "Content words rest on the start more than others.", "add 0.95 ** {d}\nwhen start(k) share 0.7 if content_word(q) else 0.4"),
    Form("sink of light words", "Function words and signs rest on the start.", "add 0.95 ** {d}\nwhen start(k) add 3 if light(q) else 1"),
    Form("sinks", "Rests on the start and on other anchors of the text.", "add 0.02" + _SINK + "\nwhen anchor(k) add 1"),
    Form("self", "Looks at itself.", "add 0.01\nwhen dist == 0 add 1" + _SINK),
    Form("previous token", "Looks at the token before.", "add 0.01\nwhen dist == 1 add 1" + _SINK),
    Form("two back", "Looks two tokens back.", "add 0.01\nwhen dist == 2 add 1" + _SINK),
    Form("last few", "Looks at the last few tokens.", "add 0.01\nwhen {d} <= 4 add 1" + _SINK),
    Form("previous token of a word", "Pieces of a word look at the piece before.", "add 0.01\nwhen continuation(q) and dist == 1 add 1" + _SINK),
    Form("previous token of light words", "Function words and signs look at the token before.", "add 0.9 ** {d}\nwhen light(q) and dist == 1 add 1" + _SINK),
    Form("current word", "Looks at the pieces of the current word.", "add 0.01\nwhen not any(p in min(q, k) + 1..max(q, k): word_start(p)) add 1" + _SINK),
    Form("duplicate token", "Looks at earlier occurrences of the token.", "add 0.01\nwhen same(text) and dist > 0 add 1" + _SINK),
    Form("same token", "Looks at itself and its other occurrences.", "add 0.01\nwhen same(text) add 1" + _SINK),
    Form("last occurrence", "Looks at the last occurrence of the token.", "add 0.01\nwhen k == nearest(p < q: text(p) == text(q)) add 1" + _SINK),
    Form("induction", "Looks at what followed the token before.", "add 0.01\nwhen text(k - 1) == text(q) add 1" + _SINK),
    Form("bigram induction", "Looks at what followed the last two tokens before.", "add 0.01\nwhen text(k - 1) == text(q) and text(k - 2) == text(q - 1) add 1" + _SINK),
    Form("fuzzy induction", "Looks at what followed similar tokens.", "add 0.01\nwhen similarity(q, k - 1) > 0.5 add 1" + _SINK),
    Form("similar tokens", "Looks at tokens with similar embeddings.", "add 50 ** similarity(q, k)" + _SINK),
    Form("current sentence", "Looks at the current sentence.", "add 0.01\nwhen not any(p in min(q, k)..max(q, k) - 1: sentence_end(p)) add 1" + _SINK),
    Form("previous sentence", "Looks at the sentence before.", "add 0.01\nwhen count(p in min(q, k)..max(q, k) - 1: sentence_end(p)) == 1 add 1" + _SINK),
    Form("sentence ends", "Looks at the ends of sentences.", "add 0.02\nwhen sentence_end(k) add 1" + _SINK),
    Form("last sentence end", "Looks at the end of the sentence before.", "add 0.01\nwhen k == nearest(p < q: sentence_end(p)) add 1" + _SINK),
    Form("first delimiter", "Looks at the first end of a sentence.", "add 0.01\nwhen k == first(p <= q: sentence_end(p)) add 1" + _SINK),
    Form("clause marks", "Looks at commas and the like.", "add 0.02\nwhen clause_mark(k) add 1" + _SINK),
    Form("last clause mark", "Looks at the last comma or the like.", "add 0.01\nwhen k == nearest(p < q: clause_mark(p)) add 1" + _SINK),
    Form("signs", "Looks at signs: neither letters nor digits.", "add 0.02\nwhen symbol(k) add 1" + _SINK),
    Form("line breaks", "Looks at line breaks.", "add 0.02\nwhen newline(k) add 1" + _SINK),
    Form("last line break", "Looks at the last line break.", "add 0.01\nwhen k == nearest(p < q: newline(p)) add 1" + _SINK),
    Form("current line", "Looks at the current line.", "add 0.01\nwhen not any(p in min(q, k)..max(q, k) - 1: newline(p)) add 1" + _SINK),
    Form("line starts", "Looks at the first tokens of lines.", "add 0.02\nwhen line_start(k) add 1" + _SINK),
    Form("indentation", "Looks at the indentation of lines.", "add 0.02\nwhen indentation(k) add 1" + _SINK),
    Form("last open bracket", "Looks at the last opening bracket.", "add 0.01\nwhen k == nearest(p < q: opening_bracket(p)) add 1" + _SINK),
    Form("bracket match", "A closing bracket looks at the last opening one.", "add 0.02\nwhen closing_bracket(q) and k == nearest(p < q: opening_bracket(p)) add 1" + _SINK),
    Form("operators", "Looks at operators.", "add 0.02\nwhen operator(k) add 1" + _SINK),
    Form("digits", "Digits look at digits.", "add 0.02\nwhen digit(q) and digit(k) add 1" + _SINK),
    Form("names", "Looks at names.", "add 0.02\nwhen name_like(k) add 1" + _SINK),
    Form("name mover", "Light words look at names.", "add 0.02\nwhen light(q) and name_like(k) add 1" + _SINK),
    Form("content words", "Looks at content words.", "add 0.02\nwhen content_word(k) add 1" + _SINK),
    Form("local content words", "Looks at content words nearby.", "add 0.9 ** {d}\nwhen content_word(k) scale 3" + _SINK),
    Form("content to content", "Content words look at content words.", "add 0.02\nwhen content_word(q) and content_word(k) add 0.1" + _SINK),
    Form("function words", "Looks at function words.", "add 0.02\nwhen function_word(k) add 1" + _SINK),
    Form("last content word", "Looks at the last content word.", "add 0.01\nwhen k == nearest(p < q: content_word(p)) add 1" + _SINK),
    Form("last preposition", "Looks at the last preposition.", "add 0.01\nwhen k == nearest(p < q: preposition(p)) add 1" + _SINK),
    Form("first occurrences", "Looks at tokens where they occur first.", "add 0.02\nwhen first_occurrence(k) add 1" + _SINK),
    Form("word starts", "Looks at the first pieces of words.", "add 0.9 ** {d}\nwhen word_start(k) scale 3" + _SINK),
    Form("special tokens", "Looks at special tokens.", "add 0.01\nwhen special(k) add 1"),
    Form("next token", "Looks at the token after.", "add 0.01\nwhen dist == -1 add 1" + _SINK, ahead=True),
    Form("neighbours", "Looks at the tokens on both sides.", "add 0.01\nwhen abs(dist) == 1 add 1" + _SINK, ahead=True),
    Form("last token", "Looks at the end of the text.", "add 0.01\nwhen k == n - 1 add 1" + _SINK, ahead=True),
)  # fmt: skip


def forms(causal: bool) -> tuple[Form, ...]:
    """Those that a model can have: one that does not look ahead has none of the last."""
    return tuple(f for f in FORMS if not (causal and f.ahead))
