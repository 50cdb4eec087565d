// The overview: where the numbers come from, the totals, what wants attention, and a card for each target.

const tally = (results) => {
  const counts = new Map(VERDICTS.map((verdict) => [verdict, 0]));
  for (const verdict of results) if (verdict) counts.set(verdict, counts.get(verdict) + 1);
  return counts;
};
const judgedOf = (counts) => [...counts].reduce((sum, [verdict, n]) => sum + (verdict === "skipped" || verdict === "unavailable" ? 0 : n), 0);
// Never rounded up to all of them.
const shareOf = (passed, judged) => (judged ? `${(Math.floor((passed / judged) * 1000) / 10).toFixed(passed === judged ? 0 : 1)} %` : "–");

const bar = (counts) => {
  const given = [...counts].filter(([, n]) => n);
  const label = given.map(([verdict, n]) => `${n} ${verdict}`).join(", ");
  return el("div", { class: "bar", role: "img", "aria-label": label, title: label }, ...given.map(([verdict, n]) => el("i", { class: `v-${verdict}`, style: `flex:${n}` })));
};

const drawProvenance = () => {
  const host = DATA.host;
  const gib = host.memory_bytes == null ? null : `${number(host.memory_bytes / 2 ** 30)} GiB`;
  const machine = [host.os_version ?? host.os, host.arch, host.cpu, host.cores && `${host.cores} cores`, gib].filter(Boolean);
  const seconds = DATA.finished ? Math.round((new Date(DATA.finished) - new Date(DATA.started)) / 1000) : null;
  const took = seconds == null ? "unfinished" : `took ${seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`}`;
  const { commit, branch, url, job } = DATA.ci ?? {};
  const source = [branch, commit && commit.slice(0, 10)].filter(Boolean).join(" at ");
  const said = [`${minute(DATA.started)} UTC`, took, source, `tabfleet ${DATA.tabfleet}`, machine.join(", ")].filter(Boolean).join(" · ");
  document.getElementById("provenance").append(said);
  // Only what leads somewhere safe becomes a link.
  if (url && /^https?:/.test(url)) document.getElementById("provenance").append(" · ", el("a", { href: url, rel: "noreferrer" }, job ? `job ${job}` : "the job"));
};

const changeWords = (changes, link) => countKinds(changes).map(([kind, n]) => el("a", { class: `word ${KINDS[kind][2]}`, href: link, title: KINDS[kind][1] }, `${n.toLocaleString("en")} ${kindName(kind, n)}`));
const sinceLast = () => {
  if (NOW === 0) return null;
  const words = changeWords(SINCE_LAST, "#/changes");
  return el("p", { class: "since" }, `Since the run of ${minute(RUNS[NOW - 1].started)}: `, ...(words.length ? words : ["no verdict changed."]));
};

const drawSummary = () => {
  const counts = tally(CASES.flatMap((each) => each.results.map((result) => result && result.verdict)));
  const judged = judgedOf(counts), passed = counts.get("pass");
  const chips = [...counts].filter(([, n]) => n).map(([verdict, n]) =>
    el("a", { class: `chip v-${verdict}`, href: `#/cases?show=${verdict}`, title: ABOUT[verdict] },
      el("span", { "aria-hidden": "true" }, SYMBOLS[verdict]), el("b", {}, n.toLocaleString("en")), verdict));
  const works = TARGETS.filter((target) => target.available !== false).length;
  document.getElementById("summary").append(
    el("div", { class: "headline" }, el("strong", { class: "num" }, shareOf(passed, judged)),
      el("span", {}, `passed of ${count(judged, "result")} tried: ${count(CASES.length, "case")}, ${works} of ${count(TARGETS.length, "target")} working`)),
    bar(counts), el("div", { class: "chips" }, ...chips), sinceLast() ?? "");
};

// Each thing that wants attention once, under the first heading that fits it.
const MOST_SHOWN = 8;
const attentionGroups = () => {
  const all = CASES.flatMap((each) => each.results.flatMap((result, column) => (result ? [{ each, result, column }] : [])));
  const now = (change) => ({ each: change.each, result: change.each.results[change.to[0]], column: change.to[0], before: change.before });
  const since = (kind) => SINCE_LAST.filter((change) => change.kind === kind).map(now);
  const seen = new Set();
  const groups = [
    NOW === 0 && !DATA.expectations && ["failed", "all but passes and what was not tried", "worse", all.filter(({ result }) => failed(result.verdict)), "#/cases?show=failed"],
    DATA.expectations && ["unexpected", "not what the expectations file says", "worse", all.filter(({ result }) => result.unexpected), "#/cases?show=unexpected"],
    ["broke", KINDS.broke[1], "worse", since("broke"), "#/changes"],
    ["new failures", KINDS["new-failure"][1], "worse", since("new-failure"), "#/changes"],
    ["not tried any more", KINDS["not-tried"][1], "amber-word", since("not-tried").filter(({ result }) => result), "#/changes"],
    ["flaky", "passed, but not each time that it was tried", "amber-word", all.filter(({ result }) => result.flaky), "#/cases?show=flaky"],
    ["moved to the CPU", KINDS["to-cpu"][1], "amber-word", since("to-cpu"), "#/changes"],
  ].filter(Boolean);
  return groups.map(([name, about, kind, found, link]) => [name, about, kind, found.filter(({ each, column }) => {
    const key = `${each.id} ${column}`;
    return !seen.has(key) && seen.add(key);
  }), link]).filter(([, , , found]) => found.length);
};
const whyOf = (result) => result && (result.gist ?? (result.failed && gist(result.failed[0][1])));
const attentionRow = ({ each, result, column, columns, before }) => el("li", {},
  el("span", { class: `badge v-${result ? result.verdict : "unavailable"}` }, `${symbolOf(codeOf(result, TARGETS[column]))} ${saidOf(codeOf(result, TARGETS[column]))}`),
  el("a", { href: caseLink(each) }, ...breakable(DATA.suites.length > 1 ? each.id : each.name)), el("span", { class: "where" }, slots(columns)),
  el("span", { class: "why" }, [before && before !== "." && `was ${saidOf(before)}`, result && result.expected && `expected ${result.expected.join(" or ")}`, whyOf(result)].filter(Boolean).join("; ")));

const attentionGroup = ([name, about, kind, found, link]) => {
  const rows = rowsOf(found, ({ result, column, before }) => [codeOf(result, TARGETS[column]), before, whyOf(result)]);
  return el("div", { class: "attention" },
    el("h3", {}, word(`${found.length.toLocaleString("en")} ${name}`, kind), el("small", {}, about)),
    el("ul", {}, ...rows.slice(0, MOST_SHOWN).map(attentionRow)),
    rows.length > MOST_SHOWN ? el("p", { class: "all" }, el("a", { href: link }, `all ${found.length.toLocaleString("en")} →`)) : null);
};

const drawAttention = () => {
  const place = document.getElementById("attention"), groups = attentionGroups();
  place.append(...groups.map(attentionGroup));
  if (groups.length) return;
  const failing = CASES.filter((each) => each.results.some((result) => result && failed(result.verdict))).length;
  if (NOW > 0 || DATA.expectations) {
    const known = failing ? ` ${count(failing, "case")} ${failing === 1 ? "fails" : "fail"} somewhere, as before.` : "";
    place.append(el("p", { class: "calm" }, el("span", { "aria-hidden": "true" }, "✓ "), `Nothing: no result is ${DATA.expectations ? "unexpected" : "worse than in the run before"}, and none is flaky.${known}`));
  } else {
    place.append(el("p", { class: "calm" }, el("span", { "aria-hidden": "true" }, "✓ "), "Every case that was tried passed."));
  }
};

// How large a share of what a target tried passed, run by run.
const passShares = (column) => RUNS.map((_, run) => {
  const counts = tally(CASES.map((each) => verdictIn(codeAt(each, column, run))));
  const judged = judgedOf(counts);
  return judged ? counts.get("pass") / judged : null;
});
const sparkline = (column) => {
  if (NOW === 0) return null;
  const shares = passShares(column), known = shares.filter((share) => share != null);
  if (known.length < 3) return null;
  const low = Math.min(...known), span = Math.max(...known) - low || 1, width = 200, height = 26;
  const points = shares.flatMap((share, run) => (share == null ? [] : [[4 + (run / NOW) * (width - 8), height - 5 - ((share - low) / span) * (height - 10)]]));
  const label = `Share that passed over ${count(RUNS.length, "run")}: from ${(known[0] * 100).toFixed(1)} % to ${(known.at(-1) * 100).toFixed(1)} %`;
  const [x, y] = points.at(-1);
  return svg("svg", { class: "spark", viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": label, preserveAspectRatio: "none" }, svg("title", {}, label),
    svg("path", { d: points.map(([a, b], index) => `${index ? "L" : "M"}${a.toFixed(1)} ${b.toFixed(1)}`).join("") }), svg("circle", { cx: x, cy: y, r: 3 }));
};

const adapterOf = ({ adapter }) => adapter && [...new Set([adapter.vendor, adapter.architecture, adapter.device, adapter.description].filter(Boolean))].join(" ");
const factsOf = (target) => [
  ["driven by", target.driver], ["adapter", adapterOf(target)], ["WebNN on", target.webnn_device],
  ["runtime", target.runtime && `${target.runtime.name} ${target.runtime.version}`], ["threads", target.threads],
].filter(([, value]) => value != null && value !== "");
const tagsOf = (target) => [
  target.stand_in && el("span", { class: "tag mark" }, `stand-in for ${target.browser}`),
  target.software && el("span", { class: "tag mark" }, "software adapter"),
  target.headless && el("span", { class: "tag" }, "headless"),
].filter(Boolean);
const factList = (facts) => (facts.length ? el("dl", {}, ...facts.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, String(value))])) : null);

const card = (target, column) => {
  const counts = tally(CASES.map((each) => each.results[column] && each.results[column].verdict)), judged = judgedOf(counts);
  const cpu = CASES.filter((each) => each.results[column] && each.results[column].cpu && each.results[column].verdict === "pass").length;
  const before = NOW > 0 ? RUNS[NOW - 1].versions[column] : null, off = target.available === false;
  const changes = changeWords(SINCE_LAST.filter((change) => change.to[0] === column), "#/changes");
  const tags = tagsOf(target);
  return el("article", { class: off ? "card off" : "card" },
    el("h3", {}, slot(target), el("small", {}, off ? "unavailable" : judged ? `${shareOf(counts.get("pass"), judged)}, ${counts.get("pass").toLocaleString("en")} of ${judged.toLocaleString("en")} passed` : "–")),
    off && !judged ? null : bar(counts),
    cpu ? el("p", { class: "partly" }, el("a", { href: "#/cases?show=cpu" }, `◐ ${count(cpu, "pass", "passes")} partly on the CPU`)) : null,
    sparkline(column),
    changes.length ? el("div", { class: "tags" }, ...changes) : null,
    target.product ? el("div", { class: "who" }, `${target.product} ${target.version ?? ""}`, before && target.version && before !== target.version ? el("small", {}, ` was ${before}`) : null) : null,
    tags.length ? el("div", { class: "tags" }, ...tags) : null,
    off && target.reason ? el("p", { class: "reason" }, target.reason) : null, factList(factsOf(target)));
};

const drawOverview = () => {
  drawSummary();
  drawAttention();
  document.getElementById("targets").append(...TARGETS.map(card));
};
