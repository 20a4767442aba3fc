// The page: what is shown of which head, and the parts that show the whole run.

const state = { head: 0, program: "own" };
const head = () => DATA.heads[state.head];
const shownProgram = () => (state.program === "own" ? head().program : DATA.library[head().library].program);

function openHead(i) {
  state.head = i;
  selectInMap(i);
  const h = head(), served = DATA.library[h.library];
  $("head-title").textContent = name(h);
  $("head-kind").textContent = h.kind;
  $("head-kind").style.background = kindOf.get(h.kind).paint;
  $("head-kind").style.color = inkOn(kindOf.get(h.kind).paint);
  $("head-line").textContent =
    `${plural(h.rules, "rule")}, size ${h.size}, proposed by: ${h.proposer}. Best simple pattern: ${h.baseline.name}.` +
    (h.llm ? ` Language models: ${plural(h.llm.calls, "call")}, ${plural(h.llm.tokens, "token")}${h.llm.usd === null ? "" : `, $${fixed(h.llm.usd, 2)}`}.` : "");
  const row = (label, value, more) => el("tr", {}, el("th", { scope: "row" }, label),
    ...SPLITS.flatMap((s) => [el("td", {}, fixed(value[s])), el("td", { class: "interval" }, between(more && more[s]))]));
  $("head-scores").replaceChildren(
    el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "IoU"),
      ...SPLITS.map((s) => el("th", { scope: "colgroup", colspan: 2 }, s)))),
    el("tbody", {}, row("own program", h.iou, h.intervals), row(`library ${served.id}`, h.library_iou), row(h.baseline.name, h.baseline)));
  $("head-headline").textContent = h.headline;
  drawDomains($("head-domains"), ["IoU on test", "own program", "95% interval", `library ${served.id}`],
    h.domains.map(([kind, own, interval, shared]) => [kind, fixed(own), between(interval), fixed(shared)]), h.gap);
  const chip = (label, title, onclick) => el("button", { type: "button", class: "chip", title, onclick }, label);
  const listedAs = (box, title, chips) => box.replaceChildren(...(chips.length ? [el("h3", {}, title), el("p", { class: "chips" }, ...chips)] : []));
  listedAs($("head-words"), "Concepts and kinds of word", h.words.map((w) => chip(w, DATA.meanings[w], () => searchFor(w))));
  const siblings = DATA.heads.filter((other) => other.library === h.library && other !== h);
  listedAs($("head-siblings"), `Other heads of library program ${served.id}`,
    siblings.map((other) => chip(name(other), `IoU ${fixed(other.library_iou.test)} with ${served.id}`, () => goTo(HEADS.get(name(other))))));
  $("full").hidden = !h.full;
  $("full").open = false;
  if (h.full) $("full").firstElementChild.textContent = `Largest program: size ${h.full.size}, ${plural(h.full.rules, "rule")}, IoU ${fixed(h.full.iou.test)} on test`;
  choice($("program-mode"), [["own", "Own"], ["library", `Library ${served.id}`]], state.program, (v) => { state.program = v; openProgram(); });
  history.replaceState(null, "", `#${name(h)}`);
  return Promise.all([openProgram(), openFront(), showExamples($("examples-found"), h.examples, (text) => DATA.example_texts[text])]);
}

// Opened from afar: where the panel is not beside what was clicked, the page goes to it.
function goTo(i) {
  const opened = openHead(i), box = $("head").getBoundingClientRect();
  if (box.top > innerHeight * 0.6 || box.bottom < innerHeight * 0.2) $("head").scrollIntoView({ block: "start" });
  return opened;
}

async function openFull() {
  const h = head();
  if (!$("full").open || !h.full) return;
  const told = JSON.parse(new TextDecoder().decode(await inflate(h.full.packed)));
  if (h === head()) showProgram($("full-program"), told, told.adds);
}

// A row for each kind of text, and the gap between the best and the worst; hidden where there is one kind.
function drawDomains(table, header, rows, gap) {
  table.hidden = rows.length < 2;
  const marked = (kind) => kind + (DATA.summary.held_out.includes(kind) ? " (held out)" : "");
  table.replaceChildren(
    el("thead", {}, el("tr", {}, ...header.map((t) => el("th", { scope: "col" }, t)))),
    el("tbody", {}, ...rows.map(([kind, ...cells]) => el("tr", {}, el("th", { scope: "row" }, marked(kind)), ...cells.map((c) => el("td", {}, c)))),
      el("tr", {}, el("th", { scope: "row" }, "gap"), el("td", {}, fixed(gap)))));
}

function openProgram() {
  showProgram($("program"), DATA.programs[shownProgram()], state.program === "own" ? head().adds : null);
  return openText(view.text);
}

function openText(i) {
  if (!DATA.texts.length) return $("patterns").setAttribute("hidden", "");
  view.text = i;
  const text = DATA.texts[i];
  const part = text.tokens.length < text.length ? `The first ${text.tokens.length} of its ${text.length} tokens are shown. ` : "";
  $("text-line").textContent = `Held-out text ${text.index}. ${part}IoU of the head's own program on it: ${fixed(head().per_text[text.index])}. ` +
    "Point at a cell, or move with the arrow keys, to see its weights and the rules behind it.";
  return loadMatrices(state.head, shownProgram());
}

function matrixLegend() {
  $("matrix-legend").replaceChildren(
    el("span", { class: "unit" }, "weight"), ramp("seq", [0, 0.05, 0.25, 0.5, 1], (t) => Math.sqrt(t)),
    el("span", { class: "unit" }, "difference"), ramp("div", [-1, -0.25, 0, 0.25, 1], (t) => (root(t) + 1) / 2));
}

async function openFront() {
  const h = head(), points = h.front;
  const top = Math.max(...points.flatMap(([, fit, select]) => [fit, select]), h.iou.select);
  const right = Math.max(...points.map(([c]) => c), h.size);
  const chosen = [[h.size, h.iou.select, `chosen: size ${h.size}, IoU on select ${fixed(h.iou.select)}`]];
  const programs = JSON.parse(new TextDecoder().decode(await inflate(h.front_programs)));
  if (h !== head()) return; // another head was opened meanwhile
  const pick = (i) => {
    const [size, fit, select, rules, proposer] = points[i];
    $("front-line").textContent = `Size ${size}, ${plural(rules, "rule")}, IoU ${fixed(fit)} on fit, ${fixed(select)} on select; proposed by: ${proposer}.`;
    showProgram($("front-program"), { lines: programs[i] });
    for (const dot of drawn.querySelectorAll("[data-point]")) dot.classList.toggle("chosen", dot.dataset.point === String(i));
  };
  const drawn = chart($("front-chart"), {
    label: `Archive front of ${name(h)}: size against IoU`,
    x: { label: "size", low: 0, high: right * 1.04 },
    y: { label: "IoU", low: 0, high: Math.min(1, Math.ceil(top * 10 + 0.2) / 10), format: (t) => t.toFixed(1) },
    series: [
      { name: "fit", colour: "one", line: true, dots: true, pick: true, points: points.map(([c, fit, select]) => [c, fit, `size ${c}: IoU ${fixed(fit)} on fit, ${fixed(select)} on select`]) },
      { name: "select", colour: "two", line: true, dots: true, points: points.map(([c, , select]) => [c, select, `size ${c}: IoU ${fixed(select)} on select`]) },
      { name: "chosen program, on select", colour: "three", dots: true, points: chosen },
    ],
    pick,
  });
  if (points.length) pick(Math.max(0, points.findIndex(([size, , select]) => size === h.size && Math.abs(select - h.iou.select) < 1e-4)));
}

function drawSummary() {
  const s = DATA.summary;
  document.title = `${DATA.target}: attention heads as programs`;
  $("title").textContent = `${DATA.target}: ${plural(DATA.heads.length, "head")} as programs`;
  $("lead").textContent =
    `Each head's attention pattern, written as a short program found on text “${DATA.text}” and scored on texts that the search never saw. ` +
    "IoU is the overlap of two patterns: 1 where they are equal, 0 where they share nothing.";
  const fact = (label, value, more) => el("div", {}, el("dt", {}, label), el("dd", {}, value), more ? el("dd", { class: "more" }, more) : null);
  $("figures").replaceChildren(
    fact("mean IoU, own programs", fixed(s.mean_iou.test), `95% interval ${between(s.interval)}`),
    fact(`mean IoU, library of ${DATA.library.length}`, fixed(s.library_mean_iou.test), `${plural(DATA.library.length, "program")} for all heads`),
    fact("best simple pattern", fixed(s.baseline), "chosen per head"),
    fact("programs scored", whole(s.evaluations), `${whole(s.proposals.same_text + s.proposals.same_behaviour)} known ones were not scored again`),
    ...(s.seconds === null ? [] : [fact("time", duration(s.seconds), Object.entries(s.time || {}).map(([k, v]) => `${k} ${duration(v)}`).join(", "))]));
  $("sections").replaceChildren(...[...document.querySelectorAll("main .card:not([hidden])")].filter((c) => c.id !== "head").map((c) =>
    el("a", { href: `#${c.id}` }, c.querySelector("h2").textContent)));
}

function drawKinds() {
  const s = DATA.summary;
  $("domains").hidden = s.domains.length < 2;
  $("domains-line").textContent = "Mean IoU over the heads on texts that the search never saw; every kind counts the same in all other figures" +
    (s.held_out.length ? ", the held-out one in none." : ".");
  drawDomains($("domains-table"), ["kind", "own programs", "largest programs", "library"],
    s.domains.map(([kind, ...means]) => [kind, ...means.map((x) => fixed(x))]), s.gap);
}
const duration = (s) => (s < 90 ? `${fixed(s, s < 10 ? 1 : 0)} s` : s < 5400 ? `${fixed(s / 60, 0)} min` : `${fixed(s / 3600, 1)} h`);

function drawLibrary() {
  const s = DATA.summary, curve = DATA.curve, last = Math.max(...curve.map((c) => c.size));
  $("library-line").textContent =
    `${plural(DATA.library.length, "program")} for all heads: mean IoU ${fixed(s.library_mean_iou.test)} on test, against ` +
    `${fixed(s.mean_iou.test)} with each head's own program. The bound is what no library of that size can exceed on select.`;
  const series = (key) => curve.map((c) => [c.size, c[key], `${plural(c.size, "program")}: ${fixed(c[key])} on ${key === "test" ? "test" : key === "bound" ? "select at most" : "select"}`]);
  const top = Math.max(s.mean_iou.test, ...curve.map((c) => c.bound));
  chart($("cover-chart"), {
    label: "Cover curve: mean IoU by the library's size",
    x: { label: "programs in the library", low: Math.min(1, last - 1), high: last, ticks: [...new Set(ticksOf(0, last).map((t) => Math.max(1, Math.round(t))))] },
    y: { label: "mean IoU", low: 0, high: Math.min(1, Math.ceil(top * 10 + 0.2) / 10), format: (t) => t.toFixed(1) },
    series: [
      { name: "own programs, test", colour: "four", line: true, dash: true, points: [[Math.min(1, last - 1), s.mean_iou.test], [last, s.mean_iou.test]] },
      { name: "bound", colour: "three", line: true, dash: true, points: series("bound") },
      { name: "greedy, select", colour: "two", line: true, points: series("select") },
      { name: "greedy, test", colour: "one", line: true, dots: true, points: series("test") },
      { name: "the library, after exchanges, test", colour: "three", dots: true, points: [[DATA.library.length, s.library_mean_iou.test, `the library: ${fixed(s.library_mean_iou.test)} on test`]] },
    ],
  });
  $("library-programs").replaceChildren(...DATA.library.map((p) => {
    const list = el("ol", { class: "program" });
    showProgram(list, DATA.programs[p.program]);
    const heads = p.heads.map(([layer, number]) => {
      const label = `L${layer}H${number}`;
      const i = HEADS.get(label), iou = DATA.heads[i].library_iou.test;
      return el("button", { type: "button", class: "chip", "aria-label": `Open ${label}`, onclick: () => { goTo(i); $("head-title").focus(); } }, label, " ", el("small", {}, fixed(iou)));
    });
    const mean = p.heads.reduce((sum, [l, n]) => sum + DATA.heads[HEADS.get(`L${l}H${n}`)].library_iou.test, 0) / p.heads.length;
    return el("details", { class: "entry", "data-program": p.id },
      el("summary", {}, el("i", { class: "mark", style: { background: p.colour } }), el("b", {}, p.id), ` ${plural(p.heads.length, "head")}, mean IoU ${fixed(mean)}, size ${p.size}`, el("code", { class: "brief" }, DATA.programs[p.program].lines.map((l) => l.trim()).join("; "))),
      list, el("p", { class: "chips" }, ...heads));
  }));
}

// Perplexity where the model predicts tokens, else the error of its hidden states.
function drawReplacement() {
  const r = DATA.replace;
  if (!r) return;
  $("replacement").removeAttribute("hidden");
  const told = r.increase_percent !== null, key = told ? "increase_percent" : "relative_error", shown = told ? percent : (v) => fixed(v);
  const kinds = [...new Set(r.curve.flatMap((c) => Object.keys(c.baselines)))], colours = ["two", "three", "four"];
  const log = (v) => Math.sign(v) * Math.log10(1 + Math.abs(v));
  const values = r.curve.flatMap((c) => [c[key], ...c[`${key}_interval`], ...Object.values(c.baselines).map((b) => b[key])]);
  const high = Math.max(told ? 1 : 0.1, ...values), low = Math.min(0, ...values);
  const measured = told ? `perplexity ${fixed(r.perplexity.original, 2)} → ${fixed(r.perplexity.replaced, 2)} (${percent(r.increase_percent)})`
    : `relative error of the hidden states ${fixed(r.relative_error)}`;
  $("replacement-line").textContent = `${plural(r.heads_replaced.length, "head")} replaced: ${measured} on test. ` +
    "The curve shows what the model loses as more heads run on programs instead of their own attention.";
  const line = (of, label) => r.curve.filter((c) => of(c) !== undefined).map((c) => [100 * c.fraction, of(c), `${label}, ${Math.round(100 * c.fraction)}% of the heads: ${shown(of(c))}`]);
  const axis = told
    ? { label: "perplexity increase, % (log scale)", warp: log, ticks: [0, 1, 3, 10, 30, 100, 300, 1000, 3000, 10000].filter((t) => t <= high * 1.1), format: (t) => (t > 0 ? `+${t}` : String(t)) }
    : { label: "relative error" };
  chart($("replacement-chart"), {
    label: `Replacement curve: ${axis.label} by the share of heads replaced`,
    x: { label: "heads replaced, %", low: 0, high: 100, ticks: [0, 25, 50, 75, 100] },
    y: { low, high: high * 1.1, ...axis },
    series: [
      ...kinds.map((b, i) => ({ name: b, colour: colours[i % 3], line: true, dots: true, dash: true, points: line((c) => c.baselines[b]?.[key], b) })),
      { name: "programs", colour: "one", line: true, dots: true, points: line((c) => c[key], "programs"), band: r.curve.map((c) => [100 * c.fraction, ...c[`${key}_interval`]]) },
    ],
  });
  $("replacement-table").replaceChildren(
    el("thead", {}, el("tr", {}, ...["heads", "programs", "95% interval", ...kinds].map((t) => el("th", { scope: "col" }, t)))),
    el("tbody", {}, ...r.curve.map((c) => el("tr", {}, el("th", { scope: "row" }, `${Math.round(100 * c.fraction)}%`), el("td", {}, shown(c[key])),
      el("td", { class: "interval" }, c[`${key}_interval`].map(shown).join(" – ")), ...kinds.map((b) => el("td", {}, b in c.baselines ? shown(c.baselines[b][key]) : "–"))))));
  const controls = Object.entries(r.controls || {}).map(([name, c]) => [`programs permuted: ${name}`, c]);
  if (controls.length) {
    const rows = [["programs", r], ...controls, ...Object.entries(r.baselines)];
    $("replacement-controls").replaceChildren(
      el("thead", {}, el("tr", {}, ...["control", told ? "perplexity" : "error", "95% interval"].map((t) => el("th", { scope: "col" }, t)))),
      el("tbody", {}, ...rows.map(([name, c]) => el("tr", {}, el("th", { scope: "row" }, name), el("td", {}, shown(c[key])),
        el("td", { class: "interval" }, c[`${key}_interval`].map(shown).join(" – "))))));
  }
  const tasks = Object.entries(r.tasks || {});
  if (!tasks.length) return;
  $("replacement-tasks").replaceChildren(
    el("thead", {}, el("tr", {}, ...["accuracy", "original", "replaced", "guessing", "questions"].map((t) => el("th", { scope: "col" }, t)))),
    el("tbody", {}, ...tasks.map(([task, t]) => el("tr", {}, el("th", { scope: "row" }, task), el("td", {}, fixed(t.original.acc)), el("td", {}, fixed(t.replaced.acc)),
      el("td", {}, fixed(t.random)), el("td", {}, whole(t.questions))))));
}

function drawAbout() {
  const table = (title, rows) => rows && rows.length
    ? el("div", {}, el("h3", {}, title), el("table", { class: "pairs" }, el("tbody", {}, ...rows.map(([k, v]) => el("tr", {}, el("th", { scope: "row" }, k), el("td", {}, v))))))
    : null;
  const written = DATA.llm_programs.length
    ? el("div", {}, el("h3", {}, "What language models wrote"), el("table", { class: "written" }, el("tbody", {}, ...DATA.llm_programs.map(([head, round, model, first, what]) =>
      el("tr", {}, el("th", { scope: "row" }, head), el("td", {}, `${model} ${round}`), el("td", {}, el("code", {}, first)), el("td", {}, what))))))
    : null;
  const notes = DATA.notes.length ? el("div", {}, el("h3", {}, "Notes"), el("ul", {}, ...DATA.notes.map((n) => el("li", {}, n)))) : null;
  const proposals = Object.entries(DATA.summary.proposals).map(([k, v]) => [k.replaceAll("_", " "), whole(v)]);
  $("about-tables").replaceChildren(...[
    table("Settings", DATA.settings), table("Spent on language models", DATA.llm), written, table("Proposals", proposals),
    table("Versions", Object.entries(DATA.versions)), notes].filter(Boolean));
}

drawReplacement();
drawKinds();
drawSummary();
drawMap(goTo);
startList(goTo);
$("full").addEventListener("toggle", openFull);
drawLibrary();
drawAbout();
choice($("map-mode"), MAP_MODES, mapMode, (v) => { mapMode = v; paintMap(); });
choice($("matrix-mode"), [["all", "Side by side"], ...VIEWS], view.mode, (v) => { view.mode = v; drawMatrices(); });
$("text").replaceChildren(...DATA.texts.map((t, i) =>
  el("option", { value: i }, `${t.index}: ${t.tokens.slice(0, 9).join("").trim()} …`)));
$("text").addEventListener("change", (e) => openText(Number(e.target.value)));
$("matrices").addEventListener("keydown", moveByKey);
$("theme").addEventListener("click", () => setTheme(theme() === "dark" ? "light" : "dark"));
repaints.push(paintMap, matrixLegend, paintMatrices, () => view.n && drawShaded());
const dark = matchMedia("(prefers-color-scheme: dark)");
dark.addEventListener("change", () => setTheme(dark.matches ? "dark" : "light"));
addEventListener("resize", paintMatrices);
addEventListener("hashchange", () => HEADS.has(location.hash.slice(1)) && goTo(HEADS.get(location.hash.slice(1))));
setTheme(dark.matches ? "dark" : "light");
// Opened first is the head of which its program says most that no simple pattern says.
const teaches = (h) => h.iou.test - h.baseline.test;
const first = DATA.heads.reduce((a, h, i) => (teaches(h) > teaches(DATA.heads[a]) ? i : a), 0);
const asked = HEADS.get(location.hash.slice(1));
(asked === undefined ? openHead(first) : goTo(asked)).then(() => (document.documentElement.dataset.ready = "yes"));
