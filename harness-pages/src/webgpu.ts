// The browser's WebGPU adapter, in the protocol's words.

import type { Adapter } from "./runtime.ts";

// On a busy machine, Chromium answers null while its GPU process is still starting instead of waiting
// for it: 10 of 154 launches with every core taken three times over, and each had its adapter when
// asked again 100 ms later. A browser without an adapter costs all the pauses, once a worker.
const PAUSES_MS = [50, 100, 200, 400];

/** The browser's adapter, or null when it goes on offering none. */
export async function requestAdapter(gpu: GPU): Promise<GPUAdapter | null> {
  for (const pause of PAUSES_MS) {
    const adapter = await gpu.requestAdapter();
    if (adapter !== null) return adapter;
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
  return gpu.requestAdapter();
}

const SOFTWARE = /swiftshader|llvmpipe|lavapipe|software|\bwarp\b|basic render/i;

/** An adapter as it describes itself. */
export function describeAdapter(adapter: GPUAdapter): Adapter {
  const { vendor, architecture, device, description } = adapter.info;
  // Older browsers tell of a fallback adapter on the adapter itself.
  const fallback =
    (adapter.info as { isFallbackAdapter?: boolean }).isFallbackAdapter ??
    (adapter as { isFallbackAdapter?: boolean }).isFallbackAdapter;
  const words = `${vendor} ${architecture} ${device} ${description}`;
  // Firefox blanks all four on every adapter: without words and without the flag nothing is known.
  const told = fallback !== undefined || words.trim() !== "";
  return {
    vendor,
    architecture,
    device,
    description,
    software: fallback === true || SOFTWARE.test(words) ? true : told ? false : null,
  };
}
