// What differs between two runs, or between two browsers or two versions of one.

const MOST_CHANGES = 300;
const compared = { mode: "runs", from: null, to: null, kind: null };

// A browser as it was in a run: the newest run for each version of each browser.
const BROWSERS = (() => {
  const found = new Map();
  RUNS.forEach(({ versions }, run) => TARGETS.forEach((target, column) => {
    const version = versions[column];
    if (version == null) return;
    const key = `${browserOf(target)} ${version}`;
    const known = found.get(key);
    if (!known || known.run !== run) found.set(key, { key, run, browser: browserOf(target), columns: [] });
    found.get(key).columns.push(column);
  }));
  return [...found.values()].sort((a, b) => a.browser.localeCompare(b.browser) || a.run - b.run);
})();
const runName = (run) => `${minute(RUNS[run].started)}${RUNS[run].commit ? ` · ${RUNS[run].commit.slice(0, 10)}` : ""}${run === NOW ? " · this run" : ""}`;
const SIDES = {
  runs: RUNS.map((_, run) => [String(run), runName(run)]),
  browsers: BROWSERS.map(({ key, run }) => [key, run === NOW ? key : `${key} (${day(RUNS[run].started)})`]),
};
// Two runs are compared target by target, two browsers backend by backend.
const pairsOf = () => {
  if (compared.mode === "runs") return TARGETS.map((_, column) => [[column, Number(compared.from)], [column, Number(compared.to)]]);
  const [from, to] = [compared.from, compared.to].map((key) => BROWSERS.find((each) => each.key === key));
  const same = (column) => to.columns.find((other) => TARGETS[other].backend === TARGETS[column].backend);
  return from.columns.flatMap((column) => (same(column) === undefined ? [] : [[[column, from.run], [same(column), to.run]]]));
};
const usual = () => {
  const names = SIDES[compared.mode].map(([value]) => value);
  if (compared.mode === "runs") return [names.at(-2) ?? names[0], names.at(-1)];
  // The same browser twice, where there is one: an older and a newer version, or two builds. Else two that can be compared.
  const first = (fits) => BROWSERS.flatMap((each, index) => BROWSERS.slice(index + 1).filter((other) => fits(each, other)).map((other) => [each.key, other.key]))[0];
  const backends = ({ columns }) => columns.map((column) => TARGETS[column].backend);
  return first((one, other) => other.browser.split("@")[0] === one.browser.split("@")[0]) ?? first((one, other) => backends(one).some((backend) => backends(other).includes(backend))) ?? [names[0], names[1] ?? names[0]];
};

const messageOf = ({ each, to }) => (to[1] === NOW && each.results[to[0]] && each.results[to[0]].gist) || "";
const changeRow = ({ kind, each, from, to, columns, before, after, message }) => {
  const at = (code) => el("span", { class: `badge ${verdictIn(code) ? `v-${verdictIn(code)}` : "v-unavailable"}` }, `${symbolOf(code)} ${saidOf(code)}`);
  return el("tr", {}, el("td", {}, word(KINDS[kind][0], KINDS[kind][2], { title: KINDS[kind][1] })), el("th", { scope: "row" }, el("a", { href: caseLink(each) }, ...breakable(DATA.suites.length > 1 ? each.id : each.name))),
    el("td", { class: "where" }, from[0] === to[0] ? slots(columns) : columns.map((column) => TARGETS[column].backend).join(", ")), el("td", { class: "nw" }, at(before), " → ", at(after)), el("td", { class: "small" }, message));
};

const drawDifference = () => {
  const place = document.getElementById("difference"), pairs = pairsOf(), changes = changesBetween(pairs), kinds = countKinds(changes);
  if (compared.kind && !kinds.some(([kind]) => kind === compared.kind)) compared.kind = null;
  const chosen = changes.filter(({ kind }) => !compared.kind || kind === compared.kind);
  const shown = rowsOf(chosen.map((change) => ({ ...change, column: change.to[0], message: messageOf(change) })), ({ kind, before, after, message }) => [kind, before, after, message]);
  const chips = kinds.map(([kind, n]) => el("button", { type: "button", class: `chip ${KINDS[kind][2]}`, "aria-pressed": String(compared.kind === kind), title: KINDS[kind][1], "data-kind": kind, onclick: () => { compared.kind = compared.kind === kind ? null : kind; drawDifference(); } }, el("b", {}, n.toLocaleString("en")), kindName(kind, n)));
  const versions = pairs.filter(([[a, from], [b, to]]) => RUNS[from].versions[a] !== RUNS[to].versions[b])
    .map(([[a, from], [b, to]]) => `${a === b ? slot(TARGETS[a]) : `${slot(TARGETS[a])} to ${slot(TARGETS[b])}`}: ${RUNS[from].versions[a] ?? "none"} → ${RUNS[to].versions[b] ?? "none"}`);
  const nothing = (code) => code === "." || verdictIn(code) === "unavailable";
  const known = CASES.reduce((sum, each) => sum + pairs.filter(([from, to]) => !nothing(codeAt(each, ...from)) || !nothing(codeAt(each, ...to))).length, 0);
  const unchanged = known - changes.length;
  place.replaceChildren(...[
    !pairs.length && el("p", { class: "calm" }, "These two browsers have no backend in common."),
    versions.length && el("p", { class: "about" }, `Versions: ${versions.join("; ")}`),
    pairs.length && el("div", { class: "chips" }, ...chips, el("span", { class: "about" }, `${count(unchanged, "result is", "results are")} the same.`)),
    shown.length && el("div", { class: "scroll flat", tabindex: "0", role: "region", "aria-label": "Changes" }, el("table", { class: "list" },
      el("thead", {}, el("tr", {}, ...["change", "case", compared.mode === "runs" ? "target" : "backend", "before → after", "error"].map((name) => el("th", { scope: "col" }, name)))),
      el("tbody", {}, ...shown.slice(0, MOST_CHANGES).map(changeRow)))),
    shown.length > MOST_CHANGES && el("p", { class: "about" }, `The first ${MOST_CHANGES} of ${count(shown.length, "row")}; choose a kind above to see fewer.`),
    pairs.length && !changes.length && el("p", { class: "calm" }, "✓ Every case has the same verdict on both sides."),
  ].filter(Boolean));
};

const chooseSides = () => {
  for (const side of ["from", "to"]) {
    const select = document.getElementById(side);
    select.replaceChildren(...SIDES[compared.mode].map(([value, label]) => el("option", { value }, label)));
    select.value = compared[side];
  }
  for (const choice of document.querySelectorAll("[name=compare]")) choice.checked = choice.value === compared.mode;
  drawDifference();
};
const changesAddress = () => history.replaceState(history.state, "", `#/changes?${new URLSearchParams({ compare: compared.mode, from: compared.from, to: compared.to })}`);
const startChanges = () => {
  for (const side of ["from", "to"]) document.getElementById(side).addEventListener("change", ({ target }) => { compared[side] = target.value; drawDifference(); changesAddress(); });
  for (const choice of document.querySelectorAll("[name=compare]")) {
    choice.addEventListener("change", () => { compared.mode = choice.value; [compared.from, compared.to] = usual(); chooseSides(); changesAddress(); });
    choice.disabled = SIDES[choice.value].length < 2;
  }
  document.getElementById("swap").addEventListener("click", () => { [compared.from, compared.to] = [compared.to, compared.from]; chooseSides(); changesAddress(); });
};
const showChanges = (params) => {
  compared.mode = params.get("compare") === "browsers" ? "browsers" : NOW > 0 || SIDES.browsers.length < 2 ? "runs" : "browsers";
  const names = new Set(SIDES[compared.mode].map(([value]) => value)), [from, to] = usual();
  compared.from = names.has(params.get("from")) ? params.get("from") : from;
  compared.to = names.has(params.get("to")) ? params.get("to") : to;
  chooseSides();
};
