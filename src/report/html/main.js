// Draws the page, and connects its controls.

const show = (name) => {
  grid.show = grid.show === name ? "all" : name;
  draw();
};

const openFromAddress = () => {
  const id = decodeURIComponent(location.hash.slice(1));
  const wanted = CASES.find((each) => each.id === id);
  if (!wanted) return;
  if (!grid.rows.includes(wanted)) {
    Object.assign(grid, { show: "all", suite: "", query: "" });
    document.getElementById("search").value = document.getElementById("suite").value = "";
    draw();
  }
  while (grid.drawn <= grid.rows.indexOf(wanted)) drawMore();
  if (!grid.open.has(wanted)) toggle(wanted);
  wanted.row.scrollIntoView({ block: "center" });
};

const connect = () => {
  const select = document.getElementById("show"), suite = document.getElementById("suite"), search = document.getElementById("search");
  select.append(...SHOWS.filter(([name, , wanted]) => name === "all" || CASES.some(wanted)).map(([value, label]) => el("option", { value }, label)));
  select.addEventListener("change", () => { grid.show = select.value; draw(); });
  suite.append(el("option", { value: "" }, "all suites"), ...DATA.suites.map((value) => el("option", { value }, value)));
  suite.hidden = DATA.suites.length < 2;
  suite.addEventListener("change", () => { grid.suite = suite.value; draw(); });
  let typing;
  search.addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(() => { grid.query = search.value; draw(); }, 80); });
  for (const choice of document.querySelectorAll("[name=cells]")) choice.addEventListener("change", () => { grid.cells = choice.value; draw(); });
  let width = innerWidth;
  addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; drawTimings(); } });
  addEventListener("hashchange", openFromAddress);
};

drawProvenance();
drawSummary(show);
drawTargets();
drawLegend();
connect();
draw();
drawTimings();
openFromAddress();
