// Operators: what each target makes of them, as far as the cases tell.

const operators = { show: "all", opset: "", query: "", sort: null, rows: [] };

// Of an operator that has cases of its own only those count: what fails in a larger model may be another operator's doing.
const OPERATORS = (() => {
  const found = new Map();
  for (const each of CASES) {
    for (const name of each.operators) {
      if (!found.has(name)) found.set(name, { name, alone: [], among: [] });
      found.get(name)[each.operators.length === 1 ? "alone" : "among"].push(each);
    }
  }
  return [...found.values()].map(({ name, alone, among }) => ({ name, cases: alone.length ? alone : among, alone: alone.length > 0 })).sort((a, b) => a.name.localeCompare(b.name));
})();

const SUPPORT = {
  full: ["✓", "v-pass", "runs on the backend", "every case passes, none needs the CPU"],
  partly: ["◐", "v-pass cpu", "runs, but partly on the CPU", "every case passes; in some, part of the model ran on the CPU"],
  some: ["±", "v-load-error", "some cases fail", "some cases pass, and some fail"],
  none: ["✕", "v-crash", "no case passes", "all that were tried fail"],
  untried: ["○", "v-skipped", "not tried", "every case was skipped, or has no result"],
};
const supportOf = (cases, column) => {
  let passed = 0, cpu = 0, judged = 0;
  for (const each of cases) {
    const result = each.results[column];
    if (!result || result.verdict === "skipped" || result.verdict === "unavailable") continue;
    judged += 1;
    if (result.verdict !== "pass") continue;
    passed += 1;
    if (result.cpu) cpu += 1;
  }
  const level = judged === 0 ? "untried" : passed === 0 ? "none" : passed < judged ? "some" : cpu ? "partly" : "full";
  return { level, passed, cpu, judged };
};

const OPERATOR_SHOWS = [
  ["all", "all operators", () => true],
  ["worse", "not fully supported somewhere", ({ cells }) => cells.some(({ level }) => level !== "full")],
  ["fails", "with failing cases somewhere", ({ cells }) => cells.some(({ level }) => level === "some" || level === "none")],
  ["partly", "partly on the CPU somewhere", ({ cells }) => cells.some(({ cpu }) => cpu)],
  ["none", "no case passes somewhere", ({ cells }) => cells.some(({ level }) => level === "none")],
  ["differ", "where targets differ", ({ cells }) => new Set(cells.map(({ level }) => level)).size > 1],
  ["full", "fully supported everywhere", ({ cells }) => cells.every(({ level }) => level === "full")],
];

const operatorCell = (name, { level, passed, cpu, judged }, column) => {
  const [symbol, classes, , about] = SUPPORT[level];
  const label = `${name} on ${slot(TARGETS[column])}: ${level === "untried" ? about : `${passed} of ${count(judged, "case")} ${passed === 1 ? "passes" : "pass"}${cpu ? `, ${cpu} partly on the CPU` : ""}`}`;
  const numbers = level === "untried" ? "" : level === "some" || level === "none" ? ` ${passed}/${judged}` : ` ${passed}`;
  return el("td", {}, el("span", { class: `cell ${classes}${level === "some" && cpu ? " cpu" : ""}`, role: "img", "aria-label": label, title: label }, symbol, el("small", {}, numbers)));
};
const operatorRow = ({ name, cases, alone, cells }) => el("tr", {},
  el("th", { class: "name", scope: "row" }, el("a", { href: `#/cases?op=${encodeURIComponent(name)}`, title: `${name}: ${count(cases.length, "case")}` }, name, alone ? null : el("small", {}, " in larger models"))),
  ...cells.map((cell, index) => operatorCell(name, cell, COLUMNS[index])));

const LEVELS = Object.keys(SUPPORT);
const drawOperatorHead = () => {
  const heads = COLUMNS.map((column, index) => targetHead(TARGETS[column], operators.sort === index, () => { operators.sort = operators.sort === index ? null : index; drawOperatorGrid(); }));
  document.querySelector("#operator-grid thead").replaceChildren(el("tr", {}, el("th", { scope: "col", class: "name" }, el("button", { type: "button", title: "Sort by name", onclick: () => { operators.sort = null; drawOperatorGrid(); } }, "operator")), ...heads));
};
const drawSupport = (rows) => document.getElementById("support").replaceChildren(...COLUMNS.map((column, index) => {
  const counts = LEVELS.map((level) => [level, rows.filter(({ cells }) => cells[index].level === level).length]).filter(([, n]) => n);
  const label = counts.map(([level, n]) => `${n} ${SUPPORT[level][2]}`).join(", ");
  return el("div", {}, el("b", {}, slot(TARGETS[column])),
    el("div", { class: "bar", role: "img", "aria-label": label, title: label }, ...counts.map(([level, n]) => el("i", { class: SUPPORT[level][1], style: `flex:${n}` }))),
    el("span", { class: "num", "aria-hidden": "true" }, counts.map(([level, n]) => `${SUPPORT[level][0]} ${n}`).join("  ")));
}));

const drawOperatorGrid = () => {
  const counted = OPERATORS.map((each) => ({ ...each, cases: operators.opset ? each.cases.filter((one) => String(one.opset) === operators.opset) : each.cases }))
    .filter(({ cases }) => cases.length).map((each) => ({ ...each, cells: COLUMNS.map((column) => supportOf(each.cases, column)) }));
  const wanted = OPERATOR_SHOWS.find(([name]) => name === operators.show)[2], query = operators.query.toLowerCase().trim();
  operators.rows = counted.filter((row) => wanted(row) && row.name.toLowerCase().includes(query));
  if (operators.sort != null) operators.rows.sort((a, b) => LEVELS.indexOf(b.cells[operators.sort].level) - LEVELS.indexOf(a.cells[operators.sort].level));
  drawOperatorHead();
  drawSupport(operators.rows);
  document.querySelector("#operator-grid tbody").replaceChildren(...operators.rows.map(operatorRow));
  document.getElementById("no-operator").hidden = operators.rows.length > 0;
  document.getElementById("operator-count").textContent = `${operators.rows.length.toLocaleString("en")} of ${count(counted.length, "operator")}`;
};

const startOperators = () => {
  const opsets = [...new Set(CASES.map(({ opset }) => opset).filter((opset) => opset != null))].sort((a, b) => a - b);
  choices("operator-show", OPERATOR_SHOWS.map(([value, label]) => [value, label]), (value) => { operators.show = value; drawOperatorGrid(); });
  choices("opset", [["", "all opsets"], ...opsets.map((opset) => [String(opset), `opset ${opset}`])], (value) => { operators.opset = value; drawOperatorGrid(); });
  document.getElementById("opset").hidden = opsets.length < 2;
  onTyping("operator-search", (value) => { operators.query = value; drawOperatorGrid(); });
  document.getElementById("operator-legend").append(...LEVELS.map((level) => { const [symbol, classes, name, about] = SUPPORT[level]; return el("li", { title: about }, el("span", { class: `cell ${classes}`, "aria-hidden": "true" }, symbol), name); }));
  const larger = OPERATORS.filter(({ alone }) => !alone).length;
  document.getElementById("operators-about").textContent = OPERATORS.length
    ? `Of an operator that has cases of its own only those count${larger ? `; ${count(larger, "operator is", "operators are")} only in larger models, and a failure there may be another operator's doing` : ""}.`
    : "The report does not say which operators its cases use.";
  drawOperatorGrid();
};
