"""The live page in a real browser: type, edit, error, toggle a rule, fit, save, replace, two tabs, dark, phone, keyboard alone."""

import json
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from tests.harness.report.test_browser import BROWSER, DRIVER, FLAGS, all_texts, text, until

pytest.importorskip("selenium", reason="selenium is not installed")
uvicorn = pytest.importorskip("uvicorn", reason="uvicorn is not installed")
pytestmark = pytest.mark.skipif(not (BROWSER and DRIVER), reason="chromium or chromedriver is not installed")

IDLE = "document.documentElement.dataset.ready === 'yes' && document.documentElement.dataset.busy === 'no'"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """(workbench, link) of a server that runs beside the test."""
    import headscript
    from harness.live.app import application
    from harness.live.workbench import Workbench
    from tests.harness.conftest import make_tiny
    from tests.headscript.test_package import stories

    tiny = make_tiny("causal")
    out = tmp_path_factory.mktemp("live") / "run"
    run = headscript.explain(tiny.model, tiny.tokenizer, stories(20, 1), heads="L0", out=out, evaluations=800, library_size=2)
    run.session.target.model.set_attn_implementation("eager")
    bench = Workbench(run.session, run.outcome)
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(application(bench, lambda: "report", "token", port), log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    yield bench, f"http://127.0.0.1:{port}/token/"
    server.should_exit = True
    thread.join(20)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    options = Options()
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.binary_location = BROWSER
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def page(browser, served):
    """The live page, freshly opened. Afterwards: nothing on the console, nobody asked but its own server."""
    browser.set_window_size(1400, 1000)
    browser.get("about:blank")
    browser.get_log("browser"), browser.get_log("performance")
    browser.get(served[1])
    until(browser, IDLE)
    yield browser
    assert browser.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = {e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"}
    assert asked and all(url.startswith((served[1], "data:", "about:", "blob:", "chrome:")) for url in asked)


def write(browser, selector, content):
    """Replaces what stands in a box, as a person would."""
    from selenium.webdriver import Keys

    box = browser.find_element("css selector", selector)
    box.send_keys(Keys.CONTROL, "a")
    box.send_keys(Keys.DELETE)
    box.send_keys(content)
    time_of_input = browser.execute_script("return state.asked")
    until(browser, f"state.asked > {time_of_input - 1} && waiting !== 0 && {IDLE}")


def settled(browser, content):
    """Waits until what is drawn belongs to this program."""
    until(browser, "document.getElementById('program-source').value === " + json.dumps(content) + f" && {IDLE}")


def test_a_text_and_a_program_are_typed(page, served):
    bench, _ = served
    program = "when dist == 1 add 0.5\nwhen k == 0 add 0.5"
    write(page, "#text", "the bird saw the tree and ran .")
    write(page, "#program-source", program)
    expected = bench.look(page.execute_script("return state.head.name"), "the bird saw the tree and ran .", program)
    until(page, f"document.getElementById('scores').textContent.includes('IoU on select{expected['iou']:.3f}')")
    assert all_texts(page, "#text-true span") == expected["tokens"]
    assert all_texts(page, "#rules code") == [r["text"] for r in expected["rules"]]
    assert f"{expected['rules'][0]['adds']:+.3f}".replace("-", "−") in all_texts(page, "#rules .adds")[0]
    assert len(page.find_elements("css selector", "#matrices canvas")) == 3


def test_it_opens_on_the_head_that_teaches_most(page, served):
    heads = served[0].page()["heads"]
    opened = page.execute_script("return state.head.name")
    assert max(heads, key=lambda h: h["gain"])["gain"] == next(h["gain"] for h in heads if h["name"] == opened)


def test_errors_stand_at_their_places_as_one_types(page):
    write(page, "#program-source", "add 1\nwhen zebra(k) add 1\nadd horse")
    until(page, "document.querySelectorAll('#errors button').length === 2")
    first, second = all_texts(page, "#errors button")
    assert first.startswith("line 2, column 6") and second.startswith("line 3, column 5")
    page.find_elements("css selector", "#errors button")[1].click()
    box = "document.getElementById('program-source')"
    assert page.execute_script(
        f"return {box}.value.slice({box}.selectionStart).startsWith('horse') && document.activeElement === {box}"
    )
    write(page, "#program-source", "add 1")
    until(page, "document.querySelectorAll('#errors button').length === 0")


def test_a_rule_is_switched_off_and_on(page):
    write(page, "#program-source", "when dist == 1 add 0.5\nwhen k == 0 add 0.5")
    until(page, "document.querySelectorAll('#rules li').length === 2")
    before = text(page, "#scores")
    page.find_element("css selector", "#rules [data-rule='1']").click()
    until(page, "document.querySelector('#rules li.off') !== null")
    assert text(page, "#scores") != before and "would add" in all_texts(page, "#rules .adds")[1]
    page.find_element("css selector", "#rules [data-rule='1']").click()
    until(page, "document.querySelector('#rules li.off') === null")
    assert text(page, "#scores") == before


def test_pointing_at_a_token_looks_from_there(page):
    from selenium.webdriver import ActionChains

    until(page, "document.querySelectorAll('#text-program span').length > 3")
    token = page.find_element("css selector", "#text-program [data-token='2']")
    ActionChains(page, duration=0).move_to_element(token).perform()
    until(page, "document.querySelector('#text-true .query').dataset.token === '2'")
    assert page.execute_script("return view.q") == 2 and text(page, "#query-line").startswith("From token 2,")
    shown = page.execute_script("return [...document.querySelectorAll('#text-true span')].map(s => Number(s.title))")
    row = page.execute_script("return [...view.true.subarray(2 * view.n, 3 * view.n)]")
    assert shown == pytest.approx(row, abs=6e-4)


def test_fit_simplify_and_back(page):
    start = page.execute_script("return document.getElementById('program-source').value")
    write(page, "#program-source", "add 1 add 1 when dist == 1 add 3")
    page.find_element("id", "simplify").click()
    until(page, "!document.getElementById('program-source').value.includes('add 1 add 1')" + f" && {IDLE}")
    assert page.execute_script("return document.getElementById('program-source').value").count("add") == 2
    page.find_element("id", "fit").click()
    until(page, "!document.getElementById('program-source').value.includes('add 3')")
    page.find_element("id", "restore").click()
    settled(page, start)


def test_replacing_shows_what_the_model_does(page):
    page.find_element("id", "replace").click()
    until(page, "document.getElementById('goes-on-replaced') !== null")
    assert "Perplexity of the text" in text(page, "#replaced") and len(all_texts(page, "#next code")) == 10


def test_saving_tells_so_and_another_tab_sees_the_same_run(page, served):
    bench, link = served
    write(page, "#program-source", "when dist == 3 add 0.5 add 0.1")
    page.find_element("id", "save").click()
    until(page, "document.getElementById('said').textContent.startsWith('Saved')")
    pool = bench.session.folder.read("programs.json")
    assert "user" in pool["proposers"]
    first = page.current_window_handle
    page.switch_to.new_window("tab")
    page.get(link + "#L0H3")
    until(page, IDLE)
    assert page.execute_script("return state.head.name") == "L0H3"
    write(page, "#program-source", "when k == q add 1")
    page.close()
    page.switch_to.window(first)
    assert page.execute_script("return document.getElementById('program-source').value") == "when dist == 3 add 0.5 add 0.1"


def test_examples_follow_what_is_typed(page, served):
    bench, _ = served
    program = "when dist == 2 add 1\nwhen k == 0 add 0.2"
    write(page, "#program-source", program)
    found = bench.examples(page.execute_script("return state.head.name"), program)["examples"]
    wanted = [f"Text {t}, from token {q}," for which in ("least", "most") for t, q, *_ in found[which]]
    until(page, f"document.querySelectorAll('#examples-found .example').length === {len(wanted)}")
    until(
        page,
        f"JSON.stringify({json.dumps(wanted)}) === JSON.stringify([...document.querySelectorAll('.example .hint')]"
        ".map((p) => p.textContent.split(', “')[0] + ','))",
    )


def test_the_largest_program_can_be_taken_up(page, served):
    bench, _ = served
    full = next((h for h in bench.page()["heads"] if h["full"]), None)
    if full is None:  # a short search may find one program a head
        page.execute_script("Object.assign(DATA.heads[0], {full: {program: 'add 1\\nwhen k == q add 2', size: 8}, full_iou: 0.5})")
        full = {"name": page.execute_script("return DATA.heads[0].name"), "full": {"program": "add 1\nwhen k == q add 2"}}
    page.execute_script(f"return openHead('{full['name']}')")
    page.find_element("css selector", "#full summary").click()
    assert "\n".join(all_texts(page, "#full-program code")) == full["full"]["program"]
    page.find_element("id", "take-full").click()
    settled(page, full["full"]["program"])


def test_without_language_models_and_concepts_nothing_of_them_is_seen(page):
    assert not page.find_element("id", "shorter").is_displayed() and not page.find_element("id", "concepts").is_displayed()


@pytest.fixture
def talking(served, tmp_path, monkeypatch):
    """The link of a second page over the same run: a language model at a server of the test, a concept of the run."""
    import sys
    from argparse import ArgumentParser
    from dataclasses import replace
    from pathlib import Path

    sys.path.insert(0, str(Path(__file__).parents[1] / "search" / "llm"))
    from chat_server import KEY, ChatServer, answer, error

    from harness.commands import serve
    from harness.live.app import application
    from harness.live.workbench import Workbench

    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server, bench = ChatServer(), served[0]
    server.script["a"] = lambda body, number: (
        error(401, "no such key") if number else answer("```pattern\nwhen here(k) add 1\nwhen dist == 1 add 1\n```")
    )
    description = bench.session.description
    settings = {**description["settings"], "concepts": {"here": "concept here(p) = p == 1"}}
    session = replace(bench.session, description={**description, "settings": settings}, loaded=bench.session.target)
    parser = ArgumentParser()
    serve.arguments(parser)
    args = parser.parse_args(["RUN", "--llm", "openai/a", "--llm-base-url", server.url])
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    app = application(Workbench(session, bench.outcome, serve.adviser(args, tmp_path)), lambda: "report", "token", port)
    running = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{port}/token/"
    running.should_exit = True
    thread.join(20)


def test_a_language_model_proposes_and_the_run_s_concepts_are_at_hand(browser, talking):
    from selenium.webdriver.support.ui import WebDriverWait

    def wait(condition):
        WebDriverWait(browser, 60, poll_frequency=0.05).until(lambda b: b.execute_script(f"return {condition}"))

    browser.set_window_size(1400, 1000)
    browser.get(talking)
    until(browser, IDLE)
    assert "concept here(p) = p == 1" in all_texts(browser, "#concept-list code")
    write(browser, "#program-source", "when here(k) add 1\nwhen dist == 1 add 2\nwhen dist == 2 add 0.01")
    until(browser, "document.querySelectorAll('#rules li').length === 3")
    assert all_texts(browser, "#errors button") == []
    browser.find_element("id", "shorter").click()
    wait("document.getElementById('take') !== null")
    assert "openai/a proposes size" in text(browser, "#proposal") and "1 call, 120 tokens" in text(browser, "#proposal")
    proposed = "\n".join(all_texts(browser, "#proposal code"))
    browser.find_element("id", "take").click()
    settled(browser, proposed)
    assert all_texts(browser, "#errors button") == [] and text(browser, "#proposal") == ""
    browser.find_element("id", "shorter").click()
    wait("document.getElementById('proposal').textContent.includes('wrong or missing key')")
    assert browser.find_element("id", "shorter").is_enabled()


def test_a_phone_in_the_dark(page):
    page.set_window_size(420, 900)
    page.find_element("id", "theme").click()
    assert page.execute_script("return document.documentElement.dataset.theme") in ("dark", "light")
    write(page, "#text", "dog " * 120)
    until(page, "view.n > 60")
    assert page.execute_script("return document.documentElement.scrollWidth <= innerWidth")


def test_the_keyboard_alone(page):
    from selenium.webdriver import ActionChains, Keys

    def press(*keys):
        ActionChains(page, duration=0).send_keys(*keys).perform()

    page.execute_script("document.querySelector('.skip').focus()")
    wanted = {"program-source", "fit", "simplify", "save", "text", "replace", "matrices"}
    seen = set()
    for _ in range(60):
        press(Keys.TAB)
        seen.add(page.execute_script("return document.activeElement.id || document.activeElement.dataset.rule"))
        if page.execute_script("return document.activeElement.id") == "matrices":
            break
    assert wanted <= seen and "0" in seen
    start = page.execute_script("return [view.q, view.k]")
    press(Keys.ARROW_UP)
    assert page.execute_script("return [view.q, view.k]") == [start[0] - 1, start[1]]


def test_the_command_prints_a_link_and_ctrl_c_ends_it(tmp_path):
    from tests.harness.report.conftest import make_run

    run = make_run(tmp_path / "run")
    process = subprocess.Popen(
        [sys.executable, "-m", "harness.cli", "serve", str(run.path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        link = process.stdout.readline().strip()
        import urllib.error
        import urllib.request

        deadline = time.monotonic() + 30
        while True:
            try:
                page = urllib.request.urlopen(link, timeout=10).read().decode()
                break
            except urllib.error.URLError:
                assert time.monotonic() < deadline
        assert "L0H1" in page and link.startswith("http://127.0.0.1:")
        assert "head-title" in urllib.request.urlopen(link + "report", timeout=20).read().decode()
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(link[: link.index("/", 9)] + "/", timeout=10)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
        assert process.returncode == 0 and "Traceback" not in said
        assert all(line.startswith("headscript: ") for line in said.splitlines())
    finally:
        process.kill()
