// Charts of run times on a logarithmic axis.

// Room for the targets' names, and for the last number, beside the axis.
const LABELS = 118;

// Positions on a logarithmic axis from a decade at or below `low` to one at or above `high`.
const logAxis = (low, high, from, to) => {
  const first = Math.floor(Math.log10(low));
  const last = Math.max(first + 1, Math.ceil(Math.log10(high)));
  const at = (value) => from + ((Math.log10(value) - first) / (last - first)) * (to - from);
  const decades = Array.from({ length: last - first + 1 }, (_, step) => 10 ** (first + step));
  return { at, decades };
};
const axisMarks = (axis, top, bottom) => {
  // Where decades stand closer than their labels are wide, only some are labelled.
  const every = Math.ceil(50 / (axis.at(axis.decades[1]) - axis.at(axis.decades[0])));
  return axis.decades.flatMap((value, index) => axisMark(axis.at(value), value, index % every === 0, top, bottom));
};
const axisMark = (x, value, labelled, top, bottom) => {
  const rule = svg("line", { class: "rule", x1: x, x2: x, y1: top, y2: bottom });
  if (!labelled) return [rule];
  return [
    rule,
    svg("text", { class: "axis", x, y: bottom + 16, "text-anchor": "middle" }, value >= 1 ? value.toLocaleString("en") : value >= 0.001 ? String(Number(value.toPrecision(1))) : value.toExponential(0)),
  ];
};
const chart = (width, height, label, ...marks) =>
  svg("svg", { class: "chart", viewBox: `0 0 ${width} ${height}`, height, preserveAspectRatio: "xMinYMid", role: "img", "aria-label": label }, ...marks);

// One case: a dot for each target that has a run time.
const caseChart = (results, width) => {
  const timed = TARGETS.map((target, column) => ({ target, run: results[column] && results[column].run })).filter(({ run }) => run > 0);
  if (!timed.length) return null;
  const row = 24, top = 12, bottom = top + timed.length * row;
  const runs = timed.map(({ run }) => run);
  const axis = logAxis(Math.min(...runs), Math.max(...runs), LABELS + 10, width - 70);
  const marks = timed.flatMap(({ target, run }, index) => {
    const y = top + row * (index + 0.5);
    return [
      svg("text", { x: LABELS, y: y + 4, "text-anchor": "end" }, slot(target)),
      svg("line", { class: "stem", x1: LABELS + 10, x2: axis.at(run), y1: y, y2: y }),
      svg("circle", { class: "dot", cx: axis.at(run), cy: y, r: 5 }),
      svg("text", { x: axis.at(run) + 10, y: y + 4 }, ms(run)),
    ];
  });
  const label = `Run time in milliseconds: ${timed.map(({ target, run }) => `${slot(target)} ${number(run)}`).join(", ")}`;
  return chart(width, bottom + 26, label, ...axisMarks(axis, top, bottom), ...marks);
};

// All cases: for each target how its passed cases' run times are spread, and their median over the cases that passed everywhere.
const drawTimings = () => {
  const place = document.getElementById("timings"), about = document.getElementById("speed-about");
  const run = (each, column) => { const result = each.results[column]; return result && result.verdict === "pass" && result.run > 0 ? result.run : null; };
  const timed = TARGETS.map((target, column) => ({ target, column, runs: CASES.map((each) => run(each, column)).filter((ms) => ms != null).sort((a, b) => a - b) }))
    .filter(({ runs }) => runs.length);
  place.replaceChildren();
  if (!timed.length) { about.textContent = "No run time was measured."; return; }
  const everywhere = CASES.filter((each) => timed.every(({ column }) => run(each, column) != null));
  about.textContent = `How the run times of the cases that passed are spread on each target, on a logarithmic axis in milliseconds. `
    + (everywhere.length ? `The line and the number are the median over the ${count(everywhere.length, "case")} that passed on every target shown here.` : `No case passed on every target shown here, so no medians are compared.`);
  const width = Math.max(320, place.clientWidth), narrow = width < 560, row = 46, top = 14, bottom = top + timed.length * row;
  const from = narrow ? 14 : LABELS + 14, to = width - (narrow ? 26 : 96);
  const axis = logAxis(Math.min(...timed.map(({ runs }) => runs[0])), Math.max(...timed.map(({ runs }) => runs.at(-1))), from, to);
  const bins = Math.max(20, Math.min(90, Math.round((to - from) / 9)));
  const marks = timed.flatMap(({ target, column, runs }, index) => {
    const base = top + row * (index + 1) - 6;
    const heights = new Array(bins).fill(0);
    for (const value of runs) heights[Math.min(bins - 1, Math.floor(((axis.at(value) - from) / (to - from)) * bins))] += 1;
    const most = Math.max(...heights), step = (to - from) / bins;
    const bars = heights.map((n, bin) => n && svg("rect", { class: "hist", x: from + bin * step + 0.5, y: base - (n / most) * (row - 20), width: step - 1, height: Math.max(1.5, (n / most) * (row - 20)) })).filter(Boolean);
    const common = everywhere.map((each) => run(each, column)).sort((a, b) => a - b);
    const middle = common.length ? median(common) : null;
    const line = middle == null ? [] : [svg("line", { class: "median", x1: axis.at(middle), x2: axis.at(middle), y1: base - row + 18, y2: base })];
    const name = narrow ? `${slot(target)}  ${ms(middle)}` : slot(target);
    return [
      svg("line", { class: "rule", x1: from, x2: to, y1: base, y2: base }), ...bars, ...line,
      svg("text", narrow ? { x: from, y: base - row + 18 } : { x: LABELS, y: base - 8, "text-anchor": "end" }, name),
      ...(narrow ? [] : [svg("text", { x: to + 12, y: base - 8 }, ms(middle))]),
    ];
  });
  const label = timed.map(({ target, runs }) => `${slot(target)}: ${count(runs.length, "case")} from ${number(runs[0])} to ${number(runs.at(-1))} milliseconds`).join("; ");
  place.append(chart(width, bottom + 26, label, ...axisMarks(axis, top, bottom), ...marks));
  if (DATA.performance) place.append(el("p", { class: "all" }, el("a", { href: DATA.performance }, "How run times went over the runs of the history, and what changed →")));
};
