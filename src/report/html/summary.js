// The page's head: where the numbers come from, the totals, and a card for each target.

const tally = (results) => {
  const counts = new Map(VERDICTS.map((verdict) => [verdict, 0]));
  for (const verdict of results) if (verdict) counts.set(verdict, counts.get(verdict) + 1);
  return counts;
};

const bar = (counts) => {
  const label = [...counts].filter(([, n]) => n).map(([verdict, n]) => `${n} ${verdict}`).join(", ");
  const parts = [...counts].filter(([, n]) => n).map(([verdict, n]) => el("i", { class: `v-${verdict}`, style: `flex:${n}` }));
  return el("div", { class: "bar", role: "img", "aria-label": label, title: label }, ...parts);
};

const drawProvenance = () => {
  const host = DATA.host;
  const gib = host.memory_bytes == null ? null : `${number(host.memory_bytes / 2 ** 30)} GiB`;
  const machine = [host.os_version ?? host.os, host.arch, host.cpu, host.cores && `${host.cores} cores`, gib].filter(Boolean);
  const started = new Date(DATA.started);
  const day = started.toISOString().replace("T", " ").slice(0, 16) + " UTC";
  const seconds = DATA.finished ? Math.round((new Date(DATA.finished) - started) / 1000) : null;
  const took = seconds == null ? "unfinished" : `took ${seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`}`;
  document.getElementById("provenance").textContent = [`tabfleet ${DATA.tabfleet}`, day, took, machine.join(", ")].join(" · ");
};

const drawSummary = (show) => {
  const counts = tally(CASES.flatMap((each) => each.results.map((result) => result && result.verdict)));
  const judged = [...counts].reduce((sum, [verdict, n]) => sum + (verdict === "skipped" || verdict === "unavailable" ? 0 : n), 0);
  const passed = counts.get("pass");
  // Never rounded up to all of them.
  const share = judged ? `${(Math.floor((passed / judged) * 1000) / 10).toFixed(passed === judged ? 0 : 1)} %` : "–";
  const chips = [...counts].filter(([, n]) => n).map(([verdict, n]) =>
    el("button", { class: `chip v-${verdict}`, type: "button", "aria-pressed": "false", "data-show": verdict, title: ABOUT[verdict], onclick: () => show(verdict) },
      el("span", { "aria-hidden": "true" }, SYMBOLS[verdict] || "∅"), el("b", {}, n.toLocaleString("en")), verdict));
  const works = TARGETS.filter((target) => target.available !== false).length;
  document.getElementById("summary").append(
    el("div", { class: "headline" }, el("strong", { class: "num" }, share),
      el("span", {}, `passed of ${count(judged, "result")} tried: ${count(CASES.length, "case")}, ${works} of ${count(TARGETS.length, "target")} working`)),
    bar(counts), el("div", { class: "chips" }, ...chips));
};

const card = (target, column) => {
  const counts = tally(CASES.map((each) => each.results[column] && each.results[column].verdict));
  const tried = [...counts].reduce((sum, [verdict, n]) => sum + (verdict === "skipped" || verdict === "unavailable" ? 0 : n), 0);
  const adapter = target.adapter && [...new Set([target.adapter.vendor, target.adapter.architecture, target.adapter.device, target.adapter.description].filter(Boolean))].join(" ");
  const facts = [
    ["driven by", target.driver], ["adapter", adapter], ["WebNN on", target.webnn_device],
    ["runtime", target.runtime && `${target.runtime.name} ${target.runtime.version}`], ["threads", target.threads],
  ].filter(([, value]) => value != null && value !== "");
  const tags = [
    target.stand_in && el("span", { class: "tag mark" }, `stand-in for ${target.browser}`),
    target.software && el("span", { class: "tag mark" }, "software adapter"),
    target.headless && el("span", { class: "tag" }, "headless"),
  ].filter(Boolean);
  const off = target.available === false;
  return el("article", { class: off ? "card off" : "card" },
    el("h3", {}, slot(target), el("small", { title: "passed / tried" }, off ? "unavailable" : tried ? `${counts.get("pass").toLocaleString("en")} / ${tried.toLocaleString("en")} passed` : "–")),
    off && !tried ? null : bar(counts),
    target.product ? el("div", { class: "who" }, `${target.product} ${target.version ?? ""}`) : null,
    tags.length ? el("div", { class: "tags" }, ...tags) : null,
    off && target.reason ? el("p", { class: "reason" }, target.reason) : null,
    facts.length ? el("dl", {}, ...facts.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, String(value))])) : null);
};

const drawTargets = () => document.getElementById("targets").append(...TARGETS.map(card));
