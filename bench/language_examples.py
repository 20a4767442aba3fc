"""What docs/language.md shows: example texts, examples for words that need more than `word(k)`, edges, and heads."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dsl.text import Text, Word, plain_text

STORY = plain_text(
    [
        "<s>",
        " Mia",
        " and",
        " Ben",
        " saw",
        " the",
        " old",
        " gard",
        "ener",
        "'s",
        " three",
        " dogs",
        " (",
        "and",
        " 2",
        " cats",
        ")",
        " in",
        " the",
        " snow",
        ".",
        "\n",
        ' "',
        "Where",
        " is",
        " he",
        '?"',
        " asked",
        " Mia",
        ",",
        " but",
        " Ben",
        " did",
        " not",
        " know",
        ".",
    ]
)
CODE = plain_text(
    [
        "def",
        " add",
        "_",
        "one",
        "(",
        "x",
        "):",
        "\n",
        "   ",
        " return",
        " x",
        " +",
        " 3",
        ".",
        "5",
        "\n",
        "\n",
        "add",
        "_",
        "one",
        "(",
        "x",
        ")",
    ]
)


def _annotated() -> Text:
    """ "Mia saw the old dogs ." with what a dependency parser says of it; the token <s> has no word, " dogs" is two tokens."""
    rows = (  # text, character, lemma, part of speech, tag, relation, governor, entity, shape, stop word
        ("Mia", 1, "Mia", "PROPN", "NNP", "nsubj", 1, "PERSON", "Xxx", False),
        ("saw", 5, "see", "VERB", "VBD", "ROOT", 1, "", "xxx", False),
        ("the", 9, "the", "DET", "DT", "det", 4, "", "xxx", True),
        ("two", 13, "two", "NUM", "CD", "nummod", 4, "CARDINAL", "xxx", False),
        ("dogs", 17, "dog", "NOUN", "NNS", "dobj", 1, "", "xxxx", False),
        (".", 21, ".", "PUNCT", ".", "punct", 1, "", ".", False),
    )
    words = tuple(
        Word(
            text=text,
            idx=at,
            lemma=lemma,
            pos=pos,
            tag=tag,
            dep=dep,
            head=head,
            ent_type=entity,
            morph="Number=Plur" if tag == "NNS" else "",
            shape=shape,
            is_sent_start=at == 1,
            is_stop=stop,
            is_punct=pos == "PUNCT",
            like_num=pos == "NUM",
        )
        for text, at, lemma, pos, tag, dep, head, entity, shape, stop in rows
    )
    text = plain_text(["<s>", " Mia", " saw", " the", " two", " dog", "s", "."])
    return replace(text, words=words, alignment=((), (0,), (1,), (2,), (3,), (4,), (4,), (5,)), annotated=True)


WORDS = _annotated()

# word -> an expression of k, or of q and k, whose query is then the last token
EXAMPLES: dict[str, str] = {
    "text": "text(k)",
    "decode": "decode(k)",
    "word": "word(k)",
    "strip": 'strip(k, " .s")',
    "replace": 'replace(k, "a", "o")',
    "slice": "slice(k, 0, 2)",
    "occurrences": 'occurrences(k, "e")',
    "startswith": 'startswith(k, " a", " t")',
    "endswith": 'endswith(k, "s", "d")',
    "contains": 'contains(k, "ar", "?")',
    "nth_word": "nth_word(k)",
    "first_token": "k == first_token(k)",
    "last_token": "k == last_token(k)",
    "words": "any(w in words(k): like_num(w))",
    "children": "count(w in children(k): true)",
    "ancestors": "count(w in ancestors(k): true)",
    "subtree": 'any(w in subtree(k): pos(w) == "NUM")',
    "similarity": "similarity(q - 1, k)",
    "char_similarity": 'char_similarity(k, " cart")',
    "exp": "exp(-dist)",
    "log": "log(k)",
    "weight": "weight(q, k)",
    "exists": "exists(k - 1)",
    "default": "default(nearest(p < k: sentence_end(p)), 0)",
    "min": "min(k, 2)",
    "max": "max(k, 2)",
    "head": "head(k)",
}

# the first program of the page
STEPS = """\
add 1
when dist == 1 scale 4
when start(k) share 0.5
"""

# word, meaning, program
STATEMENTS: tuple[tuple[str, str, str], ...] = (
    ("add", "adds to the weight of the cells where the guard holds", "add 1 when dist == 1 add 2"),
    ("set", "puts a weight in place of what is there", "add 1 when k == 0 set 3"),
    ("scale", "multiplies the weight", "add 1 when k == 0 scale 3"),
    ("max", "raises the weight to this, if it is lower", "add 1 when dist <= 1 max 2"),
    ("min", "lowers the weight to this, if it is higher", "add k when dist <= 1 min 1"),
    ("share", "gives the cells this part of the row, the others the rest", "add 1 when k == 0 share 0.7"),
    ("normalize", "divides each weight by the sum of its row", "add 1 normalize when k == 0 add 1"),
    ("when", "before a rule: the cells on which it acts; alone it begins a block of rules", "when dist <= 1 add 1"),
    ("else", "after a block: the cells on which its guard does not hold", "when k < 2 { add 1 } else { add 2 }"),
    ("let", "a name for a number, a guard or a position in what follows", "let last = q - 1 when k == last add 1"),
    ("concept", "a name for a guard of one or two positions, defined once, on top", "concept here(p) = p == 1 when here(k) add 1"),
)

# word, meaning, expression
SYNTAX: tuple[tuple[str, str, str], ...] = (
    ("q", "the query's position: the token that looks", "q"),
    ("k", "the key's position: the token that is looked at", "k"),
    ("n", "the number of tokens", "n"),
    ("dist", "`q - k`: how far back the key is", "dist"),
    ("+", "sum; `-` difference, `*` product, `/` quotient", "2 * k + 1"),
    ("//", "quotient without its rest, rounded down; `%` the rest; as in Python", "k // 2"),
    ("**", "power", "0.5 ** dist"),
    ("==", "equal; `!=` unequal; `<` `<=` `>` `>=`; may be chained: `1 < k < 4`", "k == 0 or 1 < k < 4"),
    ("in", "one of the listed texts or numbers", 'text(k) in {" the", "."}'),
    ("..", "from one position to another, both included", "k in 2..4"),
    ("not", "the opposite; also `not in`", 'word_start(k) and text(k) not in {" the", " Mia", " Ben"}'),
    ("and", "both", "word_start(k) and symbol(k)"),
    ("or", "one of them or both", "k == 0 or capitalised(k)"),
    ("if", "`a if guard else b`: a number by cases", "2 if capitalised(k) else 1"),
    ("true", "always; `false` never", "true"),
    ("false", "never", "false"),
    ("first", "the first position of a range for which the guard holds", "k == first(p: capitalised(p))"),
    ("last", "the last one; `nearest` is another word for it", "k == last(p < q: capitalised(p))"),
    ("nearest", "the last one before the query, as it is mostly used", "k == nearest(p < q: capitalised(p))"),
    ("count", "for how many positions of a range the guard holds", "count(p <= k: capitalised(p))"),
    ("any", "whether it holds for one of them", "any(p < k: newline(p))"),
    ("all", "whether it holds for all of them", "all(p < k: not newline(p))"),
    ("sum", "the sum of a number over a range", "sum(p <= k: length(p))"),
    ("min", "the smallest number over a range, or of several", "min(p <= k: length(p))"),
    ("max", "the greatest", "max(p <= k: length(p))"),
    ("same", "`same(f)`: the query and the key are alike in feature f: `same(text)`, `same(lower)`", "same(lower)"),
    ("same_sentence", "the query and the key stand in one annotated sentence", "same_sentence()"),
    ("head_of", "the first's word governs the second's", "head_of(2, k)"),
    ("child_of", "the second's word governs the first's", "child_of(4, k)"),
    ("ancestor_of", "the first's word governs the second's, directly or not", "ancestor_of(2, k)"),
)


@dataclass(frozen=True)
class Edge:
    """A question about an expression, at a query and a key of one text."""

    question: str
    written: str
    k: int = 0
    q: int = 4
    text: Text = STORY


EDGES: tuple[Edge, ...] = (
    # a position outside the text
    Edge("What is the text before the first token?", "text(k - 1)"),
    Edge("And a number of it, such as its length?", "length(k - 1)"),
    Edge("Is it equal to a text?", 'text(k - 1) == "a"'),
    Edge("Is it unequal to one? A comparison with something missing is false, whichever way it asks", 'text(k - 1) != "a"'),
    Edge("Is it in a list?", 'text(k - 1) in {"a"}'),
    Edge("Is `not in` true there? `not` turns the false one round", 'text(k - 1) not in {"a"}'),
    Edge("And `not` before a comparison?", 'not text(k - 1) == "a"'),
    Edge("Is a guard of it true?", "capitalised(k - 1)"),
    Edge("And its opposite?", "not capitalised(k - 1)"),
    Edge("How does one say “there is a token before”?", "exists(k - 1)"),
    Edge("And what is a position that is no whole number?", "text(k / 2)", 1),
    Edge("And one beyond the end?", "text(k + n)"),
    Edge("What is `k - 1` itself at the first token?", "k - 1"),
    Edge("Are two missing texts the same?", "text(q - 9) == text(k - 9)"),
    # strings
    Edge("Does length count the leading space?", "length(k)", 1),
    Edge("And without it?", "length(strip(k))", 1),
    Edge("Is “ Mia” all letters? The space is none", "isalpha(k)", 1),
    Edge("Does it start with M?", 'startswith(k, "M")', 1),
    Edge("Is it capitalised? Word classes look past the space", "capitalised(k)", 1),
    Edge("Is it equal to the text without a space?", 'text(k) == "Mia"', 1),
    Edge("What is the first character?", "slice(k, 0, 1)", 1),
    Edge("Does “.” equal “ .”?", 'text(k) == " ."', 20),
    Edge("Are lower and upper case the same text?", 'text(k) == " mia"', 1),
    Edge("And in lower case?", 'lower(k) == " mia"', 1),
    Edge("How often does “nn” occur in “nnn”? They do not overlap", 'occurrences("nnn", "nn")'),
    Edge("Does every text contain the empty one?", 'contains(k, "")', 1),
    Edge("Is the special token `<s>` a sign? Special tokens are read as they are spelt", "symbol(k)"),
    Edge("Does it begin a word?", "word_start(k)"),
    Edge("Is the rest of a word the start of one?", "word_start(k)", 8),
    Edge("Does “the” count with capitals for its class?", 'determiner("The")'),
    # numbers
    Edge("What is a quotient by zero?", "1 / k"),
    Edge("What is the logarithm of zero?", "log(k)"),
    Edge("The root of a negative number?", "sqrt(k - 1)"),
    Edge("A number too large?", "exp(10000)"),
    Edge("How does `//` round below zero?", "-7 // 2"),
    Edge("And what is the rest?", "-7 % 3"),
    Edge("What is 0 ** 0?", "0 ** k"),
    Edge("What does min make of something missing?", "min(1, 1 / k)"),
    Edge("How does one put a number in its place?", "default(1 / k, 0)"),
    Edge("What is `a if g else b` where g asks for something missing? g is false, so b", "1 if length(k - 1) > 0 else 2"),
    Edge("Is `dist` negative for keys that come later? The model masks them, if it is causal", "dist", 6, 4),
    # ranges
    Edge("What is the nearest of none?", "nearest(p < q: newline(p))"),
    Edge("Is a key equal to it?", "k == nearest(p < q: newline(p))"),
    Edge("Is it unequal to it?", "k != nearest(p < q: newline(p))"),
    Edge("Does `nearest` find the query itself, if the range says `p <= q`?", "nearest(p <= q: word_start(p))"),
    Edge("How many are there in an empty range?", "count(p < q: true)", 0, 0),
    Edge("Is something true for any of none?", "any(p < q: true)", 0, 0),
    Edge("And for all of none?", "all(p < q: false)", 0, 0),
    Edge("What is the sum of none?", "sum(p < q: 1)", 0, 0),
    Edge("And the smallest of none?", "min(p < q: p)", 0, 0),
    Edge("Is a range from high to low empty?", "count(p in 3..1: true)"),
    Edge("Does a range end with the text?", "count(p in 2..1000: true)"),
    Edge("Are both ends of `a..b` in it?", "count(p in 1..3: true)"),
    Edge("Does a range without bounds see what comes after the query?", "count(p: true)"),
    # what a token is
    Edge("Is the first token a repetition?", "repeated(k)"),
    Edge("Does `repeated` look at the exact text? “ Mia” stands twice", "repeated(k)", 28),
    Edge("Is the first token the start?", "start(k)"),
    Edge("And the next one?", "start(k)", 1),
    Edge("Is the stop in a number the end of a sentence? It is told without what follows", "sentence_end(k)", 13, text=CODE),
    Edge("How similar is a token to itself?", "similarity(k, k)", 3),
    # annotated words
    Edge("What is the part of speech where no word is? `<s>` has none", "pos(k)", 0, 0, WORDS),
    Edge("And is it unequal to one?", 'pos(k) != "NOUN"', 0, 0, WORDS),
    Edge("Which word has a token within a word? The same as its first token", "word(k)", 6, 0, WORDS),
    Edge("What governs the root of a sentence? Itself", "head(k)", 2, 0, WORDS),
    Edge("What is the part of speech without an annotator?", "pos(k)", 1),
)

# question, program
WEIGHTS: tuple[tuple[str, str], ...] = (
    ("What does the empty program give? A row of zeros; in a replaced head it becomes attention to the first token", ""),
    ("Are weights below zero kept? At the end they count 0", "add 1 when k == 0 add -3"),
    ("But not before the end: a later rule still sees them", "add -1 when k == 0 add 3"),
    ("Can `scale` bring to life what is 0?", "when k == 0 scale 100"),
    ("Does the order of rules count?", "when k == 0 scale 3 add 1"),
    ("The other order", "add 1 when k == 0 scale 3"),
    ("What does a rule with a missing value do? Nothing, on that cell", "add 1 add 1 / k"),
    ("Does the unit of weights count? Rows are divided by their sums", "add 100"),
    ("Does `normalize` count, then? Where something is added later", "add 100 normalize when k == 0 add 1"),
    ("What does `share` divide where nothing is yet? An even row", "when k == 0 share 0.4"),
    ("And where there is something? Each group keeps its proportions", "add k when k < 2 share 0.5"),
    ("What if the share is above 1? It counts 1", "when k == 0 share 7"),
    ("What if its guard holds nowhere? The row stays as it is", "add 1 when k == 9 share 0.5"),
    ("Or everywhere? The same", "add 1 share 0.5"),
    ("Does the sum of the row say what has been given so far?", "add 1 when row == 4 and k == 0 add 4"),
    ("And the weight of the cell", "add k when weight > 1 set 1"),
)


@dataclass(frozen=True)
class WorkedHead:
    """A program, what to see in it, and the queries from which it is looked at."""

    title: str
    program: str
    told: str
    queries: tuple[int, ...]
    text: Text = STORY


HEADS: tuple[WorkedHead, ...] = (
    WorkedHead(
        "The previous token, else the start",
        "when dist == 1 add 9\nwhen start(k) add 1",
        "The commonest pair. Nine parts of ten go to the previous token, one to the start, where heads put what they do"
        " not need. At the second token the two are one and the same, at the first nothing but the start is left: rows "
        "are divided by their sums, so that no rule has to say so.",
        (0, 1, 8),
    ),
    WorkedHead(
        "Recency with a sink",
        "add 0.74 ** dist\nwhen start(k) share 0.65\nwhen symbol(k) scale 1.8",
        "Weights fall by a quarter with each token back. `share` then gives the start 65% of whatever the row holds and"
        " leaves the rest in its proportions; the last rule raises signs in that mixture, so that the start ends a "
        "little below 65% where signs are near.",
        (11, 20),
    ),
    WorkedHead(
        "Induction",
        "add 0.01\nwhen text(k - 1) == text(q) and dist > 0 add 1",
        "A key whose previous token is the query's token: what came after it the last time. From the second “ Mia” the "
        "program looks at “ and”, which came after the first. Everywhere else no key matches, and the even 0.01 is all "
        "there is. At k = 0 there is no token before: the comparison is false, and nothing has to be said about it.",
        (28, 31, 4),
    ),
    WorkedHead(
        "The last end of a clause, by the kind of query",
        "concept clause_end(p) = clause_mark(p) or sentence_end(p)\n"
        "when k == nearest(p <= q: clause_end(p)) add 3 if content_word(q) else 1\nwhen start(k) add 1\nwhen dist == 0 "
        "add 0.5",
        "A number by cases: words of content look at the last comma or stop three times as strongly as others. Before "
        "the first one `nearest` is missing, the comparison false, and the start takes its place.",
        (4, 27, 34, 32),
    ),
    WorkedHead(
        "Code: the line and the bracket",
        "when k == last(p <= q: line_start(p)) add 1\nwhen k == last(p < q: opening_bracket(p)) add 1\nwhen "
        "line_start(k) add 0.2\nwhen same(text) and dist > 0 scale 4",
        "The start of the line, the bracket that was opened last, a little for the starts of all lines. A token that "
        "has been there before is looked at four times as strongly, where the program gave it a weight at all: `scale` "
        "brings nothing to life, and so the first “ x” of the code gets none.",
        (10, 17, 21),
        CODE,
    ),
)
