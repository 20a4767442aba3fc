"""Settings from options and files, and what is ready before anything is asked."""

import argparse
import subprocess
import sys

import pytest
from chat_server import KEY, previous_token_evidence

from search.llm.options import add_options, describe, llm_settings
from search.llm.proposer import HeadTask
from search.llm.scrub import one_line, scrub, sounds_secret
from search.llm.settings import LLMSettings, Model, Price, from_record, parse_models, read_settings, to_record
from search.llm.start import dry_run, open_llm

PLAIN = LLMSettings((Model("openai/x"),))


def test_models_and_weights():
    assert parse_models(["openai/a", "ollama/b:7b=2.5"]) == (Model("openai/a"), Model("ollama/b:7b", 2.5))
    assert parse_models(["replay:/some/run=1"]) == (Model("replay:/some/run=1"),)
    for names, says in (
        (["a=x"], "weight"),
        (["a", "a"], "twice"),
        (["replay:x", "a"], "combined"),
        (["a=0"], "above 0"),
        ([], "no model"),
    ):
        with pytest.raises(ValueError, match=says):
            LLMSettings(parse_models(names))


def test_a_settings_file(tmp_path):
    path = tmp_path / "llm.toml"
    path.write_text(
        'temperature = 0.7\nmax_tokens = 900\ntimeout = 5\nsamples = 2\n[params]\ntop_p = 0.9\nstop = ["END"]\n'
        '[prices."openai/x"]\ninput = 0.5\noutput = 2\n'
    )
    settings = read_settings(path, PLAIN)
    assert settings.parameters() == {"temperature": 0.7, "max_tokens": 900, "top_p": 0.9, "stop": ["END"]}
    assert (settings.timeout, settings.samples, settings.prices) == (5.0, 2, {"openai/x": Price(0.5, 2.0)})
    assert from_record(to_record(settings), PLAIN).parameters() == settings.parameters()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("temprature = 1", "unknown setting 'temprature': did you mean 'temperature'"),
        ("top_p = 1", r"under \[params\]"),
        ('timeout = "long"', "timeout must be a number"),
        ("samples = 1.5", "samples must be a number"),
        ("max_tokens = true", "max_tokens must be a number"),
        ("samples = 0", "at least 1"),
        ("concurrency = 33", "at most 32"),
        ("temperature = -1", "at least 0"),
        ('[params]\napi_key = "x"', "environment only"),
        ('[params]\nextra_headers = "x"', "environment only"),
        ("[params]\ntemperature = 1", "of its own"),
        ('[prices."m"]\ninput = 1', "needs input and output"),
        ("= 1", "not TOML"),
    ],
)
def test_a_settings_file_that_is_wrong(tmp_path, text, says):
    path = tmp_path / "llm.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=says) as caught:
        read_settings(path, PLAIN)
    assert "llm.toml" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("url", ["localhost:8000", "http://", "http://me:pw@host/v1", "https://host/v1?key=1"])
def test_base_urls_that_cannot_be_meant(url):
    with pytest.raises(ValueError, match="URL"):
        LLMSettings((Model("openai/x"),), base_url=url)


def test_an_unknown_price_is_refused_at_the_start_unless_the_file_gives_it(server):
    with pytest.raises(ValueError, match=r"price of openai/x is not known.*settings file"):
        open_llm(LLMSettings((Model("openai/x"),), base_url=server.url, usd=1.0), "demo")
    open_llm(LLMSettings((Model("openai/x"),), base_url=server.url, usd=1.0, prices={"openai/x": Price(0, 0)}), "demo")
    open_llm(LLMSettings((Model("openai/gpt-4o"),), base_url=server.url, usd=1.0), "demo")
    assert server.requests == []


def test_a_dry_run_needs_no_key_and_calls_nobody(server, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    settings = LLMSettings((Model("openai/gpt-4o"), Model("openai/x")), base_url=server.url, samples=2, calls=5)
    opened = open_llm(settings, "demo", dry_run=True)
    found = dry_run(opened, [HeadTask(previous_token_evidence(0, h)) for h in range(4)])
    assert server.requests == [] and len(found.prompts) == 5
    assert {p["model"] for p in found.prompts} == {"openai/gpt-4o", "openai/x"} and found.usd is None
    assert "Head L0H1" in found.text() and "5 calls" in found.text() and "unknown" in found.text()
    priced = open_llm(LLMSettings((Model("openai/gpt-4o"),), max_tokens=1000), "demo", dry_run=True)
    cost = dry_run(priced, [HeadTask(previous_token_evidence())])
    assert cost.usd == pytest.approx((cost.prompt_tokens * 2.5 + 1000 * 10) / 1e6) and 500 < cost.prompt_tokens < 4000


def test_secrets_by_name_and_by_shape(monkeypatch):
    monkeypatch.setenv("MY_SERVICE_TOKEN", "plainlookingvalue")
    for name in ("OPENAI_API_KEY", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "api_key", "extra_headers", "Authorization"):
        assert sounds_secret(name), name
    for name in ("max_tokens", "max_completion_tokens", "top_k", "temperature", "TOKENIZERS_PARALLELISM", "monkey"):
        assert not sounds_secret(name), name
    text = "Bearer abc.def x-api-key: 123456 sk-proj-12345678 plainlookingvalue https://me:pass@host/?key=zzz"
    assert not any(secret in scrub(text) for secret in ("abc.def", "123456", "sk-proj", "plainlooking", "me:pass", "zzz"))
    assert scrub("key_positions = [sk_value, hf_index]") == "key_positions = [sk_value, hf_index]"
    assert "\n" not in one_line("a\nb") and len(one_line("x" * 1000)) == 240


def test_importing_the_package_is_light():
    code = (
        "import sys, search.llm.start, search.llm.proposer; print(sorted({'litellm', 'torch', 'numpy', 'lark'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_the_marker_key_is_what_the_other_tests_think(server):
    import os

    assert os.environ["OPENAI_API_KEY"] == KEY and scrub(f"x {KEY} y") == "x [hidden] y"


def options(*given):
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_options(parser)
    return llm_settings(parser.parse_args(given))


def test_options_become_settings(tmp_path):
    (tmp_path / "s.toml").write_text("temperature = 0.5")
    found = options(
        *("--llm", "openai/a", "--llm", "openai/b=3", "--llm-base-url", "http://localhost:1/v1", "--llm-calls", "7"),
        *("--llm-tokens", "900", "--max-usd", "0.5", "--llm-settings", str(tmp_path / "s.toml"), "--llm-optional"),
    )
    models = (Model("openai/a"), Model("openai/b", 3.0))
    assert found == LLMSettings(models, "http://localhost:1/v1", 7, 900, 0.5, temperature=0.5, allow_failure=True)
    assert options() is None


@pytest.mark.parametrize(
    "given",
    [("--llm-calls", "3"), ("--max-usd", "1"), ("--llm-dry-run",), ("--llm-optional",), ("--prompt", "x"), ("--llm-settings", "x")],
)
def test_an_option_without_effect_is_refused(given):
    with pytest.raises(ValueError, match=f"^{given[0]} has no effect without --llm"):
        options(*given)


@pytest.mark.parametrize("given", [("--llm-calls", "-1"), ("--llm-calls", "1.5"), ("--max-usd", "nan"), ("--max-usd", "inf")])
def test_limits_that_are_none(given):
    with pytest.raises(argparse.ArgumentError):
        options("--llm", "openai/a", *given)


def test_a_summary_in_words():
    summary = {
        **{"calls": 3, "tokens": 360, "usd": None, "heads_served": 2, "heads_asked": 3, "failures": {"timeout": 2}, "not_sent": 4},
        "programs": {"lifted": 1, "parsed": 0, "refused": 2},
    }
    assert describe(summary) == [
        "language models: 3 calls, 360 tokens, cost unknown",
        "programs in their answers: 1 lifted, 2 refused",
        "heads served: 2 of 3 asked about",
        "failed calls: 2 x no answer in time",
        "not sent, for lack of budget, models or time: 4 requests",
    ]
