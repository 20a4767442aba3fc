// The model's matrix, the program's and their difference, side by side or one of them large; one cursor in all of them.

const VIEWS = [["true", "Model"], ["program", "Program"], ["difference", "Program − model"]];
const view = { mode: "all", text: 0, n: 0, q: -1, k: -1, true: [], program: [], difference: [], bits: null, described: null };
const root = (v) => Math.sign(v) * Math.sqrt(Math.abs(v)); // the scale of the colours: small weights stay visible

let latest = 0; // what was asked for last is shown, whichever is unpacked first

async function loadMatrices(head, program) {
  const request = ++latest, text = DATA.texts[view.text];
  $("matrices").setAttribute("aria-busy", "true");
  const n = text.tokens.length;
  const [bytes, own] = await Promise.all([inflate(text.heads[head]), inflate(text.programs[program])]);
  if (request !== latest) return;
  const [model, pattern] = [weights(bytes, n), weights(own, n)];
  Object.assign(view, { n, true: model, program: pattern, difference: pattern.map((v, i) => v - model[i]), bits: own.subarray(2 * n * n) });
  view.described = DATA.programs[program];
  if (view.q < 0 || view.q >= n || view.k >= n) startCell();
  if ($("matrices").firstChild) paintMatrices();
  else drawMatrices();
  showCell();
  $("matrices").setAttribute("aria-busy", "false");
}

// A row in the middle, at the key it attends to most.
function startCell() {
  const q = view.n >> 1, row = view.true.subarray(q * view.n, (q + 1) * view.n);
  Object.assign(view, { q, k: row.indexOf(Math.max(...row)) });
}

function firedAt(q, k) {
  const n = view.n, bytes = Math.ceil((n * n) / 8), cell = q * n + k;
  return view.described.english.map((_, r) => r).filter((r) => view.bits[r * bytes + (cell >> 3)] & (128 >> (cell & 7)));
}

function drawMatrices() {
  const wanted = VIEWS.filter(([key]) => view.mode === "all" || view.mode === key);
  const box = $("matrices");
  $("inspect").dataset.mode = view.mode;
  box.replaceChildren(...wanted.map(([key, label]) => {
    const canvas = el("canvas", { "data-view": key, role: "img", "aria-label": `${label}: rows are queries, columns are keys` });
    for (const type of ["pointermove", "pointerdown"]) canvas.addEventListener(type, (e) => pointAt(canvas, e));
    return el("figure", {}, el("figcaption", {}, label), canvas);
  }));
  paintMatrices();
}

// Where things are in a canvas, in CSS pixels. Labels take a part of the width that depends on the longest token.
function geometry(canvas) {
  const width = canvas.parentElement.clientWidth;
  const tokens = DATA.texts[view.text].tokens.map(token);
  const longest = Math.min(Math.max(...tokens.map((t) => t.length)), 10);
  const margin = Math.round(Math.min(14 + longest * 6.2, width / 4));
  const tall = view.mode === "all" ? Infinity : Math.max(0.75 * innerHeight - margin, 15 * view.n); // a large one still fits the window
  const cell = Math.max(Math.min((width - margin - 2) / view.n, tall / view.n, 30), 1.5);
  return { tokens, margin, cell, size: margin + cell * view.n + 1, every: Math.ceil(8 / cell), font: Math.min(12, Math.max(8, cell - 1)) };
}

function paintMatrices() {
  const css = getComputedStyle(document.documentElement);
  const [ink, muted, ground, accent] = ["--ink", "--muted", "--ground", "--accent"].map((v) => css.getPropertyValue(v).trim());
  for (const canvas of $("matrices").querySelectorAll("canvas")) {
    const { tokens, margin, cell, size, every, font } = geometry(canvas);
    const n = view.n, ratio = window.devicePixelRatio || 1, values = view[canvas.dataset.view];
    canvas.width = canvas.height = Math.round(size * ratio);
    canvas.style.width = canvas.style.height = `${size}px`;
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const edge = (i) => Math.round((margin + i * cell) * ratio) / ratio; // on whole device pixels: no seams
    for (let q = 0; q < n; q++) {
      for (let k = 0; k < n; k++) {
        const v = values[q * n + k];
        if (DATA.model.causal && k > q) pen.fillStyle = ground;
        else pen.fillStyle = canvas.dataset.view === "difference" ? colour("div", (root(v) + 1) / 2) : colour("seq", root(v));
        pen.fillRect(edge(k), edge(q), edge(k + 1) - edge(k), edge(q + 1) - edge(q));
      }
    }
    pen.textBaseline = "middle";
    for (let i = 0; i < n; i++) {
      for (const [across, chosen] of [[false, i === view.q], [true, i === view.k]]) {
        if (i % every && !chosen) continue;
        pen.save();
        pen.font = `${chosen ? "600 " : ""}${chosen ? Math.max(font, 10) : font}px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace`;
        pen.translate(across ? margin + (i + 0.5) * cell : margin - 4, across ? margin - 4 : margin + (i + 0.5) * cell);
        if (across) pen.rotate(-Math.PI / 2);
        pen.textAlign = across ? "left" : "right";
        const shown = tokens[i].length > 10 ? `${tokens[i].slice(0, 9)}…` : tokens[i];
        if (chosen) {
          pen.fillStyle = ground;
          const wide = pen.measureText(shown).width;
          pen.fillRect(across ? -2 : -wide - 2, -7, wide + 4, 14);
        }
        pen.fillStyle = chosen ? ink : muted;
        pen.fillText(shown, 0, 0.5);
        pen.restore();
      }
    }
    pen.strokeStyle = accent;
    pen.lineWidth = 1.5;
    pen.strokeRect(edge(view.k) - 0.75, edge(view.q) - 0.75, cell + 1.5, cell + 1.5);
  }
}

function pointAt(canvas, event) {
  const { margin, cell } = geometry(canvas);
  const area = canvas.getBoundingClientRect();
  const at = (v) => Math.floor((v - margin) / cell);
  moveCell(at(event.clientY - area.top), at(event.clientX - area.left));
}

function moveCell(q, k) {
  if (!(q >= 0 && k >= 0 && q < view.n && k < view.n) || (q === view.q && k === view.k)) return;
  Object.assign(view, { q, k });
  paintMatrices();
  showCell();
}

function moveByKey(event) {
  const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
  if (!step) return;
  event.preventDefault();
  moveCell(view.q + step[0], view.k + step[1]);
}

function showCell() {
  drawShaded();
  const { q, k, n } = view, tokens = DATA.texts[view.text].tokens, at = q * n + k;
  const masked = DATA.model.causal && k > q;
  const rules = masked ? [] : firedAt(q, k);
  const fact = (id, label, value) => el("div", {}, el("dt", {}, label), el("dd", { id }, value));
  $("cell").replaceChildren(
    el("dl", {},
      fact("cell-query", `query ${q}`, token(tokens[q])), fact("cell-key", `key ${k}`, token(tokens[k])),
      fact("cell-true", "model", masked ? "masked" : fixed(view.true[at])),
      fact("cell-program", "program", masked ? "masked" : fixed(view.program[at])),
      fact("cell-difference", "difference", masked ? "masked" : signed(view.difference[at]))),
    el("div", { class: "fired" }, el("h4", {}, rules.length ? "Rules that act here" : masked ? "The model cannot look ahead" : "No rule acts here"),
      el("ul", { id: "cell-rules" }, ...rules.map((r) =>
        el("li", { "data-rule": r }, el("code", {}, ...highlighted(ruleLine(view.described, r))), " ", el("span", { class: "english" }, view.described.english[r]))))));
  markRules($("program"), rules);
}
