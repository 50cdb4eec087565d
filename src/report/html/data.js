// The matrix, unpacked.
const TARGETS = DATA.targets;
const VERDICTS = DATA.verdicts;
const SYMBOLS = {
  pass: "✓", wrong: "≠", "load-error": "L", "run-error": "R", crash: "✕", "device-lost": "D", timeout: "T",
  skipped: "○", unavailable: "",
};
const ABOUT = {
  pass: "every output within tolerance", wrong: "an output outside tolerance", "load-error": "no session could be created",
  "run-error": "the run failed", crash: "worker, tab or browser died", "device-lost": "GPU device or WebNN context lost",
  timeout: "no answer in time", skipped: "not tried: the runtime lacks something it uses", unavailable: "not tried: the target does not work here",
};
const NOT_FAILED = new Set(["pass", "skipped", "unavailable"]);
const failed = (verdict) => !NOT_FAILED.has(verdict);

const unpackResult = (packed) => {
  if (!packed) return null;
  const [verdict, attempts, cpu, load, run, abs, rel, category, message] = packed;
  const known = (value) => value ?? null;
  return {
    verdict: VERDICTS[verdict], attempts, cpu: known(cpu), load: known(load), run: known(run), abs: known(abs), rel: known(rel),
    category: category == null ? null : DATA.categories[category], message: message == null ? null : DATA.messages[message],
  };
};
const CASES = DATA.cases.map(([suite, name, family, packed]) => {
  const results = TARGETS.map((_, column) => unpackResult(packed[column]));
  const id = `${DATA.suites[suite]}/${name}`;
  const words = results.flatMap((result) => (result && result.message ? [result.message] : []));
  return { id, name, suite: DATA.suites[suite], family: family ?? null, results, text: [id, ...words].join("\n").toLowerCase() };
});

// What a target did with a case that it has no result for.
const verdictOf = (result, target) => (result ? result.verdict : target.available === false ? "unavailable" : null);

// The targets in the grid, by number: one that does not work here, and on which nothing was tried, has only its card.
const tried = (column) => CASES.some(({ results }) => results[column] && results[column].verdict !== "unavailable");
const COLUMNS = TARGETS.map((_, column) => column).filter((column) => TARGETS[column].available !== false || tried(column));
const LEFT_OUT = TARGETS.filter((_, column) => !COLUMNS.includes(column));

const slot = (target) => (target.stand_in ? target.target.replace("/", "*/") : target.target);
