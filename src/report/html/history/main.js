// The overview, and a page for each model.

const SERIES = DATA.series.filter(({ points }) => points.length);
const MODELS = [...new Set(SERIES.map(({ model }) => model))];

// Run times of sessions that were ready or, of a model that never had one (each case of a matrix makes its own), of first runs.
const runTimesOf = (model) => {
  const measured = (metric) => SERIES.filter((series) => series.model === model && series.metric === metric), ready = measured("run_ms");
  return ready.length ? ready : measured("first_run_ms");
};

// The newest median of each model on each target by that of its best target: 1 is best, and red is far from it.
const heatMap = () => {
  const runs = MODELS.flatMap(runTimesOf);
  const targets = [...new Set(runs.map(({ target }) => target))].sort();
  if (targets.length < 2) return [];
  const newest = (model, target) => {
    const latest = runs.filter((series) => series.model === model && series.target === target).map(({ points }) => points.at(-1));
    return latest.sort((a, b) => a.at.localeCompare(b.at)).at(-1);
  };
  const rows = MODELS.map((model) => {
    const points = targets.map((target) => newest(model, target));
    const best = Math.min(...points.filter(Boolean).map((point) => point.median));
    const cells = points.map((point) => {
      if (!point) return cell("–");
      const times = point.median / best, heat = Math.min(1, Math.log2(times) / 5);
      const style = `background: color-mix(in srgb, var(--pass-bg) ${(100 * (1 - heat)).toFixed(0)}%, var(--crash-bg))`;
      return el("td", {}, el("i", { style, title: minute(point.at) }, ms(point.median), el("small", {}, times === 1 ? "best" : `${number(times)}×`)));
    });
    return el("tr", {}, cell(link(model)), ...cells);
  });
  const map = list(["model", ...targets], rows);
  map.firstChild.classList.add("heat");
  return [section("Newest run time of each model on each target", map)];
};

const overview = () => {
  const runs = new Set(SERIES.flatMap(({ points }) => points.map(({ run_id: run }) => run)));
  const worse = (DATA.regressions || []).filter(({ severity }) => severity !== "improvement").length;
  const all = Math.max(SERIES.length, (DATA.looked_at ?? {}).series ?? 0);
  const facts = [all > SERIES.length ? `${SERIES.length.toLocaleString("en")} of ${count(all, "series", "series")}` : count(all, "series", "series"), count(runs.size, "run"), count(MODELS.length, "model")];
  if (DATA.question === "regressions") facts.push(count(worse, "regression"));
  const models = MODELS.map((model) => {
    const charted = SERIES.filter((series) => series.model === model);
    return el("tr", {}, cell(link(model)), cell(charted.length, "n"), cell([...new Set(charted.map(({ target }) => target))].join(", ")));
  });
  return [
    el("section", { id: "summary" }, el("div", { class: "headline" }, el("strong", {}, facts[0]), el("span", {}, facts.slice(1).join(", ")))),
    ...findings(), ...heatMap(),
    section("Models", models.length ? list(["model", "series", "targets"], models) : el("p", { class: "about" }, "No series was recorded that fits the question.")),
  ];
};

const changedAt = (point, series) => of(DATA.change_points, series).some((row) => row.run_id === point.run_id);
const notesOf = (series) => [
  ...series.points.filter((point) => (point.environment_changes || []).length && !changedAt(point, series)).map((point) => `${minute(point.at)}: ${point.environment_changes.join("; ")}`),
  ...of(DATA.change_points, series).map((row) => `${minute(row.at)}: ${withUnit(row.before, series)} to ${withUnit(row.after, series)} (${percent(row.relative)})${also(row) ? `; ${also(row)}` : ""}`),
  ...of(DATA.forecasts, series).filter(({ crossing }) => crossing).map(({ crossing }) => crossing),
];
const modelPage = (model, width) => {
  const charted = SERIES.filter((series) => series.model === model);
  return [
    el("p", { class: "crumbs" }, el("a", { href: "#" }, "← all models")),
    section(model, ...charted.map((series) => el("div", { class: "series" },
      el("h3", {}, `${series.target} · ${series.metric}`, el("small", {}, [title(series), series.adapter, series.host].filter(Boolean).join(" · "))),
      seriesChart(series, width), el("ul", { class: "notes" }, ...notesOf(series).map((note) => el("li", {}, note)))))),
  ];
};

const draw = () => {
  const main = document.getElementById("main"), model = decodeURIComponent(location.hash.slice(1));
  main.replaceChildren(...(MODELS.includes(model) ? modelPage(model, Math.max(320, main.clientWidth)) : overview()));
};
document.getElementById("provenance").textContent = `${DATA.question} of ${DATA.file}, made by tabfleet ${DATA.tabfleet} at ${minute(DATA.made)} UTC`;
let drawn = innerWidth;
addEventListener("resize", () => { if (innerWidth !== drawn) { drawn = innerWidth; draw(); } });
addEventListener("hashchange", () => { draw(); scrollTo(0, 0); });
draw();
