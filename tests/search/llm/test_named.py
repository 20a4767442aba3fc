"""What language models said is said by the search: concepts they defined, lists that refused programs named."""

import pytest

from dsl import parse_expression
from search.forms import workplace
from search.llm.named import conditions
from tests.search.campaigns import begun

REFUSED = """
def program(sentence, tokenizer):
    for i, t in enumerate(tokens):
        if t.strip("Ġ") in ("of", 'in', "Ġon") and np.random.rand() > 0.5:
            A[i, 0] = 1
        elif t in {"the", "The"} or i in [1, 2] or t in names:
            A[i, i - 1] = 1
"""


def test_lists_of_tokens_become_conditions():
    found = conditions(REFUSED)
    assert found == ['lower(strip({})) in {"in", "of", "on"}', 'lower(strip({})) in {"the"}']
    assert all(parse_expression(c.replace("{}", "k")) for c in found)


@pytest.mark.parametrize(
    "source", ["", "x in y", "t in (", 'in ("a\\\\", "b")', "t in (" + ", ".join(f'"{i}"' for i in range(99)) + ")"]
)
def test_what_names_no_list_gives_none(source):
    assert conditions(source) == []


def test_the_search_has_the_words_of_the_model_for_the_heads_they_were_said_of(tmp_path):
    folder = begun(tmp_path / "run")
    path = str(folder.path)
    before = workplace.candidates(path)
    assert workplace.informed(path, (0,), None) is before
    workplace.informed.cache_clear()
    words = sorted({t.strip().lower() for t in folder.texts("fit")[0].tokens if t.strip().isalpha()})[:2]
    source = f"if t in ({words[0]!r}, {words[1]!r}): random()"
    said = {"head": [0, 0], "source": source, "program": None}
    concept = f'concept spoken(p) = lower(strip(p)) == "{words[0]}"'
    folder.write("rounds/0.json", {"heads": [0], "proposals": [said], "state": {"concepts": {"spoken": concept}}})
    with_list, without = workplace.informed(path, (0,), None), workplace.informed(path, (1,), None)
    new = [str(g) for g in with_list.query[len(before.query) :]]
    assert new == ["spoken(q)", *(c.replace("{}", "q") for c in conditions(source))]
    assert [str(g) for g in without.key[len(before.key) :]] == ["spoken(k)"]
