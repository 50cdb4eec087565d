// How far outputs are from what was expected, beside the tolerance, on a logarithmic axis.

// The tolerances that count for the case: float16 outputs have their own.
const limitsOf = (each, result, key) => {
  const tolerance = (result && result.tolerance) ?? DATA.tolerance;
  if (!tolerance) return [];
  const half = each.types.includes("float16"), full = !half || each.types.some((type) => type === "float32" || type === "float64");
  return [full && tolerance[key], half && tolerance[`${key}_float16`]].filter((limit) => limit > 0);
};

const toleranceChart = (each, measured, limit, label, width) => {
  const rows = COLUMNS.map((column) => ({ target: TARGETS[column], result: each.results[column] })).filter(({ result }) => result && result[measured] != null);
  if (!rows.length) return null;
  const limits = rows.map(({ result }) => limitsOf(each, result, limit)), all = [...rows.map(({ result }) => result[measured]), ...limits.flat()].filter((value) => value > 0);
  if (!all.length) return null;
  const narrow = width < 420, row = narrow ? 40 : 24, top = 12, bottom = top + rows.length * row;
  const left = narrow ? 66 : LABELS + 76, axis = logAxis(Math.min(...all), Math.max(...all), left, width - 76), zero = left - 52;
  const marks = rows.flatMap(({ target, result }, index) => {
    const value = result[measured], x = value > 0 ? axis.at(value) : zero, y = top + row * (index + (narrow ? 0.72 : 0.5));
    const over = result.verdict === "wrong";
    const tolerated = limits[index].map((limit) => svg("line", { class: "limit", x1: axis.at(limit), x2: axis.at(limit), y1: top + row * index + 2, y2: top + row * (index + 1) - 2 }, svg("title", {}, `tolerance ${number(limit)}`)));
    const within = limits[index].length ? [svg("rect", { class: "within", x: zero - 10, y: top + row * index + 2, width: Math.max(0, axis.at(Math.max(...limits[index])) - zero + 10), height: row - 4 })] : [];
    // Wrong outputs are told by the mark's form, too.
    const dot = over ? svg("path", { class: "off", d: `M${x - 5} ${y - 5}l10 10m0 -10l-10 10` }) : svg("circle", { class: "dot", cx: x, cy: y, r: 5 });
    const name = narrow ? { x: 8, y: y - 12 } : { x: LABELS, y: y + 4, "text-anchor": "end" };
    return [...within, ...tolerated, svg("text", name, slot(target)), dot, svg("text", { x: x + 10, y: y + 4 }, value === 0 ? "exact" : number(value))];
  });
  const said = rows.map(({ target, result }, index) => `${slot(target)} ${number(result[measured])}${limits[index].length ? `, tolerance ${limits[index].map(number).join(" or ")}` : ""}`).join("; ");
  return el("figure", {}, el("figcaption", {}, label), chart(width, bottom + 26, `${label}: ${said}`, ...axisMarks(axis, top, bottom), ...marks));
};

const toleranceCharts = (each, width) => {
  const each_width = width >= 900 ? (width - 20) / 2 : width;
  const charts = [toleranceChart(each, "abs", "atol", "largest absolute difference", each_width), toleranceChart(each, "rel", "rtol", "largest relative difference, as a share", each_width)].filter(Boolean);
  return charts.length ? el("div", { class: "figures" }, ...charts) : null;
};
