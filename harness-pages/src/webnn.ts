// The browser's WebNN interface, as far as the page touches it; TypeScript has no types for it yet.

import { messageOf } from "./failure.ts";
import type { WebnnDevice } from "./runtime.ts";

/** A WebNN context. */
export interface MLContext {
  readonly lost?: Promise<{ readonly message: string }>;
  destroy?(): void;
}

interface ML {
  createContext(options: { deviceType: WebnnDevice }): Promise<MLContext>;
}

interface GraphBuilder {
  prototype: { build(outputs: object): Promise<object | null> };
}

/** The browser's WebNN entry point, or undefined. */
export const ml = (): ML | undefined => (navigator as { ml?: ML }).ml;

/**
 * Makes a graph that cannot be built an error instead of a hang, and gives the reason to `rejected`.
 *
 * ONNX Runtime Web 1.30 waits for `MLGraphBuilder.build` inside its WebAssembly, where a rejection
 * reaches nobody: creating the session then never settles, and the runtime is stuck. That is one in
 * fourteen of ONNX's conformance cases in Chromium 147. A graph of null it reports as an error, so that
 * is what it is given.
 */
export function reportRejectedGraphs(rejected: (message: string) => void): void {
  const builder = (globalThis as { MLGraphBuilder?: GraphBuilder }).MLGraphBuilder;
  if (builder === undefined) return;
  const build = builder.prototype.build;
  builder.prototype.build = function (outputs) {
    return build.call(this, outputs).catch((cause: unknown) => {
      rejected(messageOf(cause));
      return null;
    });
  };
}
