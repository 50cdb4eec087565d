// The matrix, unpacked: this run's results, and what earlier runs found.
const TARGETS = DATA.targets;
const VERDICTS = DATA.verdicts;
const SYMBOLS = {
  pass: "✓", wrong: "≠", "load-error": "L", "run-error": "R", crash: "✕", "device-lost": "D", timeout: "T",
  skipped: "○", unavailable: "∅",
};
const ABOUT = {
  pass: "every output within tolerance", wrong: "an output outside tolerance", "load-error": "no session could be created",
  "run-error": "the run failed", crash: "worker, tab or browser died", "device-lost": "GPU device or WebNN context lost",
  timeout: "no answer in time", skipped: "not tried: the runtime lacks something it uses", unavailable: "not tried: the target does not work here",
};
const NOT_FAILED = new Set(["pass", "skipped", "unavailable"]);
const failed = (verdict) => !NOT_FAILED.has(verdict);

const text = (place) => (place == null ? null : DATA.texts[place]);
const gist = (place) => (place == null ? null : DATA.gists[place] ?? DATA.texts[place]);
const unpackResult = (packed) => {
  if (!packed) return null;
  const [verdict, attempts, cpu, load, run, abs, rel, category, message, more] = packed;
  const known = (value) => value ?? null;
  return {
    verdict: VERDICTS[verdict], attempts, cpu: known(cpu), load: known(load), run: known(run), abs: known(abs), rel: known(rel),
    category: category == null ? null : DATA.categories[category], message: text(message), gist: gist(message), flaky: false, unexpected: false, ...more,
  };
};
const CASES = DATA.cases.map(([suite, name, family, opset, operators, types, packed, past]) => {
  const results = TARGETS.map((_, column) => unpackResult(packed[column]));
  const id = `${DATA.suites[suite]}/${name}`;
  return {
    id, name, suite: DATA.suites[suite], family, opset, results, past,
    operators: operators.map((place) => DATA.operators[place]), types: types.map((place) => DATA.types[place]),
  };
});
// What a search looks through, made when it is first needed.
const wordsOf = (each) => (each.words ??= [each.id, ...each.operators, ...each.results.flatMap((result) => (result && result.message ? [result.message] : []))].join("\n").toLowerCase());

// What a target did with a case that it has no result for.
const verdictOf = (result, target) => (result ? result.verdict : target.available === false ? "unavailable" : null);

// The targets in the grids, by number: one that does not work here, and on which nothing was tried, has only its card.
const tried = (column) => CASES.some(({ results }) => results[column] && results[column].verdict !== "unavailable");
const COLUMNS = TARGETS.map((_, column) => column).filter((column) => TARGETS[column].available !== false || tried(column));
const LEFT_OUT = TARGETS.filter((_, column) => !COLUMNS.includes(column));

const browserOf = (target) => `${target.browser}${target.build ? `@${target.build}` : ""}`;
const slot = (target) => `${browserOf(target)}${target.stand_in ? "*" : ""}/${target.backend}`;

// Runs, the oldest first; the last is this one. What a run found of a case on a target is one character: the verdict's
// number, `c` for a pass that needed the CPU, `f` for a flaky one, `.` for no result.
const RUNS = [...DATA.runs, { started: DATA.started, commit: DATA.ci && DATA.ci.commit, url: DATA.ci && DATA.ci.url, versions: TARGETS.map((target) => target.version ?? null) }];
const NOW = RUNS.length - 1;
const codeOf = (result, target) => {
  const verdict = verdictOf(result, target);
  if (verdict === null) return ".";
  if (verdict !== "pass") return String(VERDICTS.indexOf(verdict));
  return result.flaky ? "f" : result.cpu ? "c" : String(VERDICTS.indexOf("pass"));
};
// Where all earlier runs found what this one did, they are not in the data.
const codeAt = (each, column, run) => {
  const past = run < NOW && each.past && each.past[column];
  return past ? past[run] : codeOf(each.results[column], TARGETS[column]);
};
const verdictIn = (code) => (code === "." ? null : code === "c" || code === "f" ? "pass" : VERDICTS[Number(code)]);
const saidOf = (code) => ({ c: "pass, partly on the CPU", f: "pass, flaky", ".": "no result" })[code] ?? verdictIn(code);
const symbolOf = (code) => ({ c: "◐", f: "↻", ".": "–" })[code] ?? SYMBOLS[verdictIn(code)];
const day = (at) => new Date(at).toISOString().slice(0, 10);
const minute = (at) => new Date(at).toISOString().replace("T", " ").slice(0, 16);
const caseLink = (each) => `#/case/${encodeURIComponent(each.id)}`;
