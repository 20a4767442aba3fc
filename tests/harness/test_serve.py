"""The live page's server: who is let in, and what it answers."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

testclient = pytest.importorskip("starlette.testclient", reason="starlette is not installed")

sys.path.insert(0, str(Path(__file__).parents[1] / "search" / "llm"))

from chat_server import KEY, ChatServer, answer, error  # noqa: E402

from dsl import Batch, evaluate, parse, simplify, size  # noqa: E402
from harness.live.app import application  # noqa: E402
from harness.live.rules import gains, without  # noqa: E402
from harness.live.workbench import Workbench  # noqa: E402

TOKEN, PORT = "secret-token", 4321
HERE = {"Host": f"127.0.0.1:{PORT}"}
PROGRAM = "when dist == 1 add 0.7\nwhen k == 0 add 0.3"


class Canned(Workbench):
    """Answers without a run."""

    def __init__(self):
        pass

    def page(self):
        return {"target": "t", "heads": []}

    def look(self, head, text, program, off=()):
        return {"head": head, "off": list(off)}


@pytest.fixture
def client():
    return testclient.TestClient(application(Canned(), lambda: "report", TOKEN, PORT), base_url=f"http://127.0.0.1:{PORT}")


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/", {}),
        ("/look", {}),
        (f"/{TOKEN}x/", {}),
        (f"/{TOKEN[:-1]}/", {}),
        (f"/other/{TOKEN}/", {}),
        (f"/{TOKEN}/", {"Host": "evil.example"}),
        (f"/{TOKEN}/", {"Host": f"evil.example:{PORT}"}),
        (f"/{TOKEN}/", {"Origin": "http://evil.example"}),
        (f"/{TOKEN}/", {"Origin": "null"}),
        (f"/{TOKEN}/", {"Origin": f"https://127.0.0.1:{PORT}"}),
        (f"/{TOKEN}/", {"Origin": f"http://127.0.0.1:{PORT + 1}"}),
    ],
)
def test_whoever_has_not_the_link_or_comes_from_elsewhere_is_refused(client, path, headers):
    for method in ("get", "post"):
        answer = getattr(client, method)(path, headers=headers)
        assert answer.status_code == 403 and TOKEN not in answer.text.replace(path, "")


def test_the_link_opens_the_page_and_answers(client):
    for origin in (f"http://127.0.0.1:{PORT}", f"http://localhost:{PORT}"):
        page = client.get(f"/{TOKEN}/", headers={"Origin": origin})
        assert page.status_code == 200 and "http" not in page.text.replace("http-equiv", "").replace(
            "http://www.w3.org/2000/svg", ""
        )
    assert client.get(f"/{TOKEN}/report").text == "report"
    assert client.post(f"/{TOKEN}/look", json={"head": "L0H0", "text": "a", "program": "", "off": [1]}).json()["off"] == [1]


@pytest.mark.parametrize(
    ("sent", "code"), [(b"{", 422), (b"[]", 422), (b'{"x": 1}', 422), (b"null", 422), (b'"' + b"x" * 300_000 + b'"', 413)]
)
def test_what_makes_no_sense_is_told_in_one_line(client, sent, code):
    answer = client.post(f"/{TOKEN}/look", content=sent)
    assert answer.status_code == code and "\n" not in answer.json()["error"]


def test_rules_are_left_out_and_what_each_adds(tmp_path):
    from search import workspace
    from tests.harness.report.conftest import make_run

    program = parse("when dist == 1 add 0.7\nwhen q > 3 { when k == 0 add 0.3 } else { set 1 }\nwhen k == q add 0.1")
    assert str(without(program, {1, 2})) == str(parse("when dist == 1 add 0.7\nwhen k == q add 0.1"))
    assert without(program, ()) == program and without(program, range(4)).rules() == ()
    run = make_run(tmp_path / "run")
    problem = workspace.problem(str(run.path), "select")
    iou, domains, adds = gains(program, problem, 2)
    assert list(domains.values()) == pytest.approx([iou])
    for i, added in enumerate(adds):
        assert added == pytest.approx(iou - gains(without(program, {i}), problem, 2)[0])
    off, _, would = gains(program, problem, 2, {0})
    assert would[0] == pytest.approx(iou - off)


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """A workbench on a searched run of a tiny model, which is in memory."""
    import headscript
    from tests.harness.conftest import make_tiny
    from tests.headscript.test_package import stories

    tiny = make_tiny("causal")
    out = tmp_path_factory.mktemp("live") / "run"
    run = headscript.explain(tiny.model, tiny.tokenizer, stories(20, 1), heads="L0", out=out, evaluations=800, library_size=2)
    run.session.target.model.set_attn_implementation("eager")
    return Workbench(run.session, run.outcome)


def unpacked(packed, n):
    import base64
    import zlib

    raw = np.frombuffer(zlib.decompress(base64.b64decode(packed)), np.uint8)[: 2 * n * n].astype(int)
    return ((256 * raw[: n * n] + raw[n * n :]) / 10_000).reshape(n, n)


def test_a_text_and_a_program_are_tried(bench):
    text = "the dog saw a cat ."
    found = bench.look("L0H2", text, PROGRAM)
    (read,) = bench.session.read([text])
    assert found["tokens"] == list(read.tokens) and found["errors"] == []
    assert np.allclose(unpacked(found["program"], len(read)), evaluate(parse(PROGRAM), Batch([read]))[0], atol=1e-4)
    assert np.allclose(unpacked(found["true"], len(read)).sum(-1), 1, atol=5e-3)
    assert [r["on"] for r in found["rules"]] == [True, True]
    off = bench.look("L0H2", text, PROGRAM, [0])
    assert [r["on"] for r in off["rules"]] == [False, True] and off["iou"] == pytest.approx(
        found["iou"] - found["rules"][0]["adds"]
    )
    wrong = bench.look("L0H2", text, "add zebra\nset 1\nwhen foo(k) add 1")
    assert [(e["line"], e["column"]) for e in wrong["errors"]] == [(1, 5), (3, 6)] and "program" not in wrong


def test_fitting_never_loses_and_simplifying_keeps_the_meaning(bench):
    from search import workspace

    fitted = bench.fit("L0H2", PROGRAM)["program"]
    problem = workspace.problem(str(bench.session.folder.path), "fit")
    assert gains(parse(fitted), problem, 2)[0] >= gains(parse(PROGRAM), problem, 2)[0] - 1e-4
    assert bench.simplify("add 1 add 1")["program"] == str(parse(bench.simplify("add 2")["program"]))


def test_a_saved_program_is_in_the_archive_marked(bench):
    program = bench.simplify("when dist == 2 add 0.123\nwhen k == 0 add 0.877")["program"]
    bench.save("L0H1", program)
    folder = bench.session.folder
    pool = folder.read("programs.json")
    at = pool["programs"].index(program)
    assert pool["proposers"][at] == "user"
    assert folder.read_array("scores.npy").shape[1] == len(pool["programs"])
    select, _ = folder.read_array("scores.npy")
    from search import workspace

    problem = workspace.problem(str(folder.path), "select")
    assert select[at, 1] == pytest.approx(gains(parse(program), problem, 1)[0], abs=1e-5)
    assert folder.read("result.json") == json.loads(json.dumps(bench.outcome))


def test_replacing_says_what_the_model_does(bench):
    same = bench.replace("L0H1", PROGRAM, "the dog saw a cat .")
    assert same["perplexity"]["original"] > 1 and same["perplexity"]["original"] != same["perplexity"]["replaced"]
    assert len(same["next"]) <= 10 and all(0 <= t["original"] <= 1 >= t["replaced"] >= 0 for t in same["next"])
    assert same["goes_on"]["original"] and same["goes_on"]["replaced"]


def test_it_goes_on_with_the_likeliest_token_each_time(bench):
    import torch

    from harness.live.workbench import CONTINUATION
    from harness.patterns import program_patterns
    from harness.replace import replace_heads

    found = bench.replace("L0H1", PROGRAM, "the dog saw a cat .")["goes_on"]
    target = bench.session.target
    (read,) = bench.session.read(["the dog saw a cat ."])
    source = {(0, 1): lambda texts: evaluate(parse(PROGRAM), Batch(texts))}

    def going_on():
        ids = torch.tensor([list(read.ids)])
        with torch.no_grad():
            for _ in range(CONTINUATION):
                step = target.model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[:, -1]
                ids = torch.cat([ids, step.argmax(-1, keepdim=True)], 1)
        return target.tokenizer.decode(ids[0, len(read) :].tolist())

    assert found["original"] == going_on()
    with replace_heads(target.model, program_patterns(target.tokenizer, source, target.embed)):
        assert found["replaced"] == going_on()


def test_the_page_says_how_much_each_program_tells(bench):
    for head, record in zip(bench.page()["heads"], bench.outcome["heads"], strict=True):
        assert head["gain"] == record["iou"]["select"] - record["baseline"]["select"]


def test_where_they_agree_least_and_most_follows_the_program_and_its_rules(bench):
    from harness.report.examples import examples
    from search import workspace

    problem = workspace.problem(str(bench.session.folder.path), "select")
    found = bench.examples("L0H2", PROGRAM, [1])
    assert found["examples"] == examples(without(parse(PROGRAM), {1}), problem, 2) != bench.examples("L0H2", PROGRAM)["examples"]
    for rows in found["examples"].values():
        for text, query, *_ in rows:
            assert found["texts"][text] == list(problem.texts_given[text].tokens) and query < len(found["texts"][text])


def test_the_page_knows_the_largest_programs(bench):
    for head, record in zip(bench.page()["heads"], bench.outcome["heads"], strict=True):
        full = record["full_program"]
        if full["program"] == record["program"]:
            assert head["full"] is None
        else:
            assert head["full"] == {"program": full["program"], "size": full["size"]}
        assert head["full_iou"] == full["iou"]["select"]


@pytest.fixture(scope="module")
def with_concepts(bench, tmp_path_factory):
    """The same run as if it had been given a file of concepts."""
    from dataclasses import replace

    given = {"concepts": {"stop": 'concept stop(p) = text(p) in {".", " ."}', "odd": "concept odd(p) = stop(p) or p == 3"}}
    description = bench.session.description
    session = replace(
        bench.session, description={**description, "settings": {**description["settings"], **given}}, loaded=bench.session.target
    )
    return Workbench(session, bench.outcome)


def test_programs_may_use_the_concepts_of_their_run(bench, with_concepts):
    program = "when odd(k) add 1\nwhen dist == 1 add 2"
    text = "the dog saw a cat ."
    assert with_concepts.page()["concepts"][0].startswith("concept stop(p)")
    assert "unknown function 'odd'" in bench.look("L0H1", text, program)["errors"][0]["message"]
    found = with_concepts.look("L0H1", text, program)
    written_out = 'when text(k) in {".", " ."} or k == 3 add 1\nwhen dist == 1 add 2'
    assert found["errors"] == [] and found["iou"] == bench.look("L0H1", text, written_out)["iou"]
    wrong = with_concepts.look("L0H1", text, "when odd(k) add 1\nwhen evn(k) add 1")
    assert [(e["line"], e["column"]) for e in wrong["errors"]] == [(2, 6)]
    for work in (with_concepts.simplify(program), with_concepts.fit("L0H1", program)):
        assert "concept odd(p)" in work["program"] and "odd(k)" in work["program"]
        assert with_concepts.look("L0H1", text, work["program"])["errors"] == []
    assert with_concepts.examples("L0H1", program)["examples"]["least"]
    assert with_concepts.replace("L0H1", program, text)["perplexity"]["replaced"] > 1


@pytest.fixture(scope="module")
def server():
    return ChatServer()


@pytest.fixture
def asking(bench, server, monkeypatch, tmp_path):
    """asking(options…): the run's workbench with language models at the server of the test."""
    from argparse import ArgumentParser

    from harness.commands import serve

    server.script, server.requests = {}, []
    monkeypatch.setenv("OPENAI_API_KEY", KEY)

    def start(*more, workbench=bench):
        parser = ArgumentParser()
        serve.arguments(parser)
        args = parser.parse_args(["RUN", "--llm", "openai/a", "--llm-base-url", server.url, *more])
        return Workbench(workbench.session, workbench.outcome, serve.adviser(args, tmp_path))

    return start


LONG = "when dist == 1 add 0.7\nwhen k == 0 add 0.3\nwhen dist == 2 add 0.01\nwhen dist == 3 add 0.01\nwhen dist == 4 add 0.01"


def test_a_language_model_is_asked_for_a_shorter_program(asking, server):
    from search import workspace

    server.script["a"] = lambda body, number: answer(
        "```pattern\nwhen dist == 1 add 1\nwhen k == 0 add 1\n```\nor\n```pattern\nadd 1\nadd 2\n```"
    )
    bench = asking()
    found = bench.shorter("L0H2", LONG)
    (request,) = server.requests
    prompt = request["messages"][-1]["content"]
    assert f"fewer than {size(simplify(parse(LONG)))} tokens" in prompt and "when dist == 4 add 0.01" in prompt and "L0H2" in prompt
    proposal = parse(found["proposal"]["program"])
    select = workspace.problem(str(bench.session.folder.path), "select")
    assert found["proposal"]["iou"] == pytest.approx(gains(proposal, select, 2)[0])
    assert found["proposal"]["size"] == size(proposal) < found["now"]["size"] == size(simplify(parse(LONG)))
    assert found["now"]["iou"] == pytest.approx(gains(parse(LONG), select, 2)[0])
    assert found["model"] == "openai/a" and found["spent"].startswith("1 call, 120 tokens")
    assert bench.page()["asks"] == ["openai/a"]


def test_a_shorter_program_comes_before_a_better_one(asking, server):
    server.script["a"] = lambda body, number: answer(
        "```pattern\nwhen dist == 9 add 1\n```\n```pattern\n" + LONG + "\nadd 0.02\n```"
    )
    found = asking().shorter("L0H2", LONG)
    assert parse(found["proposal"]["program"]).rules() == parse("when dist == 9 add 1").rules()
    assert found["proposal"]["size"] < found["now"]["size"]


def test_asked_once_more_it_is_another_answer_and_what_was_paid_is_kept(asking, server):
    server.script["a"] = lambda body, number: answer(f"```pattern\nwhen dist == {number + 1} add 1\n```")
    first = asking().shorter("L0H2", LONG)["proposal"]["program"]
    assert server.count("a") == 1
    again = asking()  # the server of another day
    assert again.shorter("L0H2", LONG)["proposal"]["program"] == first and server.count("a") == 1
    assert again.shorter("L0H2", LONG)["proposal"]["program"] != first and server.count("a") == 2


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (lambda: error(401, "no such key"), "wrong or missing key"),
        (lambda: answer("I am sorry, I cannot do that."), "a refusal"),
        (lambda: answer("```pattern\nwhen zebra(k) add 1\n```"), "unknown function 'zebra'"),
        (lambda: answer("```python\ndef f(sentence, tokenizer):\n    return 'x', np.eye(3)\n```"), "in Python"),
        (lambda: answer(""), "empty answer"),
    ],
)
def test_what_goes_wrong_is_told_in_one_line(asking, server, reply, said):
    server.script["a"] = lambda body, number: reply()
    page = testclient.TestClient(application(asking(), lambda: "", TOKEN, PORT), base_url=f"http://127.0.0.1:{PORT}")
    found = page.post(f"/{TOKEN}/shorter", json={"head": "L0H2", "program": LONG})
    assert found.status_code == 422 and said in found.json()["error"] and "\n" not in found.json()["error"]


def test_the_budget_holds_over_all_questions(asking, server):
    from harness.errors import UserError

    bench = asking("--llm-calls", "1")
    bench.shorter("L0H2", LONG)
    with pytest.raises(UserError, match="budget for language models is spent"):
        bench.shorter("L0H1", LONG)
    assert server.count("a") == 1


def test_without_a_language_model_the_page_does_not_offer_it(bench):
    from harness.errors import UserError

    assert bench.page()["asks"] == []
    with pytest.raises(UserError, match="--llm MODEL"):
        bench.shorter("L0H2", LONG)


def test_other_questions_are_answered_while_a_model_thinks(asking, server):
    import threading

    looked = threading.Event()
    server.script["a"] = lambda body, number: answer() if looked.wait(30) else error(500, "nobody looked")
    bench = asking()
    found = []
    thread = threading.Thread(target=lambda: found.append(bench.shorter("L0H2", LONG)))
    thread.start()
    while not server.requests:
        assert thread.is_alive()
    assert bench.look("L0H1", "the dog saw a cat .", PROGRAM)["errors"] == []
    looked.set()
    thread.join(60)
    assert found and found[0]["proposal"]["iou"] > 0


def test_concepts_of_the_run_are_told_to_it_and_taken_from_it(asking, with_concepts, server):
    server.script["a"] = lambda body, number: answer("```pattern\nwhen odd(k) add 1\nwhen dist == 1 add 1\n```")
    found = asking(workbench=with_concepts).shorter("L0H2", LONG)
    assert "concept odd(p)" in server.requests[0]["messages"][-1]["content"] and "odd(k)" in found["proposal"]["program"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--llm-calls", "3"], "no effect without --llm"),
        (["--llm", "nobody/x"], "nobody"),
        (["--llm", "openai/a"], "OPENAI_API_KEY"),
    ],
)
def test_options_that_make_no_sense_end_before_the_page_opens(tmp_path, capsys, monkeypatch, options, said):
    from harness.cli import main
    from tests.harness.report.conftest import make_run

    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    run = make_run(tmp_path / "run")
    assert main(["serve", str(run.path), *options]) == 2
    shown = capsys.readouterr().err.strip().splitlines()
    assert said in shown[-1] and not (run.path / "serve").exists()
