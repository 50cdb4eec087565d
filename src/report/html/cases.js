// The grid of cases: a row for each case, a cell for each target.

const ROWS_AT_ONCE = 150;
const grid = { show: "all", suite: "", operator: "", query: "", cells: "verdict", sort: null, rows: [], drawn: 0 };
const head = document.querySelector("#grid thead"), body = document.querySelector("#grid tbody");

const somewhere = (wanted) => (each) => each.results.some((result) => result && wanted(result));
const SHOWS = [
  ["all", "all cases", () => true],
  ["unexpected", "unexpected somewhere", somewhere(({ unexpected }) => unexpected)],
  ["failed", "what failed somewhere", somewhere(({ verdict }) => failed(verdict))],
  ["differ", "where targets differ", (each) => new Set(each.results.flatMap((result) => (result && result.verdict !== "skipped" ? [result.verdict] : []))).size > 1],
  ["cpu", "partly run on the CPU", somewhere(({ cpu }) => cpu)],
  ["flaky", "flaky somewhere", somewhere(({ flaky }) => flaky)],
  ["retried", "took several attempts", somewhere(({ attempts }) => attempts > 1)],
  ...VERDICTS.map((verdict) => [verdict, `${verdict} somewhere`, somewhere((result) => result.verdict === verdict)]),
];

const cell = (result, target) => {
  const code = codeOf(result, target), verdict = verdictIn(code);
  const parts = [`${slot(target)}: ${saidOf(code)}`];
  if (result && result.unexpected) parts.push("unexpected");
  if (result && result.run != null) parts.push(ms(result.run));
  if (result && result.attempts > 1) parts.push(`${result.attempts} attempts`);
  if (result && result.message) parts.push(result.message.slice(0, 300));
  const timed = grid.cells === "run" && result && result.run != null;
  const classes = ["cell", verdict ? `v-${verdict}` : "none", result && result.cpu ? "cpu" : "", timed ? "time" : "", result && result.unexpected ? "unexpected" : ""].filter(Boolean).join(" ");
  return el("td", {}, el("span", { class: classes, role: "img", title: parts.join(", "), "aria-label": parts.slice(0, 4).join(", ") }, timed ? number(result.run) : symbolOf(code)));
};

const row = (each) => {
  const name = DATA.suites.length > 1 ? [el("small", {}, `${each.suite}/`), el("wbr"), ...breakable(each.name)] : breakable(each.name);
  const link = el("a", { href: caseLink(each), title: each.id }, ...name);
  return el("tr", {}, el("th", { class: "name", scope: "row" }, link), ...COLUMNS.map((column) => cell(each.results[column], TARGETS[column])));
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
  { root: end.parentElement, rootMargin: "1200px" });
const watch = () => { nearEnd.unobserve(end); nearEnd.observe(end); };

const severity = (result) => (result ? (failed(result.verdict) ? 2 + VERDICTS.indexOf(result.verdict) : result.verdict === "pass" ? 1 : 0) : -1);
const rank = (each, column) => {
  const result = each.results[column];
  return grid.cells === "run" ? (result && result.run != null ? result.run : -1) : severity(result);
};

const targetHead = (target, sorted, onclick) => el("th", { scope: "col", "aria-sort": sorted ? "descending" : null },
  el("button", { type: "button", title: `Sort by ${slot(target)}`, onclick }, `${browserOf(target)}${target.stand_in ? "*" : ""} `, el("small", {}, target.backend)));
const drawHead = () => {
  const heads = COLUMNS.map((column) => targetHead(TARGETS[column], column === grid.sort, () => { grid.sort = column; drawGrid(); }));
  const name = el("th", { scope: "col", class: "name" }, el("button", { type: "button", title: "Sort by name", onclick: () => { grid.sort = null; drawGrid(); } }, "case"));
  head.replaceChildren(el("tr", {}, name, ...heads));
};

const drawGrid = () => {
  const [, , wanted] = SHOWS.find(([name]) => name === grid.show) ?? SHOWS[0];
  const words = grid.query.toLowerCase().split(/\s+/).filter(Boolean);
  grid.rows = CASES.filter((each) => wanted(each) && (!grid.suite || each.suite === grid.suite) && (!grid.operator || each.operators.includes(grid.operator)) && words.every((word) => wordsOf(each).includes(word)));
  if (grid.sort != null) grid.rows.sort((a, b) => rank(b, grid.sort) - rank(a, grid.sort));
  drawHead();
  body.replaceChildren();
  grid.drawn = 0;
  drawMore();
  document.getElementById("nothing").hidden = grid.rows.length > 0;
  document.getElementById("count").textContent = `${grid.rows.length.toLocaleString("en")} of ${count(CASES.length, "case")}`;
  for (const id of ["show", "suite", "operator"]) document.getElementById(id).value = grid[id];
  document.getElementById("search").value = grid.query;
};

const drawLegend = () => {
  const given = new Set(CASES.flatMap((each) => COLUMNS.map((column) => codeOf(each.results[column], TARGETS[column]))));
  const entries = ["0", "c", "f", "1", "2", "3", "4", "5", "6", "7", "8", "."].filter((code) => given.has(code))
    .map((code) => [`cell ${verdictIn(code) ? `v-${verdictIn(code)}` : "none"}${code === "c" ? " cpu" : ""}`, symbolOf(code), saidOf(code), ABOUT[verdictIn(code)] ?? "not measured"]);
  if (CASES.some(somewhere(({ unexpected }) => unexpected))) entries.push(["cell none unexpected", "!", "unexpected", "not what the expectations file says"]);
  const legend = document.getElementById("legend");
  legend.append(...entries.map(([classes, symbol, name, about]) => el("li", { title: about }, el("span", { class: classes, "aria-hidden": "true" }, symbol), name)));
  if (LEFT_OUT.length) legend.append(el("li", {}, `not shown, for they do not work here: ${LEFT_OUT.map(slot).join(", ")}`));
};

// What the controls say is in the address, so that a view can be sent to somebody.
const gridAddress = () => {
  const said = new URLSearchParams(Object.entries({ show: grid.show === "all" ? "" : grid.show, op: grid.operator, suite: grid.suite, q: grid.query }).filter(([, value]) => value)).toString();
  history.replaceState(history.state, "", `#/cases${said ? `?${said}` : ""}`);
};
const startCases = () => {
  const set = (name) => (value) => { grid[name] = value; drawGrid(); gridAddress(); };
  choices("show", SHOWS.filter(([name, , wanted]) => name === "all" || CASES.some(wanted)).map(([value, label]) => [value, label]), set("show"));
  choices("suite", [["", "all suites"], ...DATA.suites.map((suite) => [suite, suite])], set("suite"));
  document.getElementById("suite").hidden = DATA.suites.length < 2;
  choices("operator", [["", "all operators"], ...DATA.operators.toSorted((a, b) => a.localeCompare(b)).map((name) => [name, name])], set("operator"));
  document.getElementById("operator").hidden = DATA.operators.length < 2;
  onTyping("search", set("query"));
  for (const choice of document.querySelectorAll("[name=cells]")) choice.addEventListener("change", () => { grid.cells = choice.value; drawGrid(); });
  drawLegend();
};
const showCases = (params) => {
  Object.assign(grid, { show: params.get("show") ?? "all", operator: params.get("op") ?? "", suite: params.get("suite") ?? "", query: params.get("q") ?? "" });
  if (!SHOWS.some(([name]) => name === grid.show)) grid.show = "all";
  drawGrid();
};
