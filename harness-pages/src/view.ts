// Puts what the page knows on the screen.

import type { Adapter } from "./runtime.ts";
import type { Status, WorkerState } from "./status.ts";

/** What the page shows; also what `tabfleet.state` tells the control plane. */
export interface Shown {
  readonly state: WorkerState;
  /** How many workers this page has started. */
  readonly worker: number;
  /** For how long the worker has left the page's question unanswered. */
  readonly silentMs: number;
  readonly runsPerSecond: number;
  /** The error that kept the worker from starting or ended it, if there was one. */
  readonly broken: string | null;
  readonly status: Status | null;
}

/** After how long without an answer a worker is called silent. */
export const SILENT_AFTER_MS = 1500;
const RUNS_SHOWN = 9;
const FAILURES_SHOWN = 4;

const element = (id: string): HTMLElement => document.getElementById(id)!;

/** Draws everything anew; some hundred nodes, at most a few times a second. */
export function render(shown: Shown): void {
  const { status } = shown;
  renderHead(shown);
  renderFacts(status);
  renderRuns(shown);
  renderModels(status);
  renderFailures(shown);
}

const STATE_WORDS: Readonly<Record<WorkerState, string>> = {
  connecting: "Connecting",
  idle: "Ready",
  busy: "Working",
  lost: "Lost",
  disconnected: "Disconnected",
};

function renderHead({ state, silentMs, worker, status }: Shown): void {
  const silent = silentMs > SILENT_AFTER_MS && state !== "lost";
  const pill = element("state");
  pill.dataset["state"] = silent ? "silent" : state;
  pill.lastElementChild!.textContent = silent ? `No answer for ${Math.floor(silentMs / 1000)} s` : STATE_WORDS[state];
  element("browser").textContent = `${browserName()} · worker ${worker}`;
  const doing = status?.doing;
  element("doing").textContent = doing
    ? `${doing.what}${doing.model === null ? "" : ` ${doing.model}`}${status.waiting > 0 ? `, ${status.waiting} waiting` : ""}`
    : "";
  document.title = `${status?.backend ?? STATE_WORDS[state]} · tabfleet`;
}

function browserName(): string {
  const agent = navigator.userAgent;
  const found =
    /\b(Edg)\/([\d.]+)/.exec(agent) ?? /\b(Firefox|HeadlessChrome|Chrome)\/([\d.]+)/.exec(agent) ?? /\b(Version)\/([\d.]+).*Safari/.exec(agent);
  const names: Record<string, string> = { Edg: "Edge", HeadlessChrome: "Chrome (headless)", Version: "WebKit" };
  return found === null ? agent : `${names[found[1]!] ?? found[1]} ${found[2]}`;
}

function renderFacts(status: Status | null): void {
  const isolated = status?.crossOriginIsolated ?? self.crossOriginIsolated;
  const facts: [string, string, string][] = [
    ["Backend", status?.backend ?? "–", status?.webnnDevice ? `on ${status.webnnDevice}` : ""],
    ["Adapter", ...adapterWords(status?.adapter ?? null)],
    ["Runtime", status?.runtime?.version ?? "–", status?.runtime?.name ?? ""],
    ["Threads", status?.threads == null ? "–" : String(status.threads), `${navigator.hardwareConcurrency} cores`],
    ["Isolation", isolated ? "Isolated" : "Not isolated", isolated ? "threads and fine timers" : "no threads, coarse timers"],
    ["Memory", status?.heapBytes == null ? "–" : bytes(status.heapBytes), "held by the runtime"],
  ];
  element("facts").replaceChildren(
    ...facts.map(([name, value, note]) =>
      node("div", {}, node("dt", {}, name), node("dd", { title: `${value} ${note}` }, value, node("small", {}, note))),
    ),
  );
}

function adapterWords(adapter: Adapter | null): [string, string] {
  if (adapter === null) return ["–", ""];
  const { vendor, architecture, device, description, software } = adapter;
  const name = architecture || device || vendor || description || "unnamed";
  const kind = software === null ? "" : software ? "software" : "hardware";
  return [name, [vendor === name ? "" : vendor, kind].filter(Boolean).join(", ")];
}

function renderRuns({ runsPerSecond, status }: Shown): void {
  const runs = status?.lastRuns ?? [];
  element("no-runs").hidden = runs.length > 0;
  for (const id of ["numbers", "chart"]) element(id).hidden = runs.length === 0;
  element("rate").textContent = runsPerSecond > 0 ? `${runsPerSecond.toFixed(runsPerSecond < 10 ? 1 : 0)} a second` : "";

  const times = runs.map(({ runMs }) => runMs).sort((a, b) => a - b);
  const number = (value: Node | string, what: string) => node("div", {}, node("b", {}, value), node("span", {}, what));
  element("numbers").replaceChildren(
    number(String(status?.runs ?? 0), "runs"),
    number(duration(times[times.length >> 1] ?? 0), `median of the last ${runs.length}`),
    number(duration(times.at(-1) ?? 0), "slowest of them"),
    number(String(status?.failures ?? 0), "failed"),
  );

  const longest = times.at(-1) ?? 1;
  element("chart").replaceChildren(
    ...runs.map(({ runMs }) => node("i", { style: `height:${Math.max(2, (100 * runMs) / longest)}%` })),
  );
  element("runs").replaceChildren(
    ...runs.slice(-RUNS_SHOWN).reverse().map(({ at, model, runMs, readbackMs }) =>
      row(["time", clock(at)], ["", model], ["n", duration(runMs)], ["n", readbackMs === null ? "–" : duration(readbackMs)]),
    ),
  );
}

function renderModels(status: Status | null): void {
  const models = status?.models ?? [];
  element("no-models").hidden = models.length > 0;
  element("models").replaceChildren(
    ...models.map((model) => {
      // The word of the tables; a longer one is cut off beside a model's name.
      const partly = { class: "tag", title: "Some of the model runs on the CPU, not on the backend" };
      const tag = model.cpuFallback === true ? [node("span", partly, "+cpu")] : [];
      return node("tr", {},
        node("td", { title: model.name }, model.name, ...tag),
        ...[bytes(model.bytes), duration(model.downloadMs), duration(model.createMs), String(model.runs)].map(
          (text) => node("td", { class: "n" }, text),
        ),
      );
    }),
  );
}

function renderFailures({ broken, status }: Shown): void {
  const failures = (status?.lastFailures ?? []).slice(-FAILURES_SHOWN).reverse();
  if (broken !== null) failures.unshift({ at: Date.now(), stage: "lost", kind: "worker", message: broken });
  element("no-failures").hidden = failures.length > 0;
  element("failures").replaceChildren(
    ...failures.map(({ at, stage, kind, message }) =>
      node("li", { title: message },
        node("b", {}, `${stage}: ${kind}`, node("time", {}, clock(at))),
        node("p", {}, message),
      ),
    ),
  );
}

function row(...cells: [string, string | Node][]): HTMLElement {
  return node("tr", {}, ...cells.map(([className, content]) => node("td", { class: className }, content)));
}

function node(tag: string, attributes: Readonly<Record<string, string>>, ...children: (Node | string)[]): HTMLElement {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function duration(ms: number): string {
  if (ms >= 10_000) return `${(ms / 1000).toFixed(1)} s`;
  return `${ms.toFixed(ms >= 100 ? 0 : ms >= 10 ? 1 : 2)} ms`;
}

function bytes(count: number): string {
  const units = ["B", "KiB", "MiB", "GiB"];
  let value = count;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value.toFixed(unit === 0 || value >= 100 ? 0 : 1)} ${units[unit]}`;
}

function clock(at: number): string {
  const time = new Date(at);
  const two = (value: number) => String(value).padStart(2, "0");
  return `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}.${String(time.getMilliseconds()).padStart(3, "0")}`;
}
