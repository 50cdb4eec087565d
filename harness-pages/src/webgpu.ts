// The browser's WebGPU adapter, in the protocol's words.

import type { Adapter } from "./runtime.ts";
import { within } from "./within.ts";

// On a busy machine, Chromium answers null while its GPU process is still starting instead of waiting
// for it: 10 of 154 launches with every core taken three times over, and each had its adapter when
// asked again 100 ms later. A browser without an adapter costs all the pauses, once a worker.
const PAUSES_MS = [50, 100, 200, 400];

// A GPU process that starts takes seconds on a slow machine. One that has not answered by then is not
// going to, as where a device is there and its driver is not.
const ANSWER_TIMEOUT_MS = 10_000;

/** The browser's adapter, or null when it goes on offering none. Rejects when the browser does not answer. */
export async function requestAdapter(gpu: GPU): Promise<GPUAdapter | null> {
  const asked = () => within(ANSWER_TIMEOUT_MS, gpu.requestAdapter());
  for (const pause of PAUSES_MS) {
    const adapter = await asked();
    if (adapter !== null) return adapter;
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
  return asked();
}

const SOFTWARE = /swiftshader|llvmpipe|lavapipe|software|\bwarp\b|basic render/i;

/** An adapter as it describes itself. */
export function describeAdapter(adapter: GPUAdapter): Adapter {
  const { vendor, architecture, device } = adapter.info;
  // Chromium alone tells of the driver, to developers.
  const driver = (adapter.info as { driver?: string }).driver ?? "";
  const description = [adapter.info.description, driver].filter((words) => words !== "").join(", ");
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
