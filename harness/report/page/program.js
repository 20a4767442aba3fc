// Programs as lists of lines, with English below each rule where there is any.

const WORDS = /("(?:[^"\\]|\\.)*")|(\b\d+(?:\.\d+)?(?:e[-+]?\d+)?\b)|\b(when|else|let|concept|set|add|scale|share|max|min|normalize|and|or|not|in|if)\b/g;

function highlighted(line) {
  const parts = [];
  let at = 0;
  for (const m of line.matchAll(WORDS)) {
    parts.push(line.slice(at, m.index), el("span", { class: m[1] ? "string" : m[2] ? "number" : "keyword" }, m[0]));
    at = m.index + m[0].length;
  }
  return [...parts, line.slice(at)];
}

// adds: what each rule adds to the IoU, where that is known.
function showProgram(list, program, adds = null) {
  list.replaceChildren(
    ...program.lines.map((line, i) => {
      const rule = program.rule_of ? program.rule_of[i] : null;
      const english = rule === null || !program.english ? null : el("span", { class: "english" }, program.english[rule]);
      const gain = rule === null || !adds ? null : el("span", { class: "adds" }, `adds ${signed(adds[rule])} to the IoU`);
      return el("li", { "data-rule": rule === null ? null : String(rule), class: program.rule_of && rule === null ? "frame" : null }, el("code", {}, ...highlighted(line)), english, gain);
    }));
}

function markRules(list, rules) {
  for (const line of list.children) line.classList.toggle("on", rules.includes(Number(line.dataset.rule ?? NaN)));
}

// The printed line of a leaf rule.
const ruleLine = (program, rule) => program.lines[program.rule_of.indexOf(rule)].trim();
