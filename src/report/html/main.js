// Which view is shown: the address says it, so that the browser's own back and forward work, and a view can be sent on.

const choices = (id, options, chosen) => {
  const select = document.getElementById(id);
  select.append(...options.map(([value, label]) => el("option", { value }, label)));
  select.addEventListener("change", () => chosen(select.value));
};
const onTyping = (id, typed) => {
  let waiting;
  document.getElementById(id).addEventListener("input", ({ target }) => { clearTimeout(waiting); waiting = setTimeout(() => typed(target.value), 80); });
};

// Each view is prepared when it is first looked at, and then shown with what the address says.
const VIEWS = {
  overview: { start: drawOverview },
  operators: { start: startOperators },
  cases: { start: startCases, show: showCases },
  case: { show: (_, id) => showCase(id) },
  changes: { start: startChanges, show: showChanges },
  speed: { show: drawTimings },
};
const scrolled = new Map();
let current = null;

const decoded = (part) => { try { return decodeURIComponent(part); } catch { return part; } };
const route = () => {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, ...rest] = path.split("/");
  return { name: Object.hasOwn(VIEWS, name) ? name : "overview", rest: decoded(rest.join("/")), params: new URLSearchParams(query) };
};
const show = () => {
  const { name, rest, params } = route(), view = VIEWS[name];
  if (current) scrolled.set(current, scrollY);
  for (const section of document.querySelectorAll(".view")) section.hidden = section.id !== name;
  if (view.start) view.start();
  view.start = null;
  if (view.show) view.show(params, rest);
  const shownIn = name === "case" ? "cases" : name;
  for (const link of document.querySelectorAll("#views a")) {
    if (link.hash === (shownIn === "overview" ? "#/" : `#/${shownIn}`)) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = [name === "case" ? rest : name === "overview" ? null : name, "tabfleet matrix"].filter(Boolean).join(" · ");
  if (current) scrollTo(0, name === "case" ? 0 : scrolled.get(name) ?? 0);
  current = name;
};

drawProvenance();
let width = innerWidth;
addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; if (current === "speed" || current === "case") show(); } });
addEventListener("hashchange", show);
addEventListener("keydown", (event) => {
  const search = { cases: "search", operators: "operator-search" }[current];
  if (event.key === "/" && search && !event.target.closest("input, select, textarea")) {
    event.preventDefault();
    document.getElementById(search).focus();
  }
});
show();
