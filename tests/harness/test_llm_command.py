"""Runs with a language model as a user starts them, against a server on this machine."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "search" / "llm"))

from chat_server import KEY, ChatServer, answer, error

from harness.cli import main
from harness.session import open_run
from search.llm.simulate import chosen_queries

BROKEN = "```pattern\nwhen dist == 1 add 0.5\nwhne k == 0 add 1\n```"


@pytest.fixture(scope="module")
def server():
    return ChatServer()


@pytest.fixture
def run(server, tmp_path, monkeypatch, capsys):
    """Starts `headscript run` on two heads of the demo; gives exit code, document and messages."""
    server.script, server.requests, server.ended = {}, [], []
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("HEADSCRIPT_CACHE", str(tmp_path.parent / "cache"))

    def start(*more):
        given = ["run", "demo", "--heads", "L0H0,L1H1", "--evaluations", "400", "--library-size", "2", "--max-tokens", "16"]
        given += ["--workers", "1", "--out", str(tmp_path / "run"), "--proposers", "library,llm", "--json"]
        given += ["--llm", "openai/a", "--llm-base-url", server.url, "--llm-calls", "4", "--llm-rounds", "0", *more]
        code = main(given)
        shown = capsys.readouterr()
        return code, json.loads(shown.out or "null"), shown.err

    start.folder = tmp_path / "run"
    return start


def shown(capsys, *arguments):
    assert main([*map(str, arguments)]) == 0
    return capsys.readouterr().out


def test_a_call_that_failed_is_sent_again_by_the_same_command(run, server, capsys):
    server.script["a"] = lambda body, number: error(401, "wrong key")
    code, document, said = run()
    assert code == 1 and document["llm"]["failures"] == {"key": 1} and "key was not accepted" in said
    assert "the call failed" in shown(capsys, "show", run.folder, "--llm")
    server.script["a"] = lambda body, number: answer()
    code, document, said = run()
    assert code == 0 and document["llm"]["usable"] == 4 and "asked again" in said
    asked = server.count("a")
    assert run()[1]["heads"] == document["heads"] and server.count("a") == asked  # now there is nothing to ask


def test_only_what_failed_is_sent_again_and_refresh_asks_anew(run, server):
    server.script["a"] = lambda body, number: error(400, "no") if number == 1 else answer()
    assert run("--llm-calls", "2")[1]["llm"]["failures"] == {"request": 1}
    code, document, _ = run("--llm-calls", "2")
    assert code == 0 and document["llm"]["failures"] == {} and document["llm"]["calls"] == 2
    assert server.count("a") == 3 and server.requests[2]["messages"] == server.requests[1]["messages"]
    assert run("--llm-calls", "2", "--llm-refresh")[0] == 0
    assert server.count("a") == 5 and len(list((run.folder / "llm" / "before-1").glob("*.json"))) >= 2


def test_a_conversation_with_tools_ends_in_the_archive(run, server, capsys):
    script = [
        "```queries\n```\n```try\nadd 0.8 ** dist\n```",
        "```rows\nworst: 3\n```",
        "```try\nwhne k == 0 add 1\n```",
        "Done.",
    ]
    server.script["a"] = lambda body, number: answer(script[sum(m["role"] == "assistant" for m in body["messages"])])
    code, document, _ = run("--llm-rounds", "5", "--llm-calls", "7", "--llm-protocol", "text")
    assert code == 0 and document["llm"]["programs"]["parsed"] == 2 and document["llm"]["calls"] == 7
    units = [json.loads(p.read_text()) for p in sorted((run.folder / "units" / "llm").glob("*.json"))]
    assert (
        len(units) == 2 and all(c["root"] == "llm" for u in units for c in u["candidates"]) and all(u["candidates"] for u in units)
    )
    assert "a language model tried 1 program" in shown(capsys, "show", run.folder, "L0H0")
    said = shown(capsys, "show", run.folder, "--llm")
    assert "merit" in said and "did you mean 'when'" in said and "cut: the budget" in said and "the model was done" in said
    asked = server.count("a")
    (run.folder / "result.json").unlink()
    assert run("--llm-rounds", "5", "--llm-calls", "7", "--llm-protocol", "text")[1]["heads"] == document["heads"]
    assert server.count("a") == asked


def test_why_a_program_brought_nothing_is_shown_and_told_to_the_model(run, server, capsys):
    server.script["a"] = lambda body, number: answer(BROKEN)
    code, _, _ = run("--llm-settings", str(_no_corrections(run.folder.parent)))
    assert code == 1
    said = shown(capsys, "show", run.folder, "--llm")
    assert "line 2 (`whne k == 0 add 1`)" in said and "did you mean 'when'" in said
    rows = json.loads(shown(capsys, "show", run.folder, "L0H0", "--llm", "--json"))
    assert {r["head"] for r in rows} == {"L0H0"} and "did you mean 'when'" in rows[0]["what became of it"]
    assert "did you mean 'when'" in server.requests[-1]["messages"][-1]["content"]  # of the second round
    main(["report", str(run.folder)])
    assert "whne k == 0 add 1" in (run.folder / "report.html").read_text(encoding="utf-8")


def _no_corrections(folder):
    path = folder / "settings.toml"
    path.write_text("corrections = false\n")
    return path


def test_simulate_scores_what_a_reader_says_against_the_head(run, server, capsys):
    assert run()[0] == 0
    server.requests.clear()

    def first_token(body, number):
        asked = body["messages"][-1]["content"].split("Queries: ")[1]
        return answer("\n".join(f"{q}: 0 1" for q in range(16) if f"{q} " in asked))

    server.script["b"] = first_token
    given = ["simulate", str(run.folder), "--llm", "openai/b", "--llm-base-url", server.url, "--texts", "2", "--queries", "3"]
    assert main([*given, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["calls"] == found["asked"] == 4 * 2 * 2 and set(found["arms"]) == {"headline", "english", "program", "none"}
    session = open_run(run.folder)
    expected = []
    for t, text in enumerate(session.texts("test")[:2]):
        head = session.store("test").matrix(1, 1, t)[chosen_queries(len(text), 3)]
        reader = np.zeros_like(head)
        reader[:, 0] = 1
        expected.append(np.minimum(head, reader).sum() / np.maximum(head, reader).sum())
    assert all(a["heads"]["L1H1"] == pytest.approx(np.mean(expected), abs=1e-5) for a in found["arms"].values())
    asked = server.count("b")
    assert main(given) == 0 and server.count("b") == asked and "95% interval" in capsys.readouterr().out
