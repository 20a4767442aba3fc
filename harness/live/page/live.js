// The live page: what is typed is sent to this page's own server; what comes back is drawn by the report's own parts.

const state = { head: DATA.heads[0], off: new Set(), asked: 0, failed: false };
const START = new Map(DATA.heads.map((h) => [h.name, h.program]));

async function ask(what, body) {
  const response = await fetch(what, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  const answer = await response.json().catch(() => ({ error: `the server said ${response.status}` }));
  if (answer.error) throw new Error(answer.error);
  return answer;
}
let comparing = 0;
const say = (text) => ($("said").textContent = text);

// What was asked for last is shown, whichever comes back first.
async function look() {
  const request = ++state.asked;
  clearTimeout(comparing);
  document.documentElement.dataset.busy = "yes";
  try {
    const answer = await ask("look", { head: state.head.name, text: $("text").value, program: $("program-source").value, off: [...state.off] });
    if (request !== state.asked) return;
    await show(answer);
    if (state.failed) say("");
    state.failed = false;
    if (!answer.errors.length) compareLater();
  } catch (error) {
    if (request === state.asked) say(error.message);
    state.failed = true;
  } finally {
    if (request === state.asked) document.documentElement.dataset.busy = "no";
  }
}

async function show(answer) {
  const n = answer.tokens.length, wrong = answer.errors.length > 0;
  $("program-source").setAttribute("aria-invalid", String(wrong));
  $("errors").replaceChildren(...answer.errors.map((e) =>
    el("button", { type: "button", onclick: () => goTo(e.line, e.column) }, e.line ? `line ${e.line}, column ${e.column}: ${e.message}` : e.message)));
  if (wrong) return;
  const [bytes, own] = await Promise.all([inflate(answer.true), inflate(answer.program)]);
  const [model, pattern] = [weights(bytes, n), weights(own, n)];
  DATA.texts = [{ tokens: answer.tokens, length: n }];
  Object.assign(view, { n, true: model, program: pattern, difference: pattern.map((v, i) => v - model[i]), bits: own.subarray(2 * n * n), described: answer.described });
  if (view.q < 0 || view.q >= n || view.k >= n) startCell();
  drawMatrices();
  showCell();
  drawScores(answer);
  drawRules(answer.rules);
  drawShaded();
}

// Where program and head agree least and most: asked for once nobody types any more.
function compareLater() {
  clearTimeout(comparing);
  comparing = setTimeout(async () => {
    const request = state.asked;
    try {
      const found = await ask("examples", { head: state.head.name, program: $("program-source").value, off: [...state.off] });
      if (request === state.asked) await showExamples($("examples-found"), found.examples, (text) => found.texts[text]);
    } catch (error) {
      if (request === state.asked) say(error.message);
    }
  }, 400);
}

async function askForShorter() {
  $("shorter").disabled = true;
  $("proposal").textContent = `Asking ${DATA.asks.join(", ")} …`;
  const name = state.head.name;
  try {
    const r = await ask("shorter", { head: name, program: $("program-source").value });
    if (name !== state.head.name) return $("proposal").replaceChildren();
    const list = el("ol", { class: "program" });
    showProgram(list, { lines: r.proposal.program.split("\n") });
    const take = () => { put(r.proposal.program); $("proposal").replaceChildren(); };
    $("proposal").replaceChildren(
      el("p", { class: "hint" }, `${r.model} proposes size ${r.proposal.size}${r.proposal.size < r.now.size ? "" : " (no shorter one)"}, IoU ${fixed(r.proposal.iou)} on select; now size ${r.now.size}, IoU ${fixed(r.now.iou)}. Spent: ${r.spent}.`),
      list, el("div", { class: "actions" }, el("button", { type: "button", id: "take", onclick: take }, "Take it"),
        el("button", { type: "button", onclick: () => $("proposal").replaceChildren() }, "Leave it")));
  } catch (error) {
    $("proposal").textContent = error.message;
  } finally {
    $("shorter").disabled = false;
  }
}

function put(program) {
  $("program-source").value = program;
  state.off.clear();
  return look();
}

function drawFull() {
  const full = state.head.full;
  $("full").hidden = !full;
  if (!full) return;
  $("full").firstElementChild.textContent = `Largest program of the run: size ${full.size}, IoU ${fixed(state.head.full_iou)} on select`;
  showProgram($("full-program"), { lines: full.program.split("\n") });
}

function goTo(line, column) {
  const box = $("program-source"), lines = box.value.split("\n");
  const at = lines.slice(0, line - 1).reduce((sum, l) => sum + l.length + 1, 0) + column - 1;
  box.focus();
  box.setSelectionRange(at, at + 1);
}

function drawScores(answer) {
  const kinds = Object.entries(answer.domains);
  const row = (label, value) => el("tr", {}, el("th", { scope: "row" }, label), el("td", {}, fixed(value)));
  $("scores").replaceChildren(el("tbody", {},
    row("IoU on select", answer.iou), ...(kinds.length > 1 ? kinds.map(([kind, value]) => row(kind, value)) : []),
    row("on the text beside", answer.here), row("of the run's program", state.head.iou),
    el("tr", {}, el("th", { scope: "row" }, "size"), el("td", {}, whole(answer.size)))));
}

function drawRules(rules) {
  const focused = document.activeElement.dataset ? document.activeElement.dataset.rule : undefined;
  $("rules").replaceChildren(...rules.map((r, i) => el("li", { class: r.on ? null : "off" },
    el("input", { type: "checkbox", checked: r.on, "data-rule": i, "aria-label": `Rule ${i + 1}: ${r.text}`, onchange: (e) => {
      if (e.target.checked) state.off.delete(i); else state.off.add(i);
      look();
    } }),
    el("code", {}, ...highlighted(r.text)), el("span", { class: "adds" }, `${r.on ? "adds" : "would add"} ${signed(r.adds)}`),
    el("span", { class: "english" }, r.english))));
  if (focused !== undefined) document.querySelector(`#rules [data-rule="${focused}"]`)?.focus();
}

async function change(what, body) {
  try {
    const answer = await ask(what, body);
    if (answer.program === undefined) return answer;
    await put(answer.program);
    return answer;
  } catch (error) {
    say(error.message);
    return null;
  }
}

async function save() {
  say("Saving …");
  const answer = await change("save", { head: state.head.name, program: $("program-source").value });
  if (answer && answer.saved) {
    for (const h of answer.heads) START.set(h.name, h.program);
    DATA.heads = answer.heads;
    state.head = DATA.heads.find((h) => h.name === state.head.name);
    drawFull();
    say(`Saved: the run has the program as your own, for ${state.head.name}.`);
  }
}

async function replaceHead() {
  $("replace").disabled = true;
  $("replaced").textContent = "Running the model …";
  try {
    const r = await ask("replace", { head: state.head.name, program: $("program-source").value, text: $("text").value });
    const most = Math.max(...r.next.flatMap((t) => [t.original, t.replaced]));
    const bar = (value, kind) => el("i", { class: kind, style: { width: `${(100 * value) / most}%` } });
    $("replaced").replaceChildren(
      el("p", {}, `Perplexity of the text ${fixed(r.perplexity.original, 2)}, with the program in place of ${state.head.name} ${fixed(r.perplexity.replaced, 2)}.`),
      el("h3", {}, "The next token"),
      el("div", { class: "bars", id: "next" }, ...r.next.flatMap((t) => [el("code", {}, token(t.token)), el("span", {}, bar(t.original, null), bar(t.replaced, "after")),
        el("span", {}, `${fixed(t.original)} → ${fixed(t.replaced)}`)])),
      el("h3", {}, "30 tokens on"),
      el("p", { id: "goes-on-original" }, el("small", {}, "original: "), r.goes_on.original), el("p", { id: "goes-on-replaced" }, el("small", {}, "replaced: "), r.goes_on.replaced));
  } catch (error) {
    $("replaced").textContent = error.message;
  } finally {
    $("replace").disabled = false;
  }
}

function openHead(name) {
  state.head = DATA.heads.find((h) => h.name === name) || state.head;
  state.off.clear();
  $("proposal").replaceChildren();
  drawFull();
  $("head").value = state.head.name;
  $("program-source").value = START.get(state.head.name);
  history.replaceState(null, "", `#${state.head.name}`);
  return look();
}

let waiting = 0;
const later = () => { clearTimeout(waiting); waiting = setTimeout(look, 60); };

$("title").textContent = `${DATA.target}: ${DATA.name}, live`;
$("head").replaceChildren(...DATA.heads.map((h) => el("option", { value: h.name }, `${h.name}  ${h.kind}  ${fixed(h.iou)}`)));
$("text").value = DATA.text;
$("head").addEventListener("change", (e) => openHead(e.target.value));
$("program-source").addEventListener("input", () => { state.off.clear(); later(); });
$("text").addEventListener("input", later);
$("fit").addEventListener("click", () => change("fit", { head: state.head.name, program: $("program-source").value }));
$("simplify").addEventListener("click", () => change("simplify", { program: $("program-source").value }));
$("restore").addEventListener("click", () => openHead(state.head.name));
$("save").addEventListener("click", save);
$("replace").addEventListener("click", replaceHead);
$("shorter").hidden = !DATA.asks.length;
$("shorter").addEventListener("click", askForShorter);
$("take-full").addEventListener("click", () => put(state.head.full.program));
$("concepts").hidden = !DATA.concepts.length;
$("concepts").firstElementChild.textContent = `Concepts of this run: ${DATA.concepts.length}`;
showProgram($("concept-list"), { lines: DATA.concepts });
$("matrices").addEventListener("keydown", moveByKey);
choice($("matrix-mode"), [["all", "Side by side"], ...VIEWS], view.mode, (v) => { view.mode = v; drawMatrices(); });
$("theme").addEventListener("click", () => setTheme(theme() === "dark" ? "light" : "dark"));
repaints.push(() => view.n && (paintMatrices(), drawShaded()));
$("matrix-legend").replaceChildren();
const dark = matchMedia("(prefers-color-scheme: dark)");
dark.addEventListener("change", () => setTheme(dark.matches ? "dark" : "light"));
addEventListener("resize", () => view.n && paintMatrices());
addEventListener("hashchange", () => START.has(location.hash.slice(1)) && openHead(location.hash.slice(1)));
setTheme(dark.matches ? "dark" : "light");
// Opened first is the head of which its program says most that no simple pattern says.
const best = DATA.heads.reduce((a, h) => (h.gain > a.gain ? h : a));
openHead(START.has(location.hash.slice(1)) ? location.hash.slice(1) : best.name).then(() => (document.documentElement.dataset.ready = "yes"));
