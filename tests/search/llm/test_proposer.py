"""From heads to programs through a real server: order, budgets, stored answers, corrections, failures, secrets."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path

import pytest
from chat_server import KEY, PROGRAM, answer, error, previous_token_evidence

from dsl.parser import parse
from search.llm.ask import GIVE_UP
from search.llm.backend import Answer, BackendError, Request, Usage
from search.llm.litellm_backend import LiteLLMBackend
from search.llm.proposer import HeadTask, LLMProposer, Proposal
from search.llm.refine import Progress, RoundState
from search.llm.replay import FileReplay, open_replay
from search.llm.settings import LLMSettings, Model, Price, parse_models
from search.validate import LiftRecord

PYTHON = "```python\ndef program(sentence, tokenizer):\n    return 'x', {}\n```"
PRICES = {"openai/a": Price(10, 100), "openai/b": Price(10, 100)}  # $0.003 for an answer of the server


def refuse(source):
    return LiftRecord("refused", reason="random numbers have no fixed meaning", line=2)


class World:
    """Makes proposers on the test server; keeps what they say."""

    def __init__(self, server, folder):
        self.server, self.folder, self.said, self.pauses, self.made = server, folder, [], [], []

    def proposer(self, models="a", *, folder="llm", translate=refuse, backend=None, **changes):
        names = parse_models(f"openai/{m}" for m in models.split())
        settings = LLMSettings(names, **{"base_url": self.server.url, "prices": PRICES, "timeout": 20.0, **changes})
        made = LLMProposer(
            settings,
            backend or LiteLLMBackend(settings),
            self.folder / folder,
            translate,
            sleep=self.pauses.append,
            say=self.said.append,
        )
        self.made.append(made)
        return made


@pytest.fixture
def world(server, tmp_path):
    world = World(server, tmp_path)
    yield world
    for proposer in world.made:
        proposer.close()


def tasks(n, round=0, **state):
    return [HeadTask(previous_token_evidence(0, h), RoundState(round, **state)) for h in range(n)]


def test_a_round_gives_a_program_per_head(world):
    proposer = world.proposer()
    proposals = proposer.propose(tasks(3))
    assert [p.head for p in proposals] == [(0, 0), (0, 1), (0, 2)]
    assert {(p.status, p.form, p.program) for p in proposals} == {
        ("parsed", "language", parse(PROGRAM.strip("`").removeprefix("pattern")))
    }
    summary = proposer.summary()
    assert (summary["calls"], summary["tokens"], summary["usd"]) == (3, 360, pytest.approx(0.009))
    assert (summary["usable"], summary["heads_served"], summary["failures"]) == (3, 3, {})
    assert summary["heads"]["L0H1"] == {"calls": 1, "tokens": 120, "usd": 0.003, "programs": {"parsed": 1}}
    assert proposer.verdict() is None and world.said == []
    assert json.loads(json.dumps(summary)) == summary


def test_the_prompt_holds_the_evidence(world):
    world.proposer(temperature=0.3, params={"top_p": 0.5}).propose(tasks(1))
    (sent,) = world.server.requests
    assert [m["role"] for m in sent["messages"]] == ["system", "user"]
    assert "previous token .6" in sent["messages"][1]["content"] and '1 " the" -> 0 "<s>" 1' in sent["messages"][1]["content"]
    assert (sent["temperature"], sent["top_p"], sent["max_tokens"]) == (0.3, 0.5, 4000)


def test_python_goes_through_the_lifter(world):
    seen = []

    def translate(source):
        seen.append(source)
        return LiftRecord("lifted", parse("when k == 0 add 1"))

    world.server.script["a"] = lambda body, number: answer(PYTHON)
    (proposal,) = world.proposer(translate=translate).propose(tasks(1))
    assert seen == ["def program(sentence, tokenizer):\n    return 'x', {}\n"] == [proposal.source]
    assert (proposal.status, proposal.program) == ("lifted", parse("when k == 0 add 1"))
    assert Proposal.from_record(json.loads(json.dumps(proposal.record()))) == proposal


@pytest.mark.parametrize(
    "first", [PYTHON, "```pattern\nwhen dist = 1 add 0.5\n```", "```python\ndef program(a, b)\n  return 1\n```"]
)
def test_an_error_is_sent_back_once_with_line_and_reason(world, first):
    world.server.script["a"] = lambda body, number: answer(first if number == 0 else PROGRAM)
    proposals = world.proposer().propose(tasks(1))
    assert [(p.status, p.corrected) for p in proposals][-1] == ("parsed", True)
    assert len(proposals) == 2 and proposals[0].reason and proposals[0].line
    roles = [m["role"] for m in world.server.requests[1]["messages"]]
    assert roles == ["system", "user", "assistant", "user"]
    told = world.server.requests[1]["messages"][-1]["content"]
    assert f"line {proposals[0].line}" in told and proposals[0].reason in told


def test_a_second_error_is_not_sent_back_again(world):
    world.server.script["a"] = lambda body, number: answer(PYTHON)
    proposals = world.proposer().propose(tasks(1))
    assert [p.status for p in proposals] == ["refused", "refused"] and world.server.count("a") == 2


def test_without_corrections_nothing_is_sent_back(world):
    world.server.script["a"] = lambda body, number: answer(PYTHON)
    world.proposer(corrections=False).propose(tasks(2))
    assert world.server.count("a") == 2


@pytest.mark.parametrize("concurrency", [1, 3])
def test_at_most_so_many_calls_at_once(world, concurrency):
    gate = threading.Barrier(concurrency)

    def together(body, number):
        if number:  # the first call flies alone
            gate.wait(20)  # passes only when as many calls as allowed are under way
        return answer()

    world.server.script["a"] = together
    world.proposer(concurrency=concurrency).propose(tasks(7))
    assert world.server.most == concurrency and world.server.count("a") == 7


def contents(folder):
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}


def test_the_outcome_does_not_depend_on_concurrency_or_who_answers_first(world):
    def uneven(body, number):
        head = int(body["messages"][1]["content"].split("L0H", 1)[1].split()[0])
        time.sleep(0.002 * (7 - head))
        texts = [PROGRAM, PYTHON, "no program", ""]
        return answer(texts[head % 4], completion=20 + 10 * head)

    world.server.script["a"] = world.server.script["b"] = uneven
    found = []
    for concurrency in (1, 8):
        proposer = world.proposer("a=2 b", concurrency=concurrency, folder=f"llm{concurrency}", usd=0.04)
        found.append((proposer.propose(tasks(8)), proposer.summary(), contents(world.folder / f"llm{concurrency}")))
    assert found[0] == found[1]
    assert found[0][1]["not_sent"] > 0  # the budget did decide something


def test_models_are_asked_in_proportion_to_their_weights(world):
    world.proposer("a=3 b").propose(tasks(16))
    assert (world.server.count("a"), world.server.count("b")) in ((12, 4), (11, 5), (13, 3))


def test_an_answer_is_stored_before_it_is_used_and_nobody_is_asked_twice(world):
    stored = []

    def translate(source):
        stored.append(len(list((world.folder / "llm").glob("*[0-9a-f].json"))))
        return refuse(source)

    world.server.script["a"] = lambda body, number: answer(PYTHON)
    first = world.proposer(translate=translate, corrections=False)
    proposals = first.propose(tasks(2))
    assert stored == [2, 2]
    again = world.proposer(translate=translate, corrections=False)
    assert again.propose(tasks(2)) == proposals and again.summary() == first.summary()
    assert world.server.count("a") == 2 and again.asker.asked == 0
    (record,) = [json.loads(p.read_text()) for p in (world.folder / "llm").glob(f"{proposals[0].key}.json")]
    assert record["usage"] == {"prompt_tokens": 100, "completion_tokens": 20, "estimated": False}
    assert record["cost_usd"] == pytest.approx(0.003) and record["answer"] == PYTHON and record["head"] == [0, 0]


def test_samples_of_one_prompt_are_separate_questions(world):
    world.server.script["a"] = lambda body, number: answer(PROGRAM.replace("0.6", f"0.{number + 1}"))
    proposals = world.proposer(samples=3).propose(tasks(1))
    assert len({p.key for p in proposals}) == len({p.source for p in proposals}) == 3
    assert len(world.proposer(samples=3).propose(tasks(1, round=1))) == 3 and world.server.count("a") == 6


@pytest.mark.parametrize(
    ("limits", "calls"),
    [
        ({"calls": 4}, 4),
        ({"tokens": 480}, 4),
        ({"tokens": 599}, 4),
        ({"usd": 0.02}, 6),
        ({"usd": 0.0209}, 6),
        ({"calls": 0}, 0),
        ({"tokens": 0}, 0),
    ],
)
@pytest.mark.parametrize("concurrency", [1, 8])
def test_budgets_count_calls_in_flight(world, limits, calls, concurrency):
    proposer = world.proposer(concurrency=concurrency, prompt_tokens=1500, **limits)
    assert len(proposer.propose(tasks(9))) == world.server.count("a") == calls
    summary = proposer.summary()
    assert (summary["calls"], summary["tokens"], summary["not_sent"]) == (calls, 120 * calls, 9 - calls)
    assert proposer.exhausted and proposer.plan([Progress((0, 0), 0.1, None)], 1) == []


def test_a_round_that_cannot_be_sent_exhausts_the_proposer(world):
    proposer = world.proposer(usd=0.001)  # less than a prompt
    assert not proposer.exhausted
    assert proposer.propose(tasks(2)) == [] and proposer.exhausted


def test_a_prompt_that_costs_more_than_the_limit_is_not_sent(world):
    assert world.proposer(usd=0.001).propose(tasks(2)) == [] and world.server.requests == []


def test_a_paid_answer_is_used_whatever_the_budget_says_now(world):
    before = world.proposer().propose(tasks(3))
    after = world.proposer(calls=0).propose(tasks(4))
    assert after == before and world.server.count("a") == 3


def test_an_unknown_price_with_a_limit_in_dollars_is_an_error_before_the_first_call(world):
    with pytest.raises(ValueError, match=r'price of openai/c is not known.*\[prices\."openai/c"\]'):
        world.proposer("a c", usd=1.0)
    assert world.server.requests == []


def test_without_a_limit_an_unknown_price_is_said_to_be_unknown(world):
    proposer = world.proposer("c")
    proposer.propose(tasks(1))
    assert proposer.summary()["usd"] is None


def test_a_prompt_too_long_for_the_model_is_shortened_and_tried_once_more(world):
    def short_memory(body, number):
        if len(body["messages"][1]["content"]) > 5000:
            return error(400, "This model's maximum context length is 2048 tokens", "context_length_exceeded")
        return answer()

    world.server.script["a"] = short_memory
    proposer = world.proposer()
    assert [p.status for p in proposer.propose(tasks(2))] == ["parsed", "parsed"]
    assert proposer.summary()["failures"] == {"context": 2}
    sizes = [len(r["messages"][1]["content"]) for r in world.server.requests]
    assert len(sizes) == 4 and max(sizes[2:]) < min(sizes[:2])


def test_rate_limits_are_waited_for_and_not_counted_as_further_calls(world):
    world.server.script["a"] = lambda body, number: (
        error(429, "slow down", headers={"Retry-After": "3"}) if number < 2 else answer()
    )
    proposer = world.proposer()
    assert len(proposer.propose(tasks(1))) == 1
    assert world.pauses == [3, 3] and proposer.summary()["calls"] == 1 and proposer.summary()["failures"] == {}


@pytest.mark.parametrize(("status", "kind"), [(401, "key"), (404, "model")])
def test_a_model_that_cannot_answer_is_asked_once_and_the_others_go_on(world, status, kind):
    world.server.script["b"] = lambda body, number: error(status, "no")
    proposer = world.proposer("a b")
    proposals = proposer.propose(tasks(6))
    assert world.server.count("b") == 1 and {p.model for p in proposals} == {"openai/a"} and len(proposals) == 5
    assert proposer.summary()["failures"] == {kind: 1}
    assert len(world.said) == 2 and "openai/b is not asked again" in world.said[1]


def test_after_some_failures_in_a_row_a_model_is_given_up(world):
    world.server.script["a"] = lambda body, number: error(500, "oops")
    proposer = world.proposer(retries=0)
    assert proposer.propose(tasks(9)) == []
    assert world.server.count("a") == GIVE_UP and proposer.exhausted
    assert "server" in proposer.verdict() and len(world.said) == 2


@pytest.mark.parametrize(
    ("text", "reason"),
    [("", "empty answer"), ("I'm sorry, I can't.", "refusal"), ("<html></html>", "HTML page"), ("qwertz", "no program")],
)
def test_answers_without_programs_are_kept_with_a_reason_and_are_no_success(world, text, reason):
    world.server.script["a"] = lambda body, number: answer(text)
    proposer = world.proposer()
    proposals = proposer.propose(tasks(2))
    assert [p.status for p in proposals] == ["unusable", "unusable"] and reason in proposals[0].reason
    assert len(world.said) == 1 and reason in world.said[0]
    assert proposer.summary()["heads_served"] == 0 and "2 unusable" in proposer.verdict()
    allowed = world.proposer(allow_failure=True)
    allowed.propose(tasks(2))
    assert allowed.verdict() is None


def test_a_server_that_is_not_there_ends_soon(world):
    proposer = world.proposer(base_url="http://127.0.0.1:9/v1", retries=1)
    assert proposer.propose(tasks(5)) == []
    assert proposer.summary()["failures"] == {"connection": 1} and len(world.pauses) == 1


def test_stop_sends_nothing_more(world):
    calls = iter([False, False, True, True, True, True, True])
    proposer = world.proposer(usd=1.0)
    assert len(proposer.propose(tasks(5), stop=lambda: next(calls))) == 5
    assert proposer.propose(tasks(5, round=1), stop=lambda: True) == []


def test_state_restores_budget_and_models(world):
    world.server.script["b"] = lambda body, number: error(401, "no")
    first = world.proposer("a b", calls=5)
    first.propose(tasks(3))
    second = world.proposer("a b", calls=5)
    second.restore(json.loads(json.dumps(first.state())))
    assert second.summary() == first.summary()
    second.propose(tasks(9, round=1))
    assert second.summary()["calls"] == 5 and world.server.count("b") == 1


def test_a_killed_run_goes_on_without_asking_again(world, tmp_path):
    arrived, released = threading.Semaphore(0), threading.Event()

    def slow_after_four(body, number):
        arrived.release()
        if number >= 4:
            released.wait(30)
        return answer(PROGRAM.replace("0.6", f"0.{len(body['messages'][1]['content']) % 9 + 1}"))

    world.server.script["a"] = slow_after_four
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[3])])}
    here = str(Path(__file__).parent / "ask_in_child.py")
    child = subprocess.Popen([sys.executable, here, world.server.url, str(tmp_path / "llm")], env=environment)
    for _ in range(6):  # four answers, two calls under way
        assert arrived.acquire(timeout=60)
    child.send_signal(signal.SIGKILL)
    child.wait(20)
    released.set()
    seen = [r["messages"][1]["content"] for r in world.server.requests]
    resumed = world.proposer(concurrency=2)
    proposals = resumed.propose(tasks(8))
    asked_again = [r["messages"][1]["content"] for r in world.server.requests[len(seen) :]]
    assert not set(asked_again) & set(seen[:4]) and len(asked_again) == 4  # only what was never answered
    assert proposals == world.proposer(folder="uninterrupted").propose(tasks(8))


def test_a_run_replays_from_its_folder_without_network(world, monkeypatch):
    replies = [answer(PYTHON), answer("nothing"), error(400, "bad"), answer()]
    world.server.script["a"] = lambda body, number: replies[number % 4]
    world.server.script["b"] = lambda body, number: answer()
    original = world.proposer("a=2 b", samples=2, temperature=0.7, params={"top_p": 0.9}, usd=0.05)
    proposals = original.propose(tasks(6))
    asked = len(world.server.requests)
    monkeypatch.delenv("OPENAI_API_KEY")
    for place in (world.folder, world.folder / "llm"):  # the run's folder or its llm folder
        backend, settings = open_replay(LLMSettings((Model(f"replay:{place}"),), usd=0.05), "demo")
        copy = world.folder / f"copy{place.name}" / "llm"
        replay = LLMProposer(settings, backend, copy, refuse)
        assert replay.propose(tasks(6)) == proposals
        assert replay.summary() == original.summary()
        assert contents(copy) == contents(world.folder / "llm")
    assert len(world.server.requests) == asked


def test_plain_files_are_answers_for_their_heads(tmp_path):
    (tmp_path / "mini_L0H0.py").write_text(PYTHON.strip("`").removeprefix("python\n"))
    (tmp_path / "mini_L0H2.pattern").write_text("when k == 0 add 1\n")
    (tmp_path / "mini_L0H2_2.md").write_text(f"I think:\n{PROGRAM}\n")
    (tmp_path / "other_L0H1.py").write_text("x")
    (tmp_path / "README.md").write_text("not an answer")
    settings = LLMSettings((Model(f"replay:{tmp_path}"),))
    for spec, target in ((f"{tmp_path}", "/models/Mini-LM"), (f"{tmp_path}/mini", "whatever")):
        backend, replayed = open_replay(LLMSettings((Model(f"replay:{spec}"),)), target)
        assert isinstance(backend, FileReplay)
        proposer = LLMProposer(replayed, backend, tmp_path / "run" / "llm", refuse)
        proposals = proposer.propose(tasks(3))
        assert [(p.head, p.status) for p in proposals] == [((0, 0), "refused"), ((0, 2), "parsed"), ((0, 2), "parsed")]
        assert proposer.summary()["calls"] == 3 and proposer.summary()["usd"] == 0
        assert proposer.propose(tasks(3, round=1)) == []  # every file is used once
        assert proposer.plan([Progress((0, 1), 0, None)], 1) == []
    with pytest.raises(ValueError, match=r"none is named like 'demo'; say replay:.*/mini or replay:.*/other"):
        open_replay(settings, "demo")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda folder: None, "no folder"),
        (lambda folder: folder.mkdir(), "neither the answers of a run"),
        (lambda folder: (folder.mkdir(), (folder / "settings.json").write_text("{}")), "damaged"),
    ],
)
def test_a_folder_that_cannot_be_replayed_is_an_error(tmp_path, make, says):
    make(tmp_path / "f")
    with pytest.raises(ValueError, match=says):
        open_replay(LLMSettings((Model(f"replay:{tmp_path / 'f'}"),)), "demo")


def test_the_key_is_nowhere(world, capfd, monkeypatch):
    """A server that repeats the key in its errors and its answers; a traceback with all its chained exceptions."""
    monkeypatch.setenv("HEADSCRIPT_TEST_TOKEN", "another-marker-0815")
    leak = f"key {KEY} another-marker-0815 Bearer sk-abcdef123456"
    replies = [answer(f"{leak}\n{PROGRAM}"), error(400, leak), answer("", refusal=leak), error(500, leak), error(401, leak)]
    world.server.script["a"] = lambda body, number: replies[min(number, 4)]
    proposer = world.proposer(retries=0)
    proposals = proposer.propose(tasks(6))
    try:
        proposer.backend.complete(Request("openai/a", (("user", "x"),), (), 0, (0, 0)))
        shown = "no error"
    except BackendError:
        shown = traceback.format_exc()
    stored = b"".join(contents(world.folder / "llm").values()).decode()
    out, err = capfd.readouterr()
    everything = "".join([stored, out, err, shown, str(world.said), str(proposals), json.dumps(proposer.summary())])
    assert KEY not in everything and "another-marker-0815" not in everything
    assert "sk-abcdef" not in "".join([out, err, shown, str(world.said)])
    assert len(world.said) >= 4  # each kind of failure had its line


class Fixed:
    """A backend of the test's own: the protocol is one method."""

    def complete(self, request):
        return Answer(PROGRAM, Usage(1, 1), 0.0)


def test_any_object_with_complete_is_a_backend(world):
    assert len(world.proposer(backend=Fixed()).propose(tasks(2))) == 2
    assert world.server.requests == []
