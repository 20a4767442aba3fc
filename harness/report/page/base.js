"use strict";
// What every part of the page uses: the data, elements, numbers, choices, colours, the theme.

const DATA = JSON.parse(document.getElementById("data").textContent);
const SPLITS = ["fit", "select", "test"];
const $ = (id) => document.getElementById(id);

function filled(node, attributes, content) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [k, v] of Object.entries(value)) node.style.setProperty(k, v);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...content.filter((c) => c !== null && c !== undefined));
  return node;
}
const el = (name, attributes = {}, ...content) => filled(document.createElement(name), attributes, content);
const svg = (name, attributes = {}, ...content) =>
  filled(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, content);

const name = (head) => `L${head.layer}H${head.head}`;
const fixed = (x, digits = 3) => (x === null || x === undefined ? "–" : x.toFixed(digits).replace(/^-(?=[0.]*$)/, "").replace("-", "−"));
const signed = (x, digits = 3) => (Number(fixed(x, digits).replace("−", "-")) > 0 ? "+" : "") + fixed(x, digits);
const percent = (x) => `${signed(x, Math.abs(x) < 10 ? 1 : 0)}%`;
const whole = (x) => (x === null || x === undefined ? "–" : x.toLocaleString("en"));
const between = (i) => (i ? `${fixed(i[0])} – ${fixed(i[1])}` : "");
const plural = (n, word) => `${whole(n)} ${word}${n === 1 ? "" : "s"}`;

// A token as it is read on an axis: spaces and line breaks made visible.
const token = (t) => t.replace(/ /g, "·").replace(/\n/g, "↵").replace(/\t/g, "⇥") || "∅";

// One of a few options, as radio buttons.
function choice(box, options, value, change) {
  box.replaceChildren(
    ...options.map(([key, label]) =>
      el("label", {},
        el("input", { type: "radio", name: box.id, value: key, checked: key === value, onchange: () => change(key) }),
        el("span", {}, label))));
}

// Colours --------------------------------------------------------------------------------------------------------------------

const theme = () => document.documentElement.dataset.theme;
function colour(scale, t) {
  const ramp = DATA.ramps[theme()][scale];
  return ramp[Math.round(Math.min(Math.max(t, 0), 1) * (ramp.length - 1))];
}
function inkOn(background) {
  const [r, g, b] = [1, 3, 5].map((i) => {
    const c = parseInt(background.slice(i, i + 2), 16) / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#14181d" : "#ffffff";
}
function ramp(scale, ticks, place) {
  const stops = DATA.ramps[theme()][scale];
  const bar = el("span", { class: "ramp" });
  bar.style.background = `linear-gradient(to right, ${stops.join(", ")})`;
  const marks = ticks.map((t) => el("span", { style: { left: `${100 * place(t)}%` } }, String(t).replace("-", "−")));
  return el("span", { class: "scale" }, bar, el("span", { class: "ticks" }, ...marks));
}
const swatch = (background, label) =>
  el("span", { class: "swatch" }, el("i", { style: { background } }), label);

const repaints = []; // what depends on the theme or on the window's width
function setTheme(value) {
  document.documentElement.dataset.theme = value;
  $("theme").textContent = value === "dark" ? "Light" : "Dark";
  $("theme").setAttribute("aria-pressed", String(value === "dark"));
  $("theme").setAttribute("aria-label", `Use the ${value === "dark" ? "light" : "dark"} theme`);
  repaints.forEach((f) => f());
}

// Packed values ----------------------------------------------------------------------------------------------------------------

async function inflate(packed) {
  const bytes = Uint8Array.from(atob(packed), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
// n * n weights: the high bytes, then the low bytes
const weights = (bytes, n) => Float32Array.from({ length: n * n }, (_, i) => (256 * bytes[i] + bytes[n * n + i]) / DATA.scale);
