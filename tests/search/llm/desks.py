"""A small world for the tools: two kinds of text, heads whose patterns are programs, and a desk on the first of them."""

import numpy as np

from dsl import Batch, evaluate, parse
from dsl.text import plain_text
from search.domains import Domains
from search.llm.tools.desk import Desk, Other
from search.problem import Problem
from search.validate import LiftRecord

TRUTH = "when dist == 1 add 0.6\nwhen k == 0 add 0.3\nwhen sentence_end(k) add 0.2"
OTHERS = ("when dist == 1 add 0.6\nwhen k == 0 add 0.4", "add 1", "when same(text) add 1")
STORY = ("<s>", " The", " cat", " sat", " down", ".", " The", " dog", " ran", " off", ".")
CODE = ("<s>", "def", " f", "(", "x", ")", ":", "\n", "return", " x", "\n")


def problem(texts, domains):
    batch = Batch(texts, True)
    heads = []
    for program in (TRUTH, *OTHERS):
        full = evaluate(parse(program), batch)
        heads.append(np.concatenate([full[t, : len(x), : len(x)].ravel() for t, x in enumerate(texts)]))
    return Problem(texts, True, np.stack(heads).astype(np.float32), None, Domains(tuple(domains)))


def lifted(source):
    """Stands in for the lifter: Python that says "previous" is the previous token."""
    return (
        LiftRecord("lifted", parse("when dist == 1 add 1")) if "previous" in source else LiftRecord("refused", reason="no", line=1)
    )


def desk(**changes):
    fit = problem([plain_text(STORY), plain_text(STORY[:8]), plain_text(CODE)], ["stories", "stories", "code"])
    select = problem([plain_text(STORY[:10]), plain_text(CODE[:9])], ["stories", "code"])
    values = {"name": "L0H0", "row": 0, "fit": fit, "select": select, "translate": lifted, "parsimony": 0.001, "per_layer": 4}
    values["others"] = [Other("L0H1", OTHERS[0]), Other("L0H2", OTHERS[1])]
    return Desk(**{**values, **changes})
