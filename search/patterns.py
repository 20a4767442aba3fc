"""Known attention patterns: where every search starts, and the baselines it has to beat.

The names are those of the literature on attention heads (Clark et al. 2019; Olsson et al. 2022 for induction).
"""

from __future__ import annotations

BASELINES: dict[str, str] = {
    "uniform": "add 1",
    "first token": "when k == 0 add 1",
    "self": "when dist == 0 add 1",
    "previous token": "when dist == 1 add 1\nwhen q == 0 and k == 0 add 1",
    "next token": "when dist == -1 add 1\nwhen q == n - 1 and dist == 0 add 1",
    "same token": "when same(text) add 1",
}

LIBRARY: dict[str, str] = {
    **BASELINES,
    "first token and self": "when k == 0 add 0.7\nwhen dist == 0 add 0.3",
    "previous token, else first": "when dist == 1 add 0.7\nwhen k == 0 add 0.3",
    "second to last token": "when dist == 2 add 1\nwhen q < 2 and k == 0 add 1",
    "recency": "add exp(-0.3 * abs(dist))",
    "recency, first token": "add exp(-0.3 * abs(dist))\nwhen k == 0 add 1",
    "same token before": "when same(text) and dist > 0 add 1\nwhen k == 0 add 0.1",
    "induction": "when text(k - 1) == text(q) and dist > 0 add 1\nwhen k == 0 add 0.2",
    "duplicate, else self": "when same(text) add 1\nwhen dist == 0 add 0.5",
    "punctuation": "when punctuation(k) add 1\nwhen k == 0 add 0.3",
    "last punctuation": "when k == nearest(p < q: punctuation(p)) add 1\nwhen k == 0 add 0.3",
    "line break": "when newline(k) add 1\nwhen k == 0 add 0.3",
    "word start": "when k == nearest(p <= q: word_start(p)) add 1",
    "word starts": "when word_start(k) add exp(-0.1 * abs(dist))",
    "same word": "when count(p <= q: word_start(p)) == count(p <= k: word_start(p)) add 1",
    "special tokens": "when special(k) add 1",
    "last token": "when k == n - 1 add 1",
    "neighbours": "when abs(dist) == 1 add 1",
    "similar tokens": "add exp(4 * similarity(q, k))",
    "capital letters": "when istitle(strip(k)) add 1\nwhen k == 0 add 0.2",
}
