// What this browser offers, asked of the browser itself rather than guessed from its name.

import { messageOf } from "./failure.ts";
import type { Adapter, WebnnDevice } from "./runtime.ts";
import { describeAdapter, requestAdapter } from "./webgpu.ts";
import { ml } from "./webnn.ts";
import { within } from "./within.ts";

/** The body of a `probed` reply. */
export interface Probe {
  readonly webgpu: {
    readonly available: boolean;
    readonly reason: string | null;
    readonly adapter: Adapter | null;
    readonly shader_f16: boolean;
  };
  readonly webnn: { readonly available: boolean; readonly reason: string | null; readonly devices: readonly WebnnDevice[] };
  readonly wasm: { readonly available: boolean; readonly simd: boolean; readonly threads: boolean };
}

// As long as an adapter is waited for.
const WEBNN_TIMEOUT_MS = 10_000;

/** Asks the browser for all three backends. Never throws: what fails is told as a reason. */
export async function probe(): Promise<Probe> {
  const [webgpu, webnn] = await Promise.all([probeWebgpu(), probeWebnn()]);
  return { webgpu, webnn, wasm: probeWasm() };
}

async function probeWebgpu(): Promise<Probe["webgpu"]> {
  const unavailable = (reason: string) => ({ available: false, reason, adapter: null, shader_f16: false });
  if (navigator.gpu === undefined) return unavailable("the browser has no navigator.gpu");
  try {
    const adapter = await requestAdapter(navigator.gpu);
    if (adapter === null) return unavailable("the browser offers no adapter");
    return {
      available: true,
      reason: null,
      adapter: describeAdapter(adapter),
      shader_f16: adapter.features.has("shader-f16"),
    };
  } catch (cause) {
    return unavailable(messageOf(cause));
  }
}

async function probeWebnn(): Promise<Probe["webnn"]> {
  const api = ml();
  if (api === undefined) return { available: false, reason: "the browser has no navigator.ml", devices: [] };
  const devices: WebnnDevice[] = [];
  let reason: string | null = null;
  for (const deviceType of ["cpu", "gpu", "npu"] as const) {
    try {
      const context = await within(WEBNN_TIMEOUT_MS, api.createContext({ deviceType }));
      devices.push(deviceType);
      context.destroy?.();
    } catch (cause) {
      reason ??= messageOf(cause);
    }
  }
  return devices.length > 0
    ? { available: true, reason: null, devices }
    : { available: false, reason: reason ?? "no device", devices };
}

// The smallest modules that use what they test for: a function that makes and drops a v128, and a
// shared memory. They are only validated, never run.
const SIMD_MODULE = [
  0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
  /* type: () -> () */ 1, 4, 1, 0x60, 0, 0,
  /* function 0 of type 0 */ 3, 2, 1, 0,
  /* i32.const 0; i8x16.splat; drop; end */ 10, 9, 1, 7, 0, 0x41, 0, 0xfd, 15, 0x1a, 0x0b,
];
const SHARED_MEMORY_MODULE = [
  0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
  /* memory: shared, 1 to 1 pages */ 5, 4, 1, 3, 1, 1,
];

function probeWasm(): Probe["wasm"] {
  const available = typeof WebAssembly === "object";
  const valid = (module: number[]) => available && WebAssembly.validate(new Uint8Array(module));
  return {
    available,
    simd: valid(SIMD_MODULE),
    threads: self.crossOriginIsolated && valid(SHARED_MEMORY_MODULE),
  };
}
