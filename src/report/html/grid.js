// The grid: a row for each case, a cell for each target; a row opens to show everything known about its case.

const ROWS_AT_ONCE = 150;
const grid = { show: "all", suite: "", query: "", cells: "verdict", sort: null, rows: [], drawn: 0, open: new Map() };
const head = document.querySelector("#grid thead"), body = document.querySelector("#grid tbody");

const SHOWS = [
  ["all", "all cases", () => true],
  ["failed", "what failed somewhere", (each) => each.results.some((result) => result && failed(result.verdict))],
  ["differ", "where targets differ", (each) => new Set(each.results.flatMap((result) => (result && result.verdict !== "skipped" ? [result.verdict] : []))).size > 1],
  ["cpu", "partly run on the CPU", (each) => each.results.some((result) => result && result.cpu)],
  ["retried", "took several attempts", (each) => each.results.some((result) => result && result.attempts > 1)],
  ...VERDICTS.map((verdict) => [verdict, `${verdict} somewhere`, (each) => each.results.some((result) => result && result.verdict === verdict)]),
];

const cell = (result, target) => {
  const verdict = verdictOf(result, target);
  const parts = [`${slot(target)}: ${verdict ?? "no result"}`];
  if (result && result.cpu) parts.push("partly on the CPU");
  if (result && result.run != null) parts.push(ms(result.run));
  if (result && result.attempts > 1) parts.push(`${result.attempts} attempts`);
  if (result && result.message) parts.push(result.message.slice(0, 300));
  const timed = grid.cells === "run" && result && result.run != null;
  const text = timed ? number(result.run) : verdict ? SYMBOLS[verdict] : "–";
  const classes = ["cell", verdict ? `v-${verdict}` : "none", result && result.cpu ? "cpu" : "", timed ? "time" : ""].filter(Boolean).join(" ");
  return el("td", {}, el("span", { class: classes, role: "img", title: parts.join(", "), "aria-label": parts.slice(0, 4).join(", ") }, text));
};

const row = (each) => {
  const name = DATA.suites.length > 1 ? [el("small", {}, `${each.suite}/`), each.name] : [each.name];
  const button = el("button", { type: "button", "aria-expanded": "false", title: each.id }, ...name);
  const tr = el("tr", { onclick: () => toggle(each) }, el("th", { class: "name", scope: "row" }, button), ...COLUMNS.map((column) => cell(each.results[column], TARGETS[column])));
  each.row = tr;
  return tr;
};

const outcome = (result, target) => {
  const verdict = verdictOf(result, target);
  const facts = result ? [
    ["run", result.run == null ? null : ms(result.run)], ["load", result.load == null ? null : ms(result.load)],
    ["max abs error", result.abs == null ? null : number(result.abs)], ["max rel error", result.rel == null ? null : number(result.rel)],
    ["attempts", result.attempts > 1 ? String(result.attempts) : null],
    ["CPU fallback", result.cpu == null ? null : result.cpu ? "in part" : "none"], ["kind", result.category],
  ].filter(([, value]) => value != null) : [];
  const message = result && result.message ? result.message : !result && target.available === false ? target.reason : null;
  return el("article", { class: `outcome v-${verdict ?? "unavailable"}` },
    el("h4", {}, slot(target), el("span", {}, verdict ? `${SYMBOLS[verdict]} ${verdict}` : "– no result")),
    el("dl", { class: "num" }, ...facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value)))),
    message ? el("pre", {}, message) : null);
};

const toggle = (each) => {
  const opened = grid.open.get(each);
  const button = each.row.querySelector("button");
  button.setAttribute("aria-expanded", String(!opened));
  if (opened) {
    opened.remove();
    grid.open.delete(each);
    return;
  }
  const width = document.querySelector(".scroll").clientWidth - 32;
  const about = [each.suite, each.family].filter(Boolean).join(" · ");
  const link = el("a", { href: `#${encodeURIComponent(each.id)}`, onclick: (event) => event.stopPropagation() }, "link to this case");
  const panel = el("div", { class: "panel" }, el("div", { class: "panel-head" }, el("b", {}, each.name), el("span", {}, about), link),
    caseChart(each.results, width), el("div", { class: "outcomes" }, ...COLUMNS.map((column) => outcome(each.results[column], TARGETS[column]))));
  const detail = el("tr", { class: "detail" }, el("td", { colspan: COLUMNS.length + 1 }, panel));
  each.row.after(detail);
  grid.open.set(each, detail);
};

const drawMore = () => {
  const next = grid.rows.slice(grid.drawn, grid.drawn + ROWS_AT_ONCE);
  body.append(...next.map(row));
  grid.drawn += next.length;
  watch();
};

// Draws the next rows as the end of those drawn comes near. Watching anew makes the observer say where the end is now.
const end = document.getElementById("more");
const nearEnd = new IntersectionObserver(([seen]) => { if (seen.isIntersecting && grid.drawn < grid.rows.length) drawMore(); },
  { root: document.querySelector(".scroll"), rootMargin: "1200px" });
const watch = () => { nearEnd.unobserve(end); nearEnd.observe(end); };

const severity = (result) => (result ? (failed(result.verdict) ? 2 + VERDICTS.indexOf(result.verdict) : result.verdict === "pass" ? 1 : 0) : -1);
const rank = (each, column) => {
  const result = each.results[column];
  return grid.cells === "run" ? (result && result.run != null ? result.run : -1) : severity(result);
};

const drawHead = () => {
  const sortable = (label, column) => el("th", { scope: "col", class: column == null ? "name" : null, "aria-sort": column === grid.sort && column != null ? "descending" : null },
    el("button", { type: "button", title: column == null ? "Sort by name" : "Sort by this target", onclick: () => { grid.sort = column; draw(); } }, ...label));
  const heads = COLUMNS.map((column) => {
    const { browser, backend, stand_in } = TARGETS[column];
    return sortable([`${browser}${stand_in ? "*" : ""} `, el("small", {}, backend)], column);
  });
  head.replaceChildren(el("tr", {}, sortable(["case"], null), ...heads));
};

const draw = () => {
  const [, , wanted] = SHOWS.find(([name]) => name === grid.show) ?? SHOWS[0];
  const words = grid.query.toLowerCase().split(/\s+/).filter(Boolean);
  grid.rows = CASES.filter((each) => wanted(each) && (!grid.suite || each.suite === grid.suite) && words.every((word) => each.text.includes(word)));
  if (grid.sort != null) grid.rows.sort((a, b) => rank(b, grid.sort) - rank(a, grid.sort));
  drawHead();
  body.replaceChildren();
  grid.open.clear();
  grid.drawn = 0;
  drawMore();
  document.getElementById("nothing").hidden = grid.rows.length > 0;
  document.getElementById("count").textContent = `${grid.rows.length.toLocaleString("en")} of ${count(CASES.length, "case")}`;
  document.getElementById("show").value = grid.show;
  for (const chip of document.querySelectorAll(".chip")) chip.setAttribute("aria-pressed", String(chip.dataset.show === grid.show));
};

const drawLegend = () => {
  const given = new Set(CASES.flatMap((each) => COLUMNS.map((column) => verdictOf(each.results[column], TARGETS[column]))));
  const entries = VERDICTS.filter((verdict) => given.has(verdict)).map((verdict) => [`cell v-${verdict}`, SYMBOLS[verdict], verdict, ABOUT[verdict]]);
  if (CASES.some((each) => each.results.some((result) => result && result.cpu))) entries.push(["cell v-pass cpu", "", "partly on the CPU", "some of the model did not run on the target's backend"]);
  if (given.has(null)) entries.push(["cell none", "–", "no result", "not measured"]);
  document.getElementById("legend").append(...entries.map(([classes, symbol, name, about]) => el("li", { title: about }, el("span", { class: classes, "aria-hidden": "true" }, symbol), name)));
  if (LEFT_OUT.length) document.getElementById("legend").append(el("li", {}, `not shown, for they do not work here: ${LEFT_OUT.map(slot).join(", ")}`));
};
