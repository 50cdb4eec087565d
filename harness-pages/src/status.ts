// What the worker knows of itself, for the page to show. The worker only writes fields; the page asks
// for a copy a few times a second, so that showing costs the serving of requests next to nothing.

import type { FailureKind, Stage } from "./failure.ts";
import type { Adapter, Backend, WebnnDevice } from "./runtime.ts";

/** What a worker is doing. */
export type WorkerState = "connecting" | "idle" | "busy" | "lost" | "disconnected";

/** A model that is loaded. */
export interface ModelStatus {
  readonly name: string;
  readonly downloadMs: number;
  readonly createMs: number;
  readonly cpuFallback: boolean | null;
  readonly bytes: number;
  runs: number;
}

/** A run that ended. `at` is in milliseconds since the epoch. */
export interface RunStatus {
  readonly at: number;
  readonly model: string;
  readonly runMs: number;
  readonly readbackMs: number | null;
}

/** A failure. */
export interface FailureStatus {
  readonly at: number;
  readonly stage: Stage | "lost";
  readonly kind: FailureKind | string;
  readonly message: string;
}

/** Everything the page shows of its worker. */
export interface Status {
  state: WorkerState;
  /** What is being served: a request's type and model, and since when (epoch milliseconds). */
  doing: { readonly what: string; readonly model: string | null; readonly since: number } | null;
  backend: Backend | null;
  webnnDevice: WebnnDevice | null;
  adapter: Adapter | null;
  runtime: { readonly name: string; readonly version: string } | null;
  threads: number | null;
  crossOriginIsolated: boolean;
  waiting: number;
  heapBytes: number | null;
  runs: number;
  failures: number;
  models: ModelStatus[];
  lastRuns: RunStatus[];
  lastFailures: FailureStatus[];
}

const KEPT = 40;

/** Keeps the newest few entries of a list. */
export function remember<T>(entries: T[], entry: T): void {
  entries.push(entry);
  if (entries.length > KEPT) entries.shift();
}

/** The status of a worker that has just started. */
export function newStatus(): Status {
  return {
    state: "connecting",
    doing: null,
    backend: null,
    webnnDevice: null,
    adapter: null,
    runtime: null,
    threads: null,
    crossOriginIsolated: self.crossOriginIsolated,
    waiting: 0,
    heapBytes: null,
    runs: 0,
    failures: 0,
    models: [],
    lastRuns: [],
    lastFailures: [],
  };
}
