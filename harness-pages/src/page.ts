// The page of one tab: starts the worker, shows a person what it does, and gives the control plane a
// handle. It never touches a model, so it answers whatever its worker is caught in.

import { render, SILENT_AFTER_MS, type Shown } from "./view.ts";
import type { Status } from "./status.ts";
import type { Start } from "./worker.ts";

declare global {
  interface Window {
    /** The control plane's handle on this tab. */
    tabfleet: { restart(): void; readonly state: Shown };
  }
}

// Often enough for a person to follow, seldom enough to cost the worker nothing.
const ASK_EVERY_MS = 250;

const token = new URLSearchParams(location.search).get("token") ?? "";

let workers = 0;
let worker: Worker | null = null;
let status: Status | null = null;
let runsPerSecond = 0;
let askedAt: number | null = null;
let answeredAt = performance.now();
let broken: string | null = null;

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
  askedAt = null;
  runsPerSecond = 0;
  const started = new Worker("/assets/worker.js", { type: "module", name: `tabfleet ${workers}` });
  worker = started;
  started.onmessage = ({ data }: MessageEvent<Status>) => {
    if (worker === started) answer(data);
  };
  started.onerror = (event) => {
    if (worker === started) broken = event.message || "the worker's script could not be loaded";
  };
  started.postMessage({ token, worker: workers } satisfies Start);
}

function answer(next: Status): void {
  const now = performance.now();
  if (status !== null && now > answeredAt) {
    runsPerSecond = ((next.runs - status.runs) * 1000) / (now - answeredAt);
  }
  answeredAt = now;
  askedAt = null;
  status = next;
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
  // One question at a time: a worker that is caught in a model finds one waiting, not thousands.
  if (askedAt === null && worker !== null) {
    askedAt = performance.now();
    worker.postMessage(null);
  }
  draw();
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
