"""Rounds with tools over a scripted backend, in both protocols: one method is all that a backend needs."""

import json
from itertools import pairwise

import pytest
from chat_server import previous_token_evidence
from desks import TRUTH, desk

from search.llm.backend import Answer, BackendError, ToolCall, Usage
from search.llm.prompt import default_template
from search.llm.proposer import HeadTask, LLMProposer
from search.llm.refine import RoundState
from search.llm.replay import open_replay
from search.llm.settings import LLMSettings, Model, Price
from search.llm.start import Opened, dry_run
from search.validate import LiftRecord

FIRST = "when dist == 1 add 1"
BROKEN = "whne dist == 1 add 1\nwhen k == 0 add 1"
PLAN = [
    [("queries", {}), ("try", {"programs": [FIRST, BROKEN]})],
    [("rows", {"worst": 2}), ("columns", {})],
    [("try", {"programs": [TRUTH]})],
]


def native(calls, text=""):
    return Answer(text, Usage(100, 20), 0.0, "tool_calls", calls=tuple(
        ToolCall(f"c{i}", name, json.dumps(arguments)) for i, (name, arguments) in enumerate(calls)
    ))  # fmt: skip


def written(calls):
    parts = []
    for name, arguments in calls:
        body = "\n---\n".join(arguments["programs"]) if name == "try" else "\n".join(f"{k}: {v}" for k, v in arguments.items())
        parts.append(f"```{name}\n{body}\n```")
    return Answer("Let me look.\n" + "\n".join(parts), Usage(100, 20), 0.0)


SPEAK = {"native": native, "text": written}


class Scripted:
    """Answers the n-th request of a head with the n-th entry of its script, then with a farewell."""

    def __init__(self, speak, plan=PLAN):
        self.speak, self.plan, self.requests = speak, plan, []

    def complete(self, request):
        self.requests.append(request)
        number = sum(m[0] == "assistant" for m in request.messages)
        step = self.plan[number] if number < len(self.plan) else None
        if isinstance(step, BackendError):
            raise step
        if isinstance(step, Answer):
            return step
        return self.speak(step) if step else Answer("That is all.", Usage(100, 5), 0.0)


def proposer(backend, folder, translate=lambda source: LiftRecord("refused", reason="no"), **changes):
    settings = LLMSettings((Model("scripted"),), **{"protocol": "text", "concurrency": 1, **changes})
    return LLMProposer(settings, backend, folder, translate)


def tasks(heads=1, **changes):
    return [HeadTask(previous_token_evidence(0, h), RoundState(), desk(**changes), "nothing is known") for h in range(heads)]


@pytest.mark.parametrize("protocol", SPEAK)
def test_what_was_tried_comes_back_with_its_merit_and_reasons(protocol, tmp_path):
    backend = Scripted(SPEAK[protocol])
    asking = proposer(backend, tmp_path, protocol=protocol)
    proposals = asking.converse(tasks())
    assert [p.status for p in proposals] == ["parsed", "unusable", "parsed"]
    assert [p.merit is None for p in proposals] == [False, True, False] and proposals[2].merit > proposals[0].merit
    assert "did you mean 'when'" in proposals[1].reason
    assert [p.key for p in proposals] == [backend.requests[0].key] * 2 + [backend.requests[2].key]
    assert asking.endings == [{"head": [0, 0], "rounds": 4, "ended": "the model was done"}]
    assert asking.summary()["programs"]["parsed"] == 2 and asking.verdict() is None


@pytest.mark.parametrize("protocol", SPEAK)
def test_each_round_sees_what_the_tools_said(protocol, tmp_path):
    backend = Scripted(SPEAK[protocol])
    proposer(backend, tmp_path, protocol=protocol).converse(tasks())
    last = backend.requests[-1].messages
    text = "\n".join(m[1] for m in last)
    for part in (
        "Weight by query",
        "#1: merit",
        "did you mean 'when'",
        "Worst rows of #1",
        "The head gives more",
        "#3: merit",
        "5 rounds left",
    ):
        assert part in text
    assert all(later.messages[: len(b.messages)] == b.messages for b, later in pairwise(backend.requests))


def test_both_protocols_say_the_same(tmp_path):
    said = []
    for protocol, speak in SPEAK.items():
        backend = Scripted(speak)
        proposer(backend, tmp_path / protocol, protocol=protocol).converse(tasks())
        results = [m[1] for m in backend.requests[-1].messages if m[0] in ("tool", "user")][1:]
        said.append("\n".join(results))
    lines = [sorted(line for line in text.split("\n") if line and not line.startswith("[")) for text in said]
    assert lines[0] == lines[1]


def test_native_messages_are_those_of_the_protocol(tmp_path):
    backend = Scripted(native)
    proposer(backend, tmp_path, protocol="native").converse(tasks())
    request = backend.requests[1]
    assert {t["function"]["name"] for t in json.loads(request.tools)} >= {"try", "rows", "columns", "queries", "texts", "others"}
    assistant, *tools = request.messages[2:]
    identities = [c["id"] for c in json.loads(assistant[2])["tool_calls"]]
    assert [json.loads(t[2])["tool_call_id"] for t in tools] == identities == ["c0", "c1"]
    assert backend.requests[0].tools and not Scripted(written).requests


def test_programs_without_a_label_are_tried(tmp_path):
    backend = Scripted(None, [Answer(f"I think:\n```pattern\n{FIRST}\n```", Usage(1, 1), 0.0)])
    (proposal,) = proposer(backend, tmp_path).converse(tasks())
    assert proposal.status == "parsed"


@pytest.mark.parametrize("rounds", [1, 2])
def test_rounds_are_limited(rounds, tmp_path):
    backend = Scripted(written)
    asking = proposer(backend, tmp_path, rounds=rounds)
    asking.converse(tasks(heads=2))
    assert len(backend.requests) == 2 * rounds and {e["ended"] for e in asking.endings} == {"all rounds were used"}


@pytest.mark.parametrize("limits", [{"calls": 3}, {"tokens": 360}, {"usd": 0.0003}])
def test_a_conversation_cut_by_the_budget_keeps_what_it_has(limits, tmp_path):
    class Priced(Scripted):
        def complete(self, request):
            answer = super().complete(request)
            return Answer(answer.text, answer.usage, 0.0001, calls=answer.calls)

    backend = Priced(written)
    settings = LLMSettings((Model("m"),), protocol="text", concurrency=1, **limits)
    asking = LLMProposer(settings, backend, tmp_path, lambda s: LiftRecord("refused"), prices={"m": Price(0, 0)})
    proposals = asking.converse(tasks(heads=2))
    assert len(backend.requests) == 3
    assert [p.status for p in proposals] == ["parsed", "unusable"] * 2  # both heads had their first round
    assert all(e["ended"].startswith("cut: the budget") for e in asking.endings)


def test_a_call_that_fails_ends_its_conversation_alone(tmp_path):
    class OneFails(Scripted):
        def complete(self, request):
            if request.head == (0, 1) and len(request.messages) > 2:
                raise BackendError("timeout", "slow")
            return super().complete(request)

    asking = proposer(OneFails(written), tmp_path, retries=0)
    proposals = asking.converse(tasks(heads=2))
    assert [e["ended"] for e in asking.endings] == ["the model was done", "cut: no answer in time"]
    assert [p.head for p in proposals] == [(0, 0)] * 3 + [(0, 1)] * 2
    assert asking.failures() == [{"head": [0, 1], "kind": "timeout", "message": "slow"}]


class Killed(Exception):
    pass


@pytest.mark.parametrize("protocol", SPEAK)
@pytest.mark.parametrize("after", [1, 2, 3])
def test_an_interrupted_conversation_goes_on_from_the_stored_answers(protocol, after, tmp_path):
    class Dying(Scripted):
        def complete(self, request):
            if len(self.requests) == after:
                raise KeyboardInterrupt
            return super().complete(request)

    with pytest.raises(KeyboardInterrupt):
        proposer(Dying(SPEAK[protocol]), tmp_path / "a", protocol=protocol).converse(tasks())
    rest, whole = Scripted(SPEAK[protocol]), Scripted(SPEAK[protocol])
    resumed = proposer(rest, tmp_path / "a", protocol=protocol).converse(tasks())
    assert resumed == proposer(whole, tmp_path / "b", protocol=protocol).converse(tasks())
    assert len(rest.requests) == 4 - after
    contents = [{p.name: p.read_bytes() for p in (tmp_path / x).iterdir()} for x in "ab"]
    assert contents[0] == contents[1]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("```rows\nwhat?\n```", "is no `name: value`"),
        ("```rows\nnumber: 3\n```", "takes no 'number'"),
        ('```rows\n{"worst": 2}\n```', "Worst rows"),
    ],
)
def test_calls_as_models_write_them(body, says, tmp_path):
    plan = [[("try", {"programs": [FIRST]})], Answer(f"<think>```try\nadd 9\n```</think>\n{body}", Usage(1, 1), 0.0)]
    backend = Scripted(written, plan)
    proposals = proposer(backend, tmp_path).converse(tasks())
    assert len(proposals) == 1 and says in backend.requests[-1].messages[-1][1]


def test_a_dry_run_shows_the_first_messages_of_conversations(tmp_path):
    settings = LLMSettings((Model("m"),), protocol="text")
    backend = Scripted(written)
    found = dry_run(Opened(settings, backend, {"m": None}, default_template()), tasks(heads=2))
    proposer(backend, tmp_path).converse(tasks())
    assert [p["head"] for p in found.prompts] == ["L0H0", "L0H1"]
    assert [(m["role"], m["content"]) for m in found.prompts[0]["messages"]] == list(backend.requests[0].messages)


@pytest.mark.parametrize("protocol", SPEAK)
def test_conversations_replay_from_their_folder(protocol, tmp_path):
    recorded = proposer(Scripted(SPEAK[protocol]), tmp_path / "a", protocol=protocol).converse(tasks(heads=2))
    backend, settings = open_replay(LLMSettings((Model(f"replay:{tmp_path / 'a'}"),)), "demo")
    replayed = LLMProposer(settings, backend, tmp_path / "b", lambda source: LiftRecord("refused", reason="no"))
    assert replayed.converse(tasks(heads=2)) == recorded
    assert settings.protocol == protocol and replayed.failures() == []


class WithoutTools(Scripted):
    """A server that knows no tools."""

    def __init__(self, says):
        super().__init__(written)
        self.says, self.refused = says, 0

    def complete(self, request):
        if request.tools:
            self.refused += 1
            raise self.says
        return super().complete(request)


@pytest.mark.parametrize(
    "says", ["m does not support tools", "Unrecognized request argument: functions", '"auto" tool choice requires …']
)
def test_where_the_server_takes_no_tools_they_go_in_plain_text(says, tmp_path):
    backend = WithoutTools(BackendError("request", says))
    asking = proposer(backend, tmp_path / "a", protocol="native")
    found = asking.converse(tasks(heads=8))
    assert backend.refused == 1 and asking.failures() == [] and {e["ended"] for e in asking.endings} == {"the model was done"}
    plain = proposer(Scripted(written), tmp_path / "b").converse(tasks(heads=8))
    assert [(p.source, p.status, p.merit) for p in found] == [(p.source, p.status, p.merit) for p in plain]
    asking.converse(tasks())
    assert backend.refused == 1  # it is not asked again
    resumed = proposer(WithoutTools(BackendError("request", says)), tmp_path / "c", protocol="native")
    resumed.restore(asking.state())
    resumed.converse(tasks())
    assert resumed.backend.refused == 0
    backend, settings = open_replay(LLMSettings((Model(f"replay:{tmp_path / 'a'}"),)), "demo")
    assert settings.protocol == "text"


def test_a_request_that_fails_for_another_reason_is_a_failure(tmp_path):
    backend = WithoutTools(BackendError("request", "temperature must be 1"))
    asking = proposer(backend, tmp_path, protocol="native")
    assert asking.converse(tasks()) == [] and len(asking.failures()) == 1
