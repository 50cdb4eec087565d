// The page of one tab: starts the worker, shows a person what it does, and gives the control plane a
// handle. It never touches a model, so it answers whatever its worker is caught in.

import { render, SILENT_AFTER_MS, type Shown } from "./view.ts";
import type { Status } from "./status.ts";
import type { Meeting, Start } from "./worker.ts";

declare global {
  interface Window {
    /** The control plane's handle on this tab. */
    tabfleet: { restart(): void; readonly state: Shown };
  }
}

// Often enough for a person to follow, seldom enough to cost the worker nothing. A tab that does
// nothing is asked once a second, since a fleet has many that wait.
const ASK_EVERY_MS = 500;
const ASK_QUIET_EVERY = 2;
const QUIET_AFTER = 4;

const token = new URLSearchParams(location.search).get("token") ?? "";

let workers = 0;
let worker: Worker | null = null;
let status: Status | null = null;
let runsPerSecond = 0;
let askedAt: number | null = null;
let answeredAt = performance.now();
let broken: string | null = null;
// How many answers in a row told of nothing new.
let quiet = 0;
let ticks = 0;

function shown(): Shown {
  const silentMs = askedAt === null ? 0 : performance.now() - askedAt;
  const told = status?.state ?? "connecting";
  return {
    // What a silent worker said last is from before it fell silent; it is caught in something since.
    state: broken !== null ? "lost" : told === "idle" && silentMs > SILENT_AFTER_MS ? "busy" : told,
    worker: workers,
    silentMs,
    runsPerSecond,
    broken,
    status,
  };
}

function start(): void {
  workers += 1;
  status = null;
  broken = null;
  quiet = 0;
  askedAt = null;
  runsPerSecond = 0;
  const started = new Worker("/assets/worker.js", { type: "module", name: `tabfleet ${workers}` });
  worker = started;
  started.onmessage = ({ data }: MessageEvent<Status | Meeting>) => {
    if (worker !== started) return;
    if ("meeting" in data) callBroker(started, data.meeting);
    else answer(data);
  };
  started.onerror = (event) => {
    if (worker !== started) return;
    broken = event.message || "the worker's script could not be loaded";
    draw();
  };
  started.postMessage({ token, worker: workers } satisfies Start);
}

/** Calls the broker, which the worker cannot, and gives the worker the way to it. */
function callBroker(worker: Worker, meeting: string): void {
  try {
    const { port } = new SharedWorker("/assets/broker.js", { type: "module" });
    worker.postMessage({ meeting, broker: port } satisfies Meeting, [port]);
  } catch {
    worker.postMessage({ meeting, broker: null } satisfies Meeting);
  }
}

function answer(next: Status): void {
  const now = performance.now();
  const news = status === null || next.state !== "idle" || next.state !== status.state || next.runs !== status.runs
    || next.failures !== status.failures || next.models.length !== status.models.length;
  quiet = news ? 0 : quiet + 1;
  if (status !== null && now > answeredAt) {
    runsPerSecond = ((next.runs - status.runs) * 1000) / (now - answeredAt);
  }
  answeredAt = now;
  askedAt = null;
  status = next;
  if (quiet < QUIET_AFTER) draw();
}

let drawing = false;

function draw(): void {
  if (drawing) return;
  drawing = true;
  // A hidden page gets no frames, and then draws nothing.
  requestAnimationFrame(() => {
    drawing = false;
    render(shown());
  });
}

setInterval(() => {
  ticks += 1;
  if (askedAt !== null) {
    // One question at a time: a worker that is caught in a model finds one waiting, not thousands.
    draw();
  } else if (worker !== null && (quiet < QUIET_AFTER || ticks % ASK_QUIET_EVERY === 0)) {
    askedAt = performance.now();
    worker.postMessage(null);
  }
}, ASK_EVERY_MS);

window.tabfleet = {
  restart() {
    worker?.terminate();
    start();
    draw();
  },
  get state() {
    return shown();
  },
};

start();
draw();
