// What stands out, as tables.

const link = (model) => el("a", { href: `#${encodeURIComponent(model)}` }, model);
const word = (text, kind) => el("span", { class: `word ${kind}` }, text);
const cell = (content, kind = "") => el("td", { class: kind }, content);
const also = (row) => {
  const commits = row.commits && row.commits[0] !== row.commits[1] ? [`commits ${short(row.commits[0])}..${short(row.commits[1])}`] : [];
  return [...(row.environment_changes || []), ...commits, ...(row.note ? [row.note] : [])].join("; ");
};
const numeric = (rows, column) => rows.length && rows[0].children[column] && rows[0].children[column].className === "n" ? "n" : null;
const list = (heads, rows) => el("div", { class: "scroll", tabindex: "0" },
  el("table", { class: "list" }, el("thead", {}, el("tr", {}, ...heads.map((head, column) => el("th", { class: numeric(rows, column) }, head)))), el("tbody", {}, ...rows)));
const section = (heading, ...content) => el("section", {}, el("h2", {}, heading), ...content);
const shareOf = (some, all) => (all ? `${some} (${((100 * some) / all).toFixed(1)} %)` : "–");
const LEVELS = { critical: "worse", severe: "worse", moderate: "amber-word", minor: "soft", improvement: "better", degrading: "worse", improving: "better", stable: "soft" };
const who = (row) => [cell(el("span", {}, link(row.model), title(row) ? ` ${title(row)}` : "")), cell(row.target, "nw"), cell(row.metric, "nw")];

const TABLES = [
  ["regressions", "Differences between baseline and candidate", ["", "model", "target", "metric", "was", "is", "change", "95 % CI", "p adjusted", "samples", "what else changed"], (row) => [
    cell(word(row.severity, LEVELS[row.severity])), ...who(row), cell(withUnit(row.baseline.median, row), "n"), cell(withUnit(row.candidate.median, row), "n"), cell(percent(row.relative), "n"),
    cell(row.baseline.median && row.shift_interval ? row.shift_interval.map((end) => percent(end / row.baseline.median)).join(" to ") : "–", "n"),
    cell(row.p_adjusted < 0.001 ? "< 0.001" : row.p_adjusted.toFixed(3), "n"), cell(`${row.baseline.samples} + ${row.candidate.samples}`, "n"), cell(also(row), "small")]],
  ["change_points", "Changes of level", ["when", "model", "target", "metric", "before", "after", "change", "confidence", "what else changed"], (row) => [
    cell(minute(row.at), "nw"), ...who(row), cell(withUnit(row.before, row), "n"), cell(withUnit(row.after, row), "n"), cell(word(percent(row.relative), row.worse ? "worse" : "better"), "n"),
    cell(row.confidence.toFixed(2), "n"), cell(also(row), "small")]],
  ["trends", "Trends", ["", "model", "target", "metric", "in 30 days", "p adjusted", "points"], (row) => [
    cell(word(row.trend, LEVELS[row.trend])), ...who(row), cell(percent(row.relative_per_30_days), "n"), cell(row.p_adjusted < 0.001 ? "< 0.001" : row.p_adjusted.toFixed(3), "n"), cell(row.points, "n")]],
  ["anomalies", "Points that stand out", ["when", "model", "target", "metric", "was", "expected", "deviations", "run"], (row) => [
    cell(minute(row.at), "nw"), ...who(row), cell(withUnit(row.value, row), "n"), cell(withUnit(row.expected, row), "n"), cell(row.deviations.toFixed(1), "n"), cell(row.run_id, "n")]],
  ["forecasts", "Forecasts", ["model", "target", "metric", "last step", "interval", "in", "budget"], (row) => {
    const last = row.points.at(-1) || [];
    return [...who(row), cell(withUnit(last[0], row), "n"), cell(`${plain(last[1], row)}–${plain(last[2], row)}`, "n"), cell(row.step_days ? `${number(row.points.length * row.step_days)} days` : count(row.points.length, "run"), "n"), cell(row.crossing || "–", "small")];
  }],
  ["correlations", "What moves together", ["model", "target", "what", "rho", "lag in runs", "p adjusted", "runs"], (row) => [
    cell(link(row.a.model)), cell(row.a.target, "nw"), cell(row.says), cell(row.rho.toFixed(2), "n"), cell(row.lag, "n"), cell(row.p_adjusted < 0.001 ? "< 0.001" : row.p_adjusted.toFixed(3), "n"), cell(row.points, "n")]],
  ["health", "How well targets were", ["target", "attempts", "failed", "breakers opened", "recoveries", "helped", "median recovery", "health checks", "failed checks", "last attempt"], (row) => [
    cell(row.target, "nw"), cell(row.attempts, "n"), cell(shareOf(row.failures, row.attempts), "n"), cell(row.circuit_opened, "n"), cell(row.recoveries, "n"), cell(row.helped, "n"),
    cell(ms(row.recovery_ms), "n"), cell(row.health_checks, "n"), cell(shareOf(row.failed_checks, row.health_checks), "n"), cell(row.last_at ? minute(row.last_at) : "–", "nw")]],
];
const RECOMMENDED = ["model", "place", "target", "median", "samples", "failed", "confidence", ""];
const recommended = (each) => each.targets.map((row, place) => el("tr", {}, cell(place ? "" : link(each.model)), cell(place + 1, "n"),
  cell(row.refused ? word(row.target, "soft") : place === 0 || row.tied ? word(row.target, "better") : row.target), cell(ms(row.median_ms), "n"), cell(row.samples, "n"),
  cell(`${(row.failure_share * 100).toFixed(1)} %`, "n"), cell(place ? "" : each.confidence == null ? "–" : each.confidence.toFixed(2), "n"), cell(row.refused || (place ? (row.tied ? "as good, as far as the data tell" : "") : each.says), "small")));

const notJudged = () => {
  const reasons = new Map();
  for (const row of DATA.not_judged || []) reasons.set(row.reason, (reasons.get(row.reason) || 0) + 1);
  return [...reasons].map(([reason, times]) => el("li", {}, `${count(times, "series", "series")} not judged: ${reason}`));
};

const findings = () => {
  const parts = TABLES.filter(([key]) => (DATA[key] || []).length).map(([key, heading, heads, row]) => section(heading, list(heads, DATA[key].map((each) => el("tr", {}, ...row(each))))));
  if ((DATA.recommendations || []).length) parts.push(section("Where models run best", list(RECOMMENDED, DATA.recommendations.flatMap(recommended))));
  const left = notJudged();
  if (left.length) parts.push(el("ul", { class: "notes" }, ...left));
  return parts;
};
