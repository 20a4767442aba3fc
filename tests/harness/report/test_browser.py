"""The page in a real browser: what a reader sees, with the mouse and with the keyboard."""

import json
import shutil

import numpy as np
import pytest

from dsl import Batch, english, evaluate, parse
from harness.report import colours, write_report
from harness.report.examples import examples
from harness.report.fired import fired
from harness.session import open_run, outcome_of

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(not (BROWSER and DRIVER), reason="chromium or chromedriver is not installed")

LOADED = "document.getElementById('matrices').getAttribute('aria-busy') === 'false'"
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-device-scale-factor=1",
    "--window-size=1400,1000",
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
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


@pytest.fixture(scope="module")
def address(run, tmp_path_factory):
    session = open_run(run.path)
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_report(session, outcome_of(session), path)
    return path.as_uri()


@pytest.fixture
def page(browser, address):
    """The report, freshly opened. Afterwards: nothing on the console, no request but for the file itself."""
    browser.set_window_size(1400, 1000)
    browser.get("about:blank")
    browser.get_log("browser"), browser.get_log("performance")
    browser.get(address)
    until(browser, "document.documentElement.dataset.ready === 'yes'")
    yield browser
    # Reading pixels back is the tests' doing; a browser remarks on it.
    assert [e for e in browser.get_log("browser") if "getImageData" not in e["message"]] == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = {e["params"]["request"]["url"].split("#")[0] for e in events if e["method"] == "Network.requestWillBeSent"}
    assert {url for url in asked if not url.startswith(("data:", "about:", "blob:", "chrome:"))} <= {address}
    assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0


def until(browser, condition):
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(browser, 10, poll_frequency=0.02).until(lambda b: b.execute_script(f"return {condition}"))


def text(browser, selector):
    return browser.execute_script("return document.querySelector(arguments[0]).textContent", selector)


def all_texts(browser, selector):
    return browser.execute_script("return [...document.querySelectorAll(arguments[0])].map(e => e.textContent)", selector)


def open_head(browser, record):
    browser.find_element("css selector", f"[data-head=L{record['layer']}H{record['head']}]").click()
    until(browser, f"document.getElementById('head-title').textContent === 'L{record['layer']}H{record['head']}'")
    until(browser, "document.querySelectorAll('#front-program li').length > 0")
    until(browser, LOADED)


def point_at(browser, view, q, k):
    """Moves the mouse to the middle of a cell of a matrix."""
    from selenium.webdriver import ActionChains

    canvas = browser.find_element("css selector", f"canvas[data-view={view}]")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", canvas)
    g = browser.execute_script("const g = geometry(arguments[0]); return [g.margin, g.cell, arguments[0].clientWidth]", canvas)
    x, y = (round(g[0] + (i + 0.5) * g[1] - g[2] / 2) for i in (k, q))
    ActionChains(browser, duration=0).move_to_element_with_offset(canvas, x, y).perform()
    until(browser, f"document.querySelector('#cell dt').textContent === 'query {q}'")


def pixel(browser, view, q, k):
    """The colour in the middle of a cell."""
    found = browser.execute_script(
        "const c = document.querySelector(`canvas[data-view=${arguments[0]}]`), g = geometry(c);"
        "const at = (i) => Math.round((g.margin + (i + 0.5) * g.cell) * c.width / c.clientWidth);"
        "return [...c.getContext('2d').getImageData(at(arguments[2]), at(arguments[1]), 1, 1).data].slice(0, 3)",
        view,
        q,
        k,
    )
    return "#" + "".join(f"{c:02x}" for c in found)


def expected(run, record, index):
    """(text, the model's matrix, the program's, the rules that fire) computed apart from the page."""
    here = run.folder.texts("test")[index]
    program, batch = parse(record["program"]), Batch([here])
    true = open_run(run.path).store("test").matrix(record["layer"], record["head"], index).astype(float)
    return here, true, evaluate(program, batch)[0].astype(float), fired(program, batch)[:, 0]


def shown_number(browser, name):
    return float(text(browser, f"#cell-{name}").replace("−", "-"))


def test_the_map_shows_every_head_and_the_means(page, run):
    outcome = run.folder.read("result.json")
    cells = page.execute_script(
        "return [...document.querySelectorAll('#map button')].map(b => [b.dataset.head, b.textContent, b.style.background])"
    )
    scale = colours.sequential(False)
    for name, label, ground in cells:
        record = next(r for r in run.records if f"L{r['layer']}H{r['head']}" == name)
        assert label == f"{100 * record['iou']['test']:.0f}"
        assert ground == "rgb({}, {}, {})".format(*colours.rgb(colours.at(scale, record["iou"]["test"])))
    assert len(cells) == len(run.records)
    figures = text(page, "#figures")
    for value in (outcome["mean_iou"]["test"], *outcome["interval"], outcome["library_mean_iou"]["test"]):
        assert f"{value:.3f}" in figures
    page.find_element("css selector", "#map-mode input[value=kind]").find_element("xpath", "..").click()
    labels = dict(
        page.execute_script("return [...document.querySelectorAll('#map button')].map(b => [b.dataset.head, b.textContent])")
    )
    assert labels == {f"L{r['layer']}H{r['head']}": colours.letters(r["kind"]) for r in run.records}
    assert all(r["kind"] in text(page, "#map-legend") for r in run.records)


def test_one_kind_of_text_needs_no_table_of_kinds(page):
    assert not page.find_element("id", "head-domains").is_displayed() and not page.find_element("id", "domains").is_displayed()


def test_every_kind_of_text_has_its_figures_and_the_gap_is_told(browser, make, tmp_path):
    run = make(tmp_path / "several", domains=["stories", "code", "laws"] * 2, held_out=("laws",))
    session = open_run(run.path)
    write_report(session, outcome_of(session), tmp_path / "report.html")
    browser.get((tmp_path / "report.html").as_uri())
    until(browser, "document.documentElement.dataset.ready === 'yes'")
    outcome = run.folder.read("result.json")
    open_head(browser, outcome["heads"][4])
    for table, figures, gap in (
        ("#head-domains", outcome["heads"][4]["domains"], outcome["heads"][4]["gap"]),
        ("#domains-table", outcome["domains"], outcome["gap"]),
    ):
        kinds = [f"{name}{' (held out)' * (name == 'laws')}" for name in ("stories", "code", "laws")]
        assert all_texts(browser, f"{table} tbody th") == [*kinds, "gap"]
        own = all_texts(browser, f"{table} tbody td:nth-child(2)")
        assert own == [*(f"{figures[name]['test']:.3f}" for name in ("stories", "code", "laws")), f"{gap:.3f}"]
    assert text(browser, "#head-headline") == outcome["heads"][4]["headline"]


def test_a_click_opens_a_head(page, run):
    for record in (run.records[3], run.records[1]):
        open_head(page, record)
        assert "\n".join(all_texts(page, "#program li code")) == record["program"]
        assert all_texts(page, "#program li .english") == english(parse(record["program"]))
        scores = text(page, "#head-scores")
        for split in ("fit", "select", "test"):
            assert f"{record['iou'][split]:.3f}" in scores and f"{record['library_iou'][split]:.3f}" in scores
        assert f"{record['interval'][0]:.3f} – {record['interval'][1]:.3f}" in scores
        assert text(page, "#head-kind") == record["kind"]
        assert text(page, "#map button[aria-selected=true]") == f"{100 * record['iou']['test']:.0f}"


def test_a_point_of_the_front_shows_its_program(page, run):
    record = run.records[0]
    open_head(page, record)
    points = page.find_elements("css selector", "#front-chart [data-point]")
    assert len(points) == len(record["front"])
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", points[1])
    points[1].click()
    assert "\n".join(all_texts(page, "#front-program li code")) == record["front"][1]["program"]
    assert f"{record['front'][1]['fit']:.3f} on fit" in text(page, "#front-line")


def test_cells_show_weights_and_rules(page, run):
    record = run.records[1]
    open_head(page, record)
    here, true, pattern, rules = expected(run, record, 0)
    lines = [str(rule) for rule in parse(record["program"]).rules()]
    scale, two_sided = colours.sequential(False), colours.diverging(False)
    for view, q, k in (("true", 7, 0), ("program", 9, 9), ("difference", 10, 4)):
        point_at(page, view, q, k)
        assert [text(page, "#cell-query"), text(page, "#cell-key")] == [
            t.replace(" ", "·").replace("\n", "↵") for t in (here.tokens[q], here.tokens[k])
        ]
        assert abs(shown_number(page, "true") - true[q, k]) <= 0.0006
        assert abs(shown_number(page, "program") - pattern[q, k]) <= 0.0006
        assert abs(shown_number(page, "difference") - (pattern - true)[q, k]) <= 0.0006
        wanted = [i for i in range(len(lines)) if rules[i, q, k]]
        assert all_texts(page, "#cell-rules code") == [lines[i] for i in wanted]
        assert all_texts(page, "#program li.on code") == [lines[i] for i in wanted]
        for name, matrix in (("true", true), ("program", pattern)):
            near = {colours.at(scale, np.sqrt(max(matrix[q, k] + d, 0))) for d in (-1e-4, 0, 1e-4)}
            assert pixel(page, name, q, k) in near
        difference = (pattern - true)[q, k]
        near = {
            colours.at(two_sided, (np.sign(d) * np.sqrt(abs(d)) + 1) / 2)
            for d in (difference - 2e-4, difference, difference + 2e-4)
        }
        assert pixel(page, "difference", q, k) in near
    assert {i for i in range(len(lines)) if rules[i].any()} == set(range(len(lines)))  # else the test shows little
    point_at(page, "true", 2, 8)
    assert text(page, "#cell-true") == "masked" and not all_texts(page, "#cell-rules code")


def test_another_text_and_the_library_program(page, run):
    record = next(
        r for r in run.records if r["program"] not in {str(parse(p["program"])) for p in run.folder.read("result.json")["library"]}
    )
    library = {p["id"]: p["program"] for p in run.folder.read("result.json")["library"]}
    open_head(page, record)
    from selenium.webdriver.support.ui import Select

    Select(page.find_element("id", "text")).select_by_index(2)
    until(page, "document.getElementById('text-line').textContent.startsWith('Held-out text 2')")
    assert f"{record['iou_per_text']['test'][2]:.3f}" in text(page, "#text-line")
    here, true, pattern, _ = expected(run, record, 2)
    n = len(here)
    until(page, LOADED)
    point_at(page, "program", n - 1, 1)
    assert abs(shown_number(page, "true") - true[n - 1, 1]) <= 0.0006
    assert abs(shown_number(page, "program") - pattern[n - 1, 1]) <= 0.0006
    page.find_element("css selector", "#program-mode input[value=library]").find_element("xpath", "..").click()
    other = library[record["library_program"]]
    until(page, "document.querySelector('#program code').textContent === " + json.dumps(other.splitlines()[0]))
    until(page, LOADED)
    point_at(page, "program", n - 2, 0)
    _, _, pattern, _ = expected(run, {**record, "program": other}, 2)
    assert abs(shown_number(page, "program") - pattern[n - 2, 0]) <= 0.0006


def test_tokens_with_markup_are_plain_text(page, run):
    index, q = next((i, t.tokens.index("</script>")) for i, t in enumerate(run.folder.texts("test")[:4]) if "</script>" in t.tokens)
    page.execute_script("return openText(arguments[0])", index)
    until(page, LOADED)
    point_at(page, "true", q, 0)
    assert text(page, "#cell-query") == "</script>"


def test_the_keyboard_alone(page, run):
    from selenium.webdriver import ActionChains, Keys

    def press(*keys):
        ActionChains(page, duration=0).send_keys(*keys).perform()

    page.execute_script("document.querySelector('[data-head=L0H0]').focus()")
    press(Keys.ARROW_UP, Keys.ARROW_RIGHT)
    assert page.execute_script("return document.activeElement.dataset.head") == "L1H1"
    assert "L1H1" in text(page, "#map-status")
    press(Keys.HOME, Keys.ARROW_LEFT, Keys.ENTER)
    until(page, "document.getElementById('head-title').textContent === 'L1H0'")
    outline = page.execute_script("return getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none"  # the focus is seen
    press(Keys.TAB)  # the map is one stop
    assert page.execute_script("return document.activeElement.closest('#map')") is None
    for _ in range(40):
        if page.execute_script("return document.activeElement.id") == "matrices":
            break
        press(Keys.TAB)
    start = page.execute_script("return [view.q, view.k]")
    press(Keys.ARROW_DOWN, Keys.ARROW_LEFT)
    assert page.execute_script("return [view.q, view.k]") == [start[0] + 1, start[1] - 1]
    assert all_texts(page, "#cell dt")[:2] == [f"query {start[0] + 1}", f"key {start[1] - 1}"]
    point = page.find_element("css selector", "#front-chart [data-point='0']")
    page.execute_script("arguments[0].focus()", point)
    press(Keys.ENTER)
    assert "\n".join(all_texts(page, "#front-program li code")) == run.records[3]["front"][0]["program"]
    right, left = Keys.ARROW_RIGHT, Keys.ARROW_LEFT
    for key, step in ((right, 1), (right, 2), (left, 1), (left, 0), (left, 0)):
        press(key)  # steps through the front, and stops at its ends
        assert page.execute_script("return document.activeElement.dataset.point") == str(step)
        assert "\n".join(all_texts(page, "#front-program li code")) == run.records[3]["front"][step]["program"]


def test_the_library_leads_to_its_heads(page, run):
    library = run.folder.read("result.json")["library"]
    entries = page.find_elements("css selector", "#library-programs details")
    assert [e.get_attribute("data-program") for e in entries] == [p["id"] for p in library]
    entry, program = next((e, p) for e, p in zip(entries, library, strict=True) if p["heads"])
    entry.find_element("tag name", "summary").click()
    chips = entry.find_elements("class name", "chip")
    served = {(r["layer"], r["head"]): r["library_iou"]["test"] for r in run.records}
    assert [c.text for c in chips] == [f"L{layer}H{head} {served[layer, head]:.3f}" for layer, head in program["heads"]]
    mean = sum(served[tuple(h)] for h in program["heads"]) / len(program["heads"])
    assert f"mean IoU {mean:.3f}" in entry.find_element("tag name", "summary").text
    chips[-1].click()
    layer, head = program["heads"][-1]
    assert text(page, "#head-title") == f"L{layer}H{head}"
    assert len(page.find_elements("css selector", "#cover-chart polyline")) == 4
    assert "greedy, test" in text(page, "#cover-chart") and "the library, after exchanges" in text(page, "#cover-chart")


def test_the_largest_program_is_there_as_details(page, run):
    record = next(r for r in run.records if r["full_program"]["program"] != r["program"])
    open_head(page, record)
    full = record["full_program"]
    assert f"size {full['size']}" in text(page, "#full summary") and f"{full['iou']['test']:.3f}" in text(page, "#full summary")
    page.find_element("css selector", "#full summary").click()
    until(page, "document.querySelectorAll('#full-program li').length > 0")
    assert "\n".join(all_texts(page, "#full-program code")) == full["program"]
    assert all_texts(page, "#full-program .english") == full["english"]
    same = next(r for r in run.records if r["full_program"]["program"] == r["program"])
    open_head(page, same)
    assert not page.find_element("id", "full").is_displayed()


def test_rules_have_the_numbers_that_english_and_tests_give_them(page, run):
    record = next(r for r in run.records if "{\n" in r["program"])
    open_head(page, record)
    numbers = page.execute_script(
        "let rule = 0; return [...document.querySelectorAll('#program li')].map((li) => {"
        "const style = getComputedStyle(li, '::before'); const counts = getComputedStyle(li).counterIncrement !== 'none';"
        "if (counts) rule += 1; return [li.dataset.rule === undefined ? null : Number(li.dataset.rule) + 1, counts ? rule : null,"
        "style.content !== '\"\"']; })"
    )
    assert all(rule == shown and (rule is not None) == visible for rule, shown, visible in numbers)
    assert [rule for rule, *_ in numbers if rule] == list(range(1, record["rules"] + 1))


def test_examples_shade_single_queries(page, run):
    from search import workspace

    record = run.records[2]
    open_head(page, record)
    until(page, "document.querySelectorAll('.example').length === 6")
    problem = workspace.problem(str(run.path), "test")
    found = examples(parse(record["program"]), problem, 2)
    wanted = [(t, q, a) for which in ("least", "most") for t, q, a, _ in found[which]]
    said = all_texts(page, ".example .hint")
    for (t, q, a), line in zip(wanted, said, strict=True):
        assert line.startswith(f"Text {t}, from token {q},") and line.endswith(f"agreement {a:.3f}")
    t, q, _ = wanted[0]
    here = run.folder.texts("test")[t]
    row = evaluate(parse(record["program"]), Batch([here]))[0, q, : q + 1]
    shown = page.execute_script(
        "return [...document.querySelectorAll('.example .shaded')[1].querySelectorAll('span')].map(s => Number(s.title))"
    )
    assert shown == pytest.approx(row.tolist(), abs=6e-4)
    before = page.execute_script("return document.querySelector('.example span').style.background")
    page.find_element("id", "theme").click()
    assert page.execute_script("return document.querySelector('.example span').style.background") != before


def test_words_of_a_program_lead_to_the_heads_that_use_them(page, run):
    page.execute_script(
        "DATA.heads[1].words = ['same']; DATA.meanings.same = 'alike'; return openHead(1)"
    )  # the made run has no word class
    chip = page.find_element("css selector", "#head-words .chip")
    assert chip.get_attribute("title") == "alike"
    chip.click()
    assert listed(page) == [
        f"L{r['layer']}H{r['head']}" for r in run.records if "same" in f"{r['kind']} {r['headline']} {r['program']}"
    ]


def test_heads_of_the_same_library_program_are_a_click_away(page, run):
    record = next(r for r in run.records if sum(o["library_program"] == r["library_program"] for o in run.records) > 1)
    open_head(page, record)
    others = [r for r in run.records if r["library_program"] == record["library_program"] and r is not record]
    assert all_texts(page, "#head-siblings .chip") == [f"L{r['layer']}H{r['head']}" for r in others]
    page.find_element("css selector", "#head-siblings .chip").click()
    assert text(page, "#head-title") == f"L{others[0]['layer']}H{others[0]['head']}"


def test_the_list_sorts_by_what_replacing_does(page, run):
    labels = all_texts(page, "#list th button")
    page.find_elements("css selector", "#list th button")[labels.index("effect")].click()
    assert listed(page) == run.folder.read("replace.json")["heads_in_order"]


def test_a_link_opens_its_head_and_on_a_phone_goes_to_it(page, address):
    page.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 390, "height": 760, "deviceScaleFactor": 1, "mobile": False}
    )
    try:
        page.get("about:blank")
        page.get(address + "#L1H2")
        until(page, "document.documentElement.dataset.ready === 'yes'")
        assert text(page, "#head-title") == "L1H2"
        until(page, "Math.abs(document.getElementById('head').getBoundingClientRect().top) < 100")
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def listed(page):
    return page.execute_script("return [...document.querySelectorAll('#list tbody tr')].map(r => r.dataset.listed)")


def fill(page, selector, value):
    page.execute_script(
        "const box = document.querySelector(arguments[0]); box.value = arguments[1]; box.dispatchEvent(new Event('input'))",
        selector,
        value,
    )


def test_the_list_sorts_filters_and_searches(page, run):
    def names(records):
        return [f"L{r['layer']}H{r['head']}" for r in records]

    assert listed(page) == names(run.records)
    for column, key in (
        (2, lambda r: r["iou"]["test"]),
        (3, lambda r: r["iou"]["test"] - r["baseline"]["test"]),
        (4, lambda r: r["size"]),
    ):
        page.find_elements("css selector", "#list th button")[column].click()
        by_name = {n: key(r) for n, r in zip(names(run.records), run.records, strict=True)}
        values = [by_name[n] for n in listed(page)]
        assert values == sorted(values, reverse=True)
        page.find_elements("css selector", "#list th button")[column].click()
        assert [by_name[n] for n in listed(page)] == sorted(values)
    page.find_elements("css selector", "#list th button")[0].click()
    wanted = [r for r in run.records if "same(text)" in r["program"]]
    fill(page, "#list-words", "same(text)")
    assert listed(page) == names(wanted) and wanted
    fill(page, "#list-words", "")
    kind = run.records[0]["kind"]
    fill(page, "#list-kind", kind)
    assert listed(page) == names([r for r in run.records if r["kind"] == kind])
    fill(page, "#list-kind", "")
    fill(page, "#list-layer", "1")
    assert listed(page) == names([r for r in run.records if r["layer"] == 1])
    fill(page, "#list-layer", "")
    fill(page, "#list-low", "0.6")
    assert listed(page) == names([r for r in run.records if r["iou"]["test"] >= 0.6])
    fill(page, "#list-low", "")
    page.find_element("css selector", "[data-listed=L1H1] button").click()
    until(page, "document.getElementById('head-title').textContent === 'L1H1'")


def test_the_page_opens_on_a_head_that_teaches_something(page, run):
    gains = {f"L{r['layer']}H{r['head']}": r["iou"]["test"] - r["baseline"]["test"] for r in run.records}
    assert gains[text(page, "#head-title")] == max(gains.values())
    assert page.execute_script("return location.hash") == f"#{text(page, '#head-title')}"


def test_the_text_is_shaded_by_the_query_under_the_pointer(page):
    from selenium.webdriver import ActionChains

    until(page, LOADED)
    place = page.find_element("css selector", "#text-true [data-token='5']")
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", place)
    ActionChains(page, duration=0).move_to_element(place).perform()
    until(page, "document.querySelector('#text-program .query').dataset.token === '5'")
    assert text(page, "#cell dt") == "query 5"
    shown = page.execute_script("return [...document.querySelectorAll('#text-program span')].map(s => Number(s.title))")
    assert shown == pytest.approx(page.execute_script("return [...view.program.subarray(5 * view.n, 6 * view.n)]"), abs=6e-4)


def test_the_head_stays_in_view_in_a_wide_window(page):
    style = "return getComputedStyle(document.getElementById('head')).position"
    assert page.execute_script(style) == "sticky"
    page.set_window_size(700, 900)
    assert page.execute_script(style) != "sticky"


def test_replacement_spending_and_settings(page, run):
    rows = all_texts(page, "#replacement-table tbody tr")
    assert len(rows) == 6 and rows[2].startswith("25%+2.5%") and "+56%" in rows[2]
    assert "8.00 → 8.20 (+2.5%)" in text(page, "#replacement-line")
    assert [row[:12] for row in all_texts(page, "#replacement-controls tbody tr")[:2]] == ["programs+2.5", "programs per"]
    assert text(page, "#replacement-tasks tbody tr") == "stories0.7500.7000.50024"
    open_head(page, run.records[5])
    assert "3 calls, 4,321 tokens, $0.07" in text(page, "#head-line")
    about = text(page, "#about")
    for part in (
        "tokens34,567",
        "usd0.25",
        "python3.11.9",
        "seed3",
        "same behaviour80",
        "test: 2 texts cut at 48 tokens",
    ):
        assert part in about


def test_what_a_run_lacks_is_left_out(browser, make, tmp_path):
    bare = make(tmp_path / "bare", replace=False, llm=False)
    session = open_run(bare.path)
    write_report(session, outcome_of(session), tmp_path / "bare.html")
    browser.get((tmp_path / "bare.html").as_uri())
    until(browser, "document.documentElement.dataset.ready === 'yes'")
    assert not browser.find_element("id", "replacement").is_displayed()
    assert "language models" not in text(browser, "#about") and "null" not in text(browser, "body > header")
    assert browser.get_log("browser") == []


def test_hidden_states_stand_in_for_perplexity(browser, make, tmp_path, hidden_states):
    encoder = make(tmp_path / "encoder", causal=False)
    encoder.folder.write("replace.json", hidden_states)
    session = open_run(encoder.path)
    write_report(session, outcome_of(session), tmp_path / "encoder.html")
    browser.get((tmp_path / "encoder.html").as_uri())
    until(browser, "document.documentElement.dataset.ready === 'yes'")
    assert "relative error of the hidden states 0.025" in text(browser, "#replacement-line")
    assert all_texts(browser, "#replacement-table tbody tr")[2] == "25%0.0250.019 – 0.0310.5630.3130.188"
    point_at(browser, "true", 1, 5)  # nothing is masked
    true = session.store("test").matrix(*best_head(encoder), 0)[1, 5]
    assert abs(shown_number(browser, "true") - float(true)) <= 0.0006
    assert browser.get_log("browser") == []


def best_head(run):
    """(layer, head) of the head that the page opens with."""
    record = max(run.records, key=lambda r: r["iou"]["test"])
    return record["layer"], record["head"]


def test_light_dark_and_narrow(page):
    def ground():
        return page.execute_script("return getComputedStyle(document.body).backgroundColor")

    light = ground()
    pixels = pixel(page, "true", 3, 0)
    page.find_element("id", "theme").click()
    assert ground() != light and pixel(page, "true", 3, 0) != pixels
    assert page.find_element("id", "theme").get_attribute("aria-pressed") == "true"
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]})
    try:
        page.refresh()
        until(page, "document.documentElement.dataset.ready === 'yes'")
        assert ground() != light
    finally:
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    page.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": False}
    )
    try:
        page.refresh()
        until(page, "document.documentElement.dataset.ready === 'yes'")
        assert page.execute_script("return document.documentElement.scrollWidth") <= 360
        tops = page.execute_script("return [...document.querySelectorAll('canvas')].map(c => c.getBoundingClientRect().top)")
        assert tops == sorted(set(tops)) and len(tops) == 3  # one below the other
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
