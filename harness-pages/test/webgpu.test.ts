// Asking for an adapter while the GPU process starts.

import assert from "node:assert/strict";
import { test } from "node:test";

import { requestAdapter } from "../src/webgpu.ts";

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
