// A series as a chart: medians, quartiles, changes, what surrounds them, and what is to come.

const same = (a, b) => ["model", "operation", "batch", "precision", "target", "adapter", "host", "metric"].every((key) => (a[key] ?? null) === (b[key] ?? null));
const of = (rows, series) => (rows || []).filter((row) => same(row, series));
const title = (series) => [series.operation === "infer" ? null : series.operation, series.batch == null ? null : `batch ${series.batch}`, series.precision].filter(Boolean).join(", ");
// Bytes are told, and stand on axes, in mebibytes; everything else as it is.
const scale = (series) => (series.unit === "bytes" ? 2 ** 20 : 1);
const plain = (value, series) => number(value == null ? null : value / scale(series));
const withUnit = (value, series) => (value == null ? "–" : `${plain(value, series)} ${series.unit === "bytes" ? "MiB" : series.unit}`);
const percent = (share) => share == null ? "–" : `${share >= 0 ? "+" : "−"}${Math.abs(share * 100).toFixed(1)} %`;
const day = (at) => at.slice(0, 10);
const minute = (at) => `${at.slice(0, 10)} ${at.slice(11, 16)}`;
const short = (commit) => commit.slice(0, 9);

// Round steps for an axis from `low` to `high`.
const ticks = (low, high, wanted) => {
  const span = high - low || Math.abs(high) || 1;
  const rough = span / wanted, size = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((times) => times * size).find((each) => each >= rough);
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.max(0, Math.floor(high / step) - first + 1) }, (_, index) => (first + index) * step);
};

// Every point has the same room, whenever it was: nights without a run are no gap, and a burst of runs is no blot.
const seriesChart = (series, width) => {
  const { points } = series;
  const changes = of(DATA.change_points, series).sort((a, b) => a.index - b.index), odd = of(DATA.anomalies, series), [forecast] = of(DATA.forecasts, series);
  const ahead = forecast ? forecast.points : [];
  const left = 64, right = width - 16, top = 26, bottom = 210;
  const step = (right - left) / Math.max(1, points.length + ahead.length);
  const x = (index) => left + (index + 0.5) * step;
  const values = points.flatMap(({ median: middle, quartiles }) => [middle, ...quartiles]).concat(ahead.flat(), forecast && forecast.budget != null ? [forecast.budget] : []);
  const low = Math.min(...values), high = Math.max(...values), room = (high - low) * 0.06 || Math.abs(high) * 0.05 || 1;
  const y = (value) => bottom - ((value - low + room) / (high - low + 2 * room)) * (bottom - top);
  const path = (pairs) => pairs.map(([a, b], index) => `${index ? "L" : "M"}${a.toFixed(1)} ${b.toFixed(1)}`).join("");
  const area = (rows, from) => rows.length < 2 ? "" : `${path(rows.map(([, hi], index) => [x(from + index), y(hi)]))}L${path(rows.map(([lo], index) => [x(from + index), y(lo)]).reverse()).slice(1)}Z`;
  const marks = [];
  for (const value of ticks(low / scale(series), high / scale(series), 5).map((each) => each * scale(series))) {
    marks.push(svg("line", { class: "rule", x1: left, x2: right, y1: y(value), y2: y(value) }), svg("text", { class: "axis", x: left - 8, y: y(value) + 4, "text-anchor": "end" }, plain(value, series)));
  }
  const every = Math.ceil(points.length / Math.max(1, Math.floor((right - left) / 110)));
  points.forEach((point, index) => index % every || marks.push(svg("text", { class: "axis", x: x(index), y: bottom + 18, "text-anchor": "middle" }, day(point.at))));
  points.forEach((point, index) => (point.environment_changes || []).length && marks.push(svg("line", { class: "env", x1: x(index) - step / 2, x2: x(index) - step / 2, y1: top, y2: bottom }, svg("title", {}, point.environment_changes.join("; ")))));
  marks.push(svg("path", { class: "band", d: area(points.map(({ quartiles }) => quartiles), 0) }));
  marks.push(svg("path", { class: "line", d: path(points.map((point, index) => [x(index), y(point.median)])) }));
  if (ahead.length) {
    const last = points.length - 1, from = points[last].median;
    marks.push(svg("path", { class: "future", d: area([[from, from], ...ahead.map(([, lo, hi]) => [lo, hi])], last) }));
    marks.push(svg("path", { class: "ahead", d: path([[x(last), y(from)], ...ahead.map(([value], index) => [x(points.length + index), y(value)])]) }));
    if (forecast.budget != null) marks.push(svg("line", { class: "budget", x1: left, x2: right, y1: y(forecast.budget), y2: y(forecast.budget) }));
  }
  const starts = [0, ...changes.map(({ index }) => index)], ends = [...changes.map(({ index }) => index), points.length];
  if (changes.length) starts.forEach((from, index) => {
    const level = index ? changes[index - 1].after : changes[0].before;
    marks.push(svg("line", { class: "level", x1: x(from) - step / 2, x2: x(ends[index]) - step / 2, y1: y(level), y2: y(level) }));
  });
  for (const change of changes) {
    const at = x(change.index) - step / 2;
    marks.push(svg("g", { class: change.worse ? "worse" : "better" },
      svg("line", { class: "change", x1: at, x2: at, y1: top, y2: bottom }),
      svg("text", { class: "tag-text", x: Math.min(at, right - 40), y: top - 8, "text-anchor": "middle" }, percent(change.relative)),
      svg("title", {}, `${minute(change.at)}: ${withUnit(change.before, series)} to ${withUnit(change.after, series)}`)));
  }
  const radius = Math.max(1.5, Math.min(4, step / 3));
  points.forEach((point, index) => marks.push(svg("circle", { class: "dot", cx: x(index), cy: y(point.median), r: radius },
    svg("title", {}, `run ${point.run_id}, ${minute(point.at)}${point.commit ? `, ${short(point.commit)}` : ""}: ${withUnit(point.median, series)}, ${count(point.samples, "sample")}${point.failures ? `, ${point.failures} of ${point.attempts} attempts failed` : ""}`))));
  for (const each of odd) marks.push(svg("circle", { class: "odd", cx: x(each.index), cy: y(each.value), r: radius + 4 }, svg("title", {}, `${withUnit(each.expected, series)} expected`)));
  const label = `${series.model} on ${series.target}, ${series.metric}: ${count(points.length, "run")} from ${withUnit(points[0].median, series)} to ${withUnit(points.at(-1).median, series)}`;
  return svg("svg", { class: "chart", viewBox: `0 0 ${width} ${bottom + 30}`, height: bottom + 30, preserveAspectRatio: "xMinYMid", role: "img", "aria-label": label }, ...marks);
};
