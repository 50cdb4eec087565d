// Asking for an adapter while the GPU process starts.

import assert from "node:assert/strict";
import { mock, test } from "node:test";

import { describeAdapter, requestAdapter } from "../src/webgpu.ts";

/** A GPU that answers in turn. */
function answering(answers: readonly (GPUAdapter | null)[]): { gpu: GPU; asked(): number } {
  let asked = 0;
  const gpu = { requestAdapter: async () => answers[asked++] ?? null } as unknown as GPU;
  return { gpu, asked: () => asked };
}

const ADAPTER = {} as GPUAdapter;

test("an adapter that is there is asked for once", async () => {
  const { gpu, asked } = answering([ADAPTER]);
  assert.equal(await requestAdapter(gpu), ADAPTER);
  assert.equal(asked(), 1);
});

test("one that comes late is waited for", async () => {
  const { gpu, asked } = answering([null, null, ADAPTER]);
  assert.equal(await requestAdapter(gpu), ADAPTER);
  assert.equal(asked(), 3);
});

test("one that never comes is given up", async () => {
  const { gpu, asked } = answering([]);
  assert.equal(await requestAdapter(gpu), null);
  assert.equal(asked(), 5);
});

test("a browser that does not answer is not waited for", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    const gpu = { requestAdapter: () => new Promise(() => {}) } as unknown as GPU;
    const asked = requestAdapter(gpu);
    mock.timers.tick(10_000);
    await assert.rejects(asked, /no answer within 10000 ms/);
  } finally {
    mock.timers.reset();
  }
});

test("the driver is told with the adapter", () => {
  const described = (info: object) => describeAdapter({ info: { vendor: "nvidia", architecture: "", device: "0x2330", ...info } } as unknown as GPUAdapter);
  assert.equal(described({ description: "NVIDIA H100", driver: "NVIDIA 580.159" }).description, "NVIDIA H100, NVIDIA 580.159");
  assert.equal(described({ description: "NVIDIA H100" }).description, "NVIDIA H100");
  assert.equal(described({ description: "", driver: "" }).description, "");
});
