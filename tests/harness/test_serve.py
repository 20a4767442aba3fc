"""The live page's server: who is let in, and what it answers."""

import json

import numpy as np
import pytest

testclient = pytest.importorskip("starlette.testclient", reason="starlette is not installed")

from dsl import Batch, evaluate, parse  # noqa: E402
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
