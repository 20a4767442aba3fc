"""What the tools say against what a slow count finds."""

import re

import numpy as np
import pytest
from desks import TRUTH, desk

from dsl import parse, parse_concepts, size
from search.llm.ceiling import ceiling
from search.llm.tools.concepts import at_hand
from search.llm.tools.desk import Tried, number, row_iou
from search.llm.tools.queries import CLASSES, OTHER, classes
from search.llm.tools.table import TOOLS, run, schemas
from search.llm.tools.trying import measured
from search.problem import Problem
from search.scoring import score

PREVIOUS = "when dist == 1 add 1"


def tried(*programs):
    return run(desk(), "try", {"programs": list(programs)})


def test_try_scores_as_the_search_does():
    after, text = tried(PREVIOUS)
    (one,) = after.tried
    fit = score([one.program], after.fit, [0])[0, 0]
    select = score([one.program], after.select, [0])[0, 0]
    assert one.fit == pytest.approx(after.fit.mean(fit)) and one.select == pytest.approx(after.select.mean(select))
    assert one.merit == pytest.approx(one.select - 0.001 * size(one.program))
    means = after.fit.domains.means(fit)
    assert f"stories {means['stories']:.2f}".replace("0.", ".") in text and f"code {means['code']:.2f}".replace("0.", ".") in text


def test_the_true_program_is_found_whatever_its_constants():
    after, _ = tried(TRUTH.replace("0.6", "0.2").replace("0.3", "0.9"))
    assert after.tried[0].fit > 0.97


def test_what_each_rule_adds_is_measured_without_it():
    after, text = tried(TRUTH + "\nwhen k == 1 and q == 3 add 0.0001")
    rules = after.tried[0].program.rules()
    gains = dict(re.findall(r"(\d) (-?[.\d]+)", text.split("refitted: ")[1].split("\n")[0]))
    assert len(gains) == len(rules)
    previous = next(i for i, r in enumerate(rules, 1) if "dist" in str(r))
    assert float(gains[str(previous)]) == max(map(float, gains.values()))
    assert "(not worth its size)" in text


def test_concepts_are_kept_and_programs_use_them_by_name():
    after, text = run(desk(), "concepts", {"define": "concept stop(p) = sentence_end(p) or newline(p)"})
    holds = [t in (".", "\n") for x in after.fit.texts_given for t in x.tokens]
    assert f'"." {sum(t == "." for t in after.tokens)}' in text and sum(holds) == sum(t in (".", "\n") for t in after.tokens)
    after, text = run(after, "try", {"programs": ["when stop(k) add 1\nadd 0.1", "```pattern\nwhen stop(k) add 1\n```"]})
    assert [t.problem for t in after.tried] == [None, None] and "when stop(k)" in text
    assert parse(str(after.tried[0].program)) == after.tried[0].program  # the definition goes with it
    after, text = run(after, "concepts", {})
    assert "used by #1, #2" in text
    after, text = run(after, "concepts", {"define": "concept stop(p) = newline(p)\nconcept wide(p) = stop(p) or clause_mark(p)"})
    assert set(after.concepts) == {"stop", "wide"} and "sentence_end" not in str(after.concepts["stop"])
    assert set(run(after, "concepts", {"forget": "wide"})[0].concepts) == {"stop"}


def test_concepts_of_several_conversations_are_joined():
    given = parse_concepts("concept stop(p) = newline(p)")
    defined = {
        "stop": "concept stop(p) = sentence_end(p)",
        "wide": "concept wide(p) = stop(p) or digit(p)",
        "bad": "concept bad(p) = gone(p)",
    }
    found = at_hand(given, defined)
    assert list(found) == ["stop", "wide"] and "sentence_end" in str(found["stop"])
    assert at_hand({}, {}) == {}


def test_a_rule_that_holds_nowhere_is_named():
    _, text = tried("when dist == 1 add 1\nwhen k == 0 add 0.3\nwhen copula(k) add 1")
    assert text.count("holds nowhere") == 1


def test_problems_have_their_line_and_leave_the_others_alone():
    after, text = tried("when dist == 1 add 1\nwhne k == 0 add 1", PREVIOUS)
    assert [t.problem is None for t in after.tried] == [False, True]
    assert "line 2 (`whne k == 0 add 1`)" in text and "did you mean 'when'" in text
    assert "did you mean 'when'" in tried("whne k == 0 add 1")[1]
    after, text = tried("def program(sentence, tokenizer):\n    return 'previous', 1\n", "def program(a, b):\n    return 'x', 1\n")
    assert [t.status for t in after.tried] == [
        "lifted",
        "refused",
    ] and "line 1 (`def program(a, b):`): cannot be put into the language: no" in text


def test_tools_change_nothing_on_the_desk():
    before = desk()
    first = run(before, "try", {"programs": [PREVIOUS]})[1]
    assert before.tried == () and run(before, "try", {"programs": [PREVIOUS]})[1] == first


def test_rows_are_those_of_the_matrices():
    after, _ = tried(PREVIOUS)
    text = run(after, "rows", {"text": 2, "queries": "3-4"})[1]
    matrix = after.fit.matrices(0)[2]
    for q in (3, 4):
        line = next(line for line in text.split("\n") if line.startswith(f"q{q} "))
        head = line.split("|")[0]
        for k in np.flatnonzero(matrix[q] >= 0.05):
            assert re.search(rf"\b{k} \"[^\"]*\" {matrix[q, k]:.2f}".replace("0.", r"\."), head), (line, k)


def test_the_worst_rows_are_the_worst():
    after, _ = tried(PREVIOUS)
    text = run(after, "rows", {"worst": 3})[1]
    shown = sorted(float(v) for v in re.findall(r'^  q\d+ ".*?" (1|\.\d+):', text, re.M))
    iou = row_iou(after, after.pattern(after.tried[0].program))
    assert shown == pytest.approx(sorted(iou[after.fit.position > 1])[:3], abs=0.006)


def test_rows_iou_is_that_of_each_row():
    after, _ = tried(PREVIOUS)
    program = after.tried[0].program
    iou = row_iou(after, after.pattern(program))
    at = 0
    for a, p in zip(after.fit.matrices(0), after.fit.patterns(program), strict=True):
        for q in range(len(a)):
            assert iou[at] == pytest.approx(np.minimum(a[q], p[q]).sum() / np.maximum(a[q], p[q]).sum(), abs=1e-5)
            at += 1


def test_columns_name_what_is_missing():
    after, _ = tried(PREVIOUS)  # neither the start nor the sentence ends
    text = run(after, "columns", {})[1]
    more, less = text.split("The program gives more:")
    assert "first token of the text" in more and '"."' in more and "first token of the text" not in less
    difference = [a - p for a, p in zip(after.fit.matrices(0), after.fit.patterns(after.tried[0].program), strict=True)]
    dots = 0.0
    for t, d in enumerate(difference):
        tokens = after.fit.texts_given[t].tokens
        dots += after.fit.weights[t] / len(tokens) * sum(d[:, k].sum() for k in range(1, len(tokens)) if tokens[k] == ".")
    assert f'"." {dots:.3f}'.replace("0.", ".") in more


def test_columns_of_one_domain_see_no_other():
    after, _ = tried(PREVIOUS)
    assert '"."' not in run(after, "columns", {"domain": "code"})[1]


def test_queries_add_up():
    text = run(desk(), "queries", {})[1]
    line = next(line for line in text.split("\n") if line.startswith("all "))
    parts = [float(v) for v in line.split(": ")[1].split()]
    assert sum(parts) == pytest.approx(1, abs=0.04)
    start = np.average(
        [a[q, 0] for a in desk().fit.matrices(0) for q in range(1, len(a))],
        weights=[w / len(t) for w, t in zip(desk().fit.weights, desk().fit.texts_given, strict=True) for q in range(1, len(t))],
    )
    assert parts[0] == pytest.approx(start, abs=0.006)


def test_what_is_lost_is_parted_among_classes_and_tokens_are_named_by_their_mean_difference():
    after, _ = tried("when k == 0 add 1")
    text = run(after, "queries", {})[1]
    lost = [float(v) for v in re.findall(r"^(?!all|To ).* of rows, (1|\.\d+) lost", text, re.M)]
    assert sum(lost) == pytest.approx(1, abs=0.03)
    head, ours = after.head(), after.pattern(after.tried[0].program)
    rows = [r for r, t in enumerate(after.tokens) if t == " The" and after.fit.position[r]]
    weight = after.row_weights[rows]
    cells = [[c for c in range(after.fit.rows[r], after.fit.rows[r + 1]) if after.fit.position[after.fit.k[c]] == 0] for r in rows]
    mean = np.average([(head - ours)[c].sum() for c in cells], weights=weight)
    line = next(x for x in text.split("\n") if x.startswith("To start the head gives"))
    assert mean < 0 and f'" The" {abs(mean):.2f}'.replace("0.", ".") in line.split("; less from ")[1]


def test_programs_known_before_have_numbers_and_are_compared_with():
    program = parse(PREVIOUS)
    one, lines = measured(desk(), Tried(1, PREVIOUS, "known"), program)
    begun = desk(given=(one,))
    assert lines[0].startswith("#1: merit") and one.program == program
    assert run(begun, "columns", {})[1] == run(begun, "columns", {"program": 1})[1]
    after, text = run(begun, "try", {"programs": ["add 1"]})
    assert [t.number for t in after.tried] == [2] and f"Best so far: #1 with merit {number(one.merit)}" in text
    assert run(after, "columns", {"program": 1})[1] == run(begun, "columns", {})[1] != run(after, "columns", {})[1]


def test_the_first_token_stands_apart_from_the_rest():
    begun = desk()
    _, lines = measured(begun, Tried(1, "", "known"), parse("when k == 0 add 1"))
    assert "the program 1 " in lines[-1] and lines[-1].endswith("IoU of the rest .00")
    _, lines = measured(begun, Tried(1, "", "known"), parse(TRUTH))
    assert "(off by .00 a row)" in lines[-1] and lines[-1].endswith("IoU of the rest 1")


def test_the_reach_of_classes_is_that_of_what_they_can_say():
    begun = desk()
    cache = {}
    reached = ceiling(begun.fit, begun.fit, 0, cache)  # previous token, start, sentence ends: all of it classes
    assert reached > 0.9 and ceiling(begun.fit, begun.fit, 2, cache) > 0.9
    uneven = begun.fit.targets.copy()
    uneven[0] = np.random.default_rng(0).dirichlet(np.full(uneven.shape[1], 0.05)).astype(np.float32)
    noise = Problem(begun.fit.texts_given, True, uneven, None, begun.fit.domains)
    assert ceiling(begun.fit, noise, 0, {}) < 0.5


def test_every_token_has_a_class_that_the_language_knows():
    found = {c for t in desk().fit.texts_given for c in classes(t)}
    assert found <= {*CLASSES, OTHER} and {"sentence_end", "newline", "article"} <= found
    for name in CLASSES:
        parse(f"when {name}(k) add 1")


def test_texts_come_worst_first():
    after, _ = tried(PREVIOUS)
    text = run(after, "texts", {})[1]
    shown = [float(v) for v in re.findall(r"\) (1|\.\d+):", text)]
    iou = score([after.tried[0].program], after.fit, [0])[0, 0]
    assert shown == sorted(shown) == pytest.approx(sorted(iou), abs=0.006)


def test_others_come_refitted_and_nearest_heads_by_pattern():
    text = run(desk(), "others", {})[1]
    assert text.index("of L0H1") < text.index("of L0H2")
    assert "most similar pattern (IoU): L0H1" in text
    assert "no programs of other heads" in run(desk(others=()), "others", {})[1]


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("row", {}, "did you mean 'rows'"),
        ("rows", {}, "try a program first"),
        ("rows", {"text": 9}, "texts 0 to 2"),
        ("rows", {"text": "many"}, "whole number"),
        ("rows", {"text": 0, "queries": "x-y"}, "must look like"),
        ("rows", {"quries": 1}, "takes no 'quries'"),
        ("columns", {"program": 7}, "no program 7"),
        ("queries", {"domain": "poems"}, "there are stories, code"),
        ("concepts", {"forget": "x"}, "no concept 'x'"),
        ("concepts", {"define": "concept a(p) = newline(p)\nconcept b(p) = newlne(p)"}, "line 2: "),
        ("try", {}, "needs programs"),
        ("try", {"programs": []}, "needs programs"),
    ],
)
def test_a_wrong_call_says_what_is_wrong(name, arguments, says):
    before = desk()
    after, text = run(before, name, arguments)
    assert after is before and says in text and "\n" not in text


def test_the_schemas_name_what_the_tools_take():
    for schema in schemas():
        function = schema["function"]
        assert (
            set(function["parameters"]["required"])
            <= set(function["parameters"]["properties"])
            == set(TOOLS[function["name"]].parameters)
        )


def test_the_idioms_of_the_prompt_are_programs():
    from search.llm.prompt import default_template

    idioms = re.findall(r"`((?:add|when) [^`]+)`", default_template().sections["explainer"])
    assert len(idioms) >= 10
    for idiom in idioms:
        parse(idiom)
