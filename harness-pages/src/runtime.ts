// The seam at which runtimes are exchanged: ONNX Runtime Web, or a module given with `--runtime`.
// RUNTIMES.md tells how to write one.

import type { Loss } from "./failure.ts";
import type { Tensor, TensorDescription } from "./tensors.ts";

export type { Dtype, Tensor, TensorData } from "./tensors.ts";

/** What a model runs on. */
export type Backend = "webgpu" | "webnn" | "wasm";

/** The kind of device a WebNN context is asked for. */
export type WebnnDevice = "cpu" | "gpu" | "npu";

/** A GPU adapter as the browser describes it. `software` is null where the browser does not tell. */
export interface Adapter {
  readonly vendor: string;
  readonly architecture: string;
  readonly device: string;
  readonly description: string;
  readonly software: boolean | null;
}

/** What a runtime is started with; it is started once. */
export interface StartOptions {
  readonly backend: Backend;
  /** The WebNN device to use; meaningful for the webnn backend only. */
  readonly webnnDevice: WebnnDevice;
  /** Threads of the wasm backend; 0 lets the runtime decide. */
  readonly threads: number;
  /** The folder of the page's own files, as an absolute URL that ends with a slash. */
  readonly assets: string;
  /** To be called when the device or context is lost; the worker is replaced after that. */
  readonly onLost: (what: Loss, message: string) => void;
}

/** What a started runtime really uses. */
export interface StartInfo {
  readonly adapter: Adapter | null;
  readonly webnnDevice: WebnnDevice | null;
  readonly threads: number | null;
}

/** A file of a model: the model itself, or external data under the path the model uses. */
export interface ModelFile {
  readonly path: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** How a model is to be loaded. */
export interface LoadOptions {
  /** The model's name, for people. */
  readonly name: string;
  /** Whether operators that the backend lacks may run on the CPU (and it is told), or may not. */
  readonly cpuFallback: "record" | "forbid";
  /** Merged into the runtime's own options of a session. */
  readonly sessionOptions: Readonly<Record<string, unknown>>;
  /** The outputs that runs of the session will keep, of a runtime that has to know; see {@link Runtime.keeps}. */
  readonly keep: readonly string[];
}

/** A loaded model. A runtime keeps what it needs in its own subtype. */
export interface Session {
  /** The names of the model's inputs and outputs, in the model's order. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Whether part of the model runs on the CPU; null where that is not known or not a question. */
  readonly cpuFallback: boolean | null;
  /** How long the creation that succeeded took, in milliseconds. */
  readonly createMs: number;
}

/** What a run gave. */
export interface RunResult {
  readonly outputs: readonly Tensor[];
  /** From the call until the outputs could be read, without `readbackMs`. Milliseconds. */
  readonly runMs: number;
  /** Reading back from the device, where that is a step of its own; else null. Milliseconds. */
  readonly readbackMs: number | null;
  /** What the run kept, of a runtime that {@link Runtime.keeps keeps}. */
  readonly kept?: readonly KeptTensor[];
}

/** An output that stays where the runtime has it. A runtime keeps what it needs in its own subtype. */
export interface KeptTensor extends TensorDescription {
  readonly location: "gpu" | "ml-tensor" | "memory";
  /** Frees it; it is not used again. */
  drop(): void;
}

/** What a run takes from the run before and keeps for the next. */
export interface Keeping {
  /** Inputs beside the feeds, by their names: what an earlier run of the same session kept. */
  readonly feeds: ReadonlyMap<string, KeptTensor>;
  /** Outputs to keep, beside those wanted. */
  readonly keep: readonly string[];
}

/**
 * A runtime. Calls never overlap. An error thrown with a `kind` of `FailureKind` is told to the fleet
 * as that; any other is sorted by what it says. With `fatal: true` the worker is replaced.
 */
export interface Runtime {
  readonly name: string;
  readonly version: string;
  /**
   * Which outputs `run` can leave where they are: any, or those that the session was loaded for. Of a
   * runtime without it the worker keeps copies, and feeds them like any input.
   */
  readonly keeps?: "any" | "as-loaded";
  start(options: StartOptions): Promise<StartInfo>;
  /** `files[0]` is the model, the others are its external data. */
  load(files: readonly ModelFile[], options: LoadOptions): Promise<Session>;
  /** `outputs` names the outputs wanted, in the order wanted; null means all. */
  run(
    session: Session,
    feeds: readonly Tensor[],
    outputs: readonly string[] | null,
    keeping?: Keeping,
  ): Promise<RunResult>;
  release(session: Session): Promise<void>;
  /** Bytes that the runtime holds for models and tensors, where it knows. */
  heapBytes?(): number | null;
}

/** What a runtime module exports by default: a runtime, or a function that makes one. */
export type RuntimeExport = Runtime | (() => Runtime | Promise<Runtime>);
