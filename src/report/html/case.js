// The page of a case: what became of it on each target, now and in earlier runs, how far its outputs are off, and what ran it.

const MOST_RUNS = 40;

// Runs of a target in one browser version, one after another: `{ version, runs }`.
const eras = (column) => {
  const found = [];
  for (let run = Math.max(0, RUNS.length - MOST_RUNS); run < RUNS.length; run += 1) {
    const version = RUNS[run].versions[column] ?? null;
    if (!found.length || found.at(-1).version !== version) found.push({ version, runs: [] });
    found.at(-1).runs.push(run);
  }
  return found;
};
const streaks = (codes) => codes.reduce((runs, code) => (runs.length && runs.at(-1)[0] === code ? (runs.at(-1)[1] += 1) : runs.push([code, 1]), runs), []);
const verdictHistory = (each, column) => {
  if (NOW === 0) return null;
  const groups = eras(column).map(({ version, runs }) => {
    const codes = runs.map((run) => codeAt(each, column, run));
    const said = streaks(codes).map(([code, times]) => `${saidOf(code)}${times > 1 ? ` in ${times} runs` : ""}`).join(", then ");
    const marks = runs.map((run, index) => {
      const verdict = verdictIn(codes[index]);
      return el("i", { class: `night ${verdict ? `v-${verdict}` : "none"}${codes[index] === "c" ? " cpu" : ""}`, title: `${minute(RUNS[run].started)}${RUNS[run].commit ? `, ${RUNS[run].commit.slice(0, 10)}` : ""}: ${saidOf(codes[index])}` }, symbolOf(codes[index]));
    });
    return el("div", { class: "era", role: "img", "aria-label": `${version ?? "version unknown"}: ${said}` }, el("div", {}, ...marks), el("small", {}, version ?? "–"));
  });
  return el("div", { class: "past" }, el("p", {}, `${count(Math.min(RUNS.length, MOST_RUNS), "run")}, by browser version`), el("div", { class: "eras" }, ...groups));
};

const expectation = (result) => {
  if (!result || !result.expected) return null;
  const link = result.link && /^https?:/.test(result.link) ? [" ", el("a", { href: result.link, rel: "noreferrer" }, "more")] : [];
  return el("p", { class: "expected" }, `Expected: ${result.expected.join(" or ")}${result.reason ? `, ${result.reason}` : ""}`, ...link);
};
const failedAttempts = (result) => result && result.failed
  ? el("details", {}, el("summary", {}, `${count(result.failed.length, "attempt")} failed before`), ...result.failed.map(([verdict, message, elapsed]) => el("pre", {}, `${VERDICTS[verdict]} after ${ms(elapsed)}: ${text(message)}`)))
  : null;

const outcome = (each, column) => {
  const target = TARGETS[column], result = each.results[column];
  const code = codeOf(result, target), verdict = verdictIn(code);
  const facts = result ? [
    ["run", result.run == null ? null : ms(result.run)], ["load", result.load == null ? null : ms(result.load)],
    ["max abs error", result.abs == null ? null : number(result.abs)], ["max rel error", result.rel == null ? null : number(result.rel)],
    ["attempts", result.attempts > 1 ? String(result.attempts) : null],
    ["CPU fallback", result.cpu == null ? null : result.cpu ? "in part" : "none"], ["kind", result.category],
    ["repeats", result.repeats ? result.repeats.map(([given, times]) => `${VERDICTS[given]} ×${times}`).join(", ") : null],
  ].filter(([, value]) => value != null) : [];
  const message = result && result.message ? result.message : !result && target.available === false ? target.reason : null;
  return el("article", { class: `outcome v-${verdict ?? "unavailable"}` },
    el("h3", {}, slot(target), el("span", {}, `${symbolOf(code)} ${saidOf(code)}`)),
    result && result.unexpected ? el("div", { class: "tags" }, word("! unexpected", "worse")) : null,
    el("dl", { class: "num" }, ...facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value)))),
    expectation(result), message ? el("pre", { tabindex: "0" }, message) : null, failedAttempts(result), verdictHistory(each, column));
};

const provenance = (each) => el("div", { class: "scroll flat", tabindex: "0", role: "region", "aria-label": "What ran it" }, el("table", { class: "list" },
  el("thead", {}, el("tr", {}, ...["target", "browser", "driven by", "computes on", "runtime", "threads"].map((name) => el("th", { scope: "col" }, name)))),
  el("tbody", {}, ...COLUMNS.filter((column) => each.results[column]).map((column) => {
    const target = TARGETS[column];
    const cells = [
      el("span", {}, `${target.product ?? "–"} ${target.version ?? ""} `, ...tagsOf(target)), target.driver, adapterOf(target) || (target.webnn_device ? `WebNN ${target.webnn_device}` : target.backend === "wasm" ? "the CPU" : null),
      target.runtime && `${target.runtime.name} ${target.runtime.version}`, target.threads,
    ];
    return el("tr", {}, el("th", { scope: "row", class: "nw" }, slot(target)), ...cells.map((value) => el("td", {}, value == null ? "–" : value instanceof Node ? value : String(value))));
  }))));

const showCase = (id) => {
  const place = document.getElementById("case"), each = CASES.find((one) => one.id === id);
  if (!each) {
    place.replaceChildren(el("section", {}, el("h2", {}, "No such case"), el("p", {}, `This run has no case ${id}. `, el("a", { href: "#/cases" }, "All cases"))));
    return;
  }
  const about = [
    el("span", {}, each.suite), each.family && el("span", {}, each.family), each.opset != null && el("span", {}, `opset ${each.opset}`), each.types.length && el("span", {}, each.types.join(", ")),
    ...each.operators.map((name) => el("a", { class: "tag", href: `#/cases?op=${encodeURIComponent(name)}` }, name)),
  ].filter(Boolean);
  const width = Math.max(300, document.querySelector("main").clientWidth), charts = toleranceCharts(each, width), runs = caseChart(each.results, width);
  place.replaceChildren(
    el("section", { class: "case-head" }, el("p", { class: "crumbs" }, el("a", { href: "#/cases" }, "← all cases")), el("h2", {}, ...breakable(each.name)), el("div", { class: "case-about" }, ...about)),
    el("section", { "aria-label": "Outcomes" }, el("div", { class: "outcomes" }, ...COLUMNS.map((column) => outcome(each, column)))),
    charts ? el("section", {}, el("h2", {}, "How far the outputs are off"), el("p", { class: "about" }, "An element is within tolerance when it differs from what was expected by no more than the absolute tolerance and the relative tolerance of what was expected, together. Left of a dashed line is within, whatever the other says."), charts) : "",
    runs ? el("section", {}, el("h2", {}, "Run time"), runs) : "",
    el("section", {}, el("h2", {}, "What ran it"), provenance(each)));
};
