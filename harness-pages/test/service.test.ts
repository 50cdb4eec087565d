import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import type { Message } from "../src/connection.ts";
import { Failure } from "../src/failure.ts";
import type { Frame } from "../src/frames.ts";
import type { KeptTensor, Runtime, StartOptions } from "../src/runtime.ts";
import { Requests } from "../src/service.ts";
import { newStatus } from "../src/status.ts";
import type { Tensor } from "../src/tensors.ts";

Object.assign(globalThis, { self: { crossOriginIsolated: true } });

const calls: string[] = [];
const feedsOfRuns: (readonly Tensor[])[] = [];
const told: unknown[] = [];
let started: StartOptions;
let onRun: () => Promise<never> | void = () => {};
let requests: Requests;
let used: Runtime;
let meeting: (name: string) => MessagePort;
const counted = new Float32Array(1);

const runtime: Runtime = {
  name: "fake",
  version: "1",
  async start(options) {
    started = options;
    return { adapter: null, webnnDevice: null, threads: 2 };
  },
  async load(files, { name, keep }) {
    calls.push(`load ${name} ${files.map(({ path }) => path)}${keep.map((output) => ` keeping ${output}`)}`);
    return { inputs: ["x"], outputs: ["y"], cpuFallback: null, createMs: 3 };
  },
  async run(_, feeds, wanted) {
    calls.push("run");
    feedsOfRuns.push(feeds);
    await onRun();
    // It counts its runs, in memory that it uses again and again.
    counted[0]! += 1;
    const outputs = (wanted ?? []).map((name) => ({ name, dtype: "float32" as const, shape: [1], data: counted }));
    return { outputs, runMs: 1, readbackMs: null };
  },
  async release() {
    calls.push("release");
  },
};

beforeEach(() => {
  calls.length = 0;
  told.length = 0;
  feedsOfRuns.length = 0;
  counted[0] = 0;
  used = runtime;
  onRun = () => {};
  globalThis.fetch = async () => new Response(new Uint8Array(4));
  requests = new Requests({
    status: newStatus(),
    worker: 1,
    assets: "/assets/",
    defaultRuntime: async () => used,
    meet: async (name) => meeting(name),
    lost: (what, message, inService) => told.push([inService && brief(inService), what, message]),
  });
});

const ask = (type: string, fields: Record<string, unknown> = {}) =>
  requests.serve({ header: { v: 1, type, ...fields }, tensors: [] } satisfies Frame);
const start = (fields = {}) => ask("start", { id: 1, backend: "wasm", webnn_device: null, threads: 0, runtime: null, ...fields });
const declare = (fields = {}) =>
  ask("model", {
    model: "m",
    name: "M",
    files: [{ path: "m.onnx", url: "/models/a", bytes: 4 }],
    cpu_fallback: "record",
    session_options: {},
    ...fields,
  });
const run = (fields = {}) => ask("run", { id: 9, model: "m", inputs: [], outputs: null, release: false, ...fields });
const brief = ({ type, fields: { stage, kind } }: Message) => (type === "failed" ? `${type} ${stage} ${kind}` : type);

test("a start tells what the runtime uses, and again when it is asked again", async () => {
  for (const reply of [await start(), await start()]) {
    const { id: _, ...fields } = reply!.fields;
    assert.deepEqual(fields, {
      backend: "wasm", runtime: { name: "fake", version: "1" }, adapter: null, webnn_device: null, threads: 2,
    });
  }
  assert.equal(brief((await start({ backend: "webgpu" }))!), "failed start invalid");
});

test("a run loads what is not loaded, and only then tells of it", async () => {
  await start();
  assert.equal(await declare(), null);
  const first = await run();
  assert.deepEqual([first!.type, (first!.fields["load"] as { create_ms: number }).create_ms], ["result", 3]);
  assert.equal((await run())!.fields["load"], null);
  assert.deepEqual(calls, ["load M m.onnx", "run", "run"]);
});

const load = (fields = {}) => ask("load", { id: 5, model: "m", ...fields });

test("a load that brings the shapes of inputs runs the model on zeros, and tells nothing of the run", async () => {
  await start();
  await declare();
  const zeros = [
    { name: "x", dtype: "float32", shape: [1, 2], bytes: 8 },
    { name: "text", dtype: "string", shape: [2], bytes: 12 },
  ];
  const reply = await load({ zeros });
  assert.deepEqual([reply!.type, Object.keys(reply!.fields)], ["loaded", ["id", "load"]]);
  assert.deepEqual(feedsOfRuns, [[
    { name: "x", dtype: "float32", shape: [1, 2], data: new Float32Array(2) },
    { name: "text", dtype: "string", shape: [2], data: ["", ""] },
  ]]);
  assert.equal((await run())!.fields["load"], null);
  assert.deepEqual(calls, ["load M m.onnx", "run", "run"]);
});

test("a model that fails on zeros is loaded all the same, unless its worker is of no more use", async () => {
  await start();
  await declare();
  onRun = () => Promise.reject(new Error("no such index"));
  assert.equal(brief((await load({ zeros: [] }))!), "loaded");
  onRun = () => Promise.reject(new Failure("out-of-memory", "too large"));
  assert.equal(brief((await load({ zeros: [] }))!), "failed run out-of-memory");
  onRun = () => Promise.reject(new Failure("aborted", "unreachable", true));
  assert.equal(await load({ zeros: [] }), null);
  assert.deepEqual(told, [["failed run aborted", "worker", "unreachable"]]);
});

test("a session is dropped after a run that says so, and when its model is declared anew", async () => {
  await start();
  await declare();
  await run({ release: true });
  await declare();
  await run();
  await declare();
  assert.deepEqual(calls, ["load M m.onnx", "run", "release", "load M m.onnx", "run"]);
  await declare({ session_options: { graphOptimizationLevel: "basic" } });
  assert.equal(calls.at(-1), "release");
});

test("what is released is forgotten, its declaration too", async () => {
  await start();
  await declare();
  await run({ release: true });
  assert.equal(brief((await run())!), "failed protocol invalid");
  await declare();
  await ask("release", { id: 4, model: "m" });
  assert.equal(brief((await run())!), "failed protocol invalid");
});

test("a failed run that says so drops its session, too", async () => {
  await start();
  await declare();
  onRun = () => Promise.reject(new Error("no"));
  assert.equal(brief((await run({ release: true }))!), "failed run error");
  assert.deepEqual(calls, ["load M m.onnx", "run", "release"]);
  assert.equal(brief((await run())!), "failed protocol invalid");
});

test("what cannot be served fails with its stage and kind", async () => {
  assert.equal(brief((await run())!), "failed protocol invalid");
  await declare();
  assert.equal(brief((await run())!), "failed protocol invalid");
  await start();
  globalThis.fetch = async () => new Response("gone", { status: 404 });
  assert.equal(brief((await run())!), "failed download unavailable");
  globalThis.fetch = async () => new Response("too long");
  assert.equal(brief((await run())!), "failed download invalid");
  assert.equal(brief((await ask("dance", { id: 3 }))!), "failed protocol invalid");
  assert.deepEqual(told, []);
});

test("a failed run that loaded its model tells of the load", async () => {
  await start();
  await declare();
  onRun = () => Promise.reject(new Error("no"));
  const reply = await run();
  assert.equal(brief(reply!), "failed run error");
  assert.notEqual(reply!.fields["load"], null);
});

test("an abort fails its request and loses the worker", async () => {
  await start();
  await declare();
  onRun = () => Promise.reject(new Failure("aborted", "trap", true));
  assert.equal(await run(), null);
  assert.deepEqual(told, [["failed run aborted", "worker", "trap"]]);
});

test("a device lost in the midst of a run fails the run, once", async () => {
  await start();
  await declare();
  onRun = () => {
    started.onLost("webgpu-device", "gone");
    return Promise.reject(new Error("the device is lost"));
  };
  await run();
  assert.deepEqual(told, [["failed run device-lost", "webgpu-device", "gone"]]);
});

test("a device lost between requests fails none", async () => {
  await start();
  started.onLost("webnn-context", "gone");
  assert.deepEqual(told, [[null, "webnn-context", "gone"]]);
});

const call = (call: number, fields = {}) => run({ state: { session: 3, call, keep: [["y", "x"]] }, ...fields });
const fed = () => feedsOfRuns.at(-1)!.map(({ name, data }) => [name, ...(data as Float32Array)]);

test("what a call keeps feeds the next, though the runtime uses its memory again", async () => {
  await start();
  await declare();
  const first = await call(0);
  assert.deepEqual(first!.outputs, []);
  assert.deepEqual(first!.fields["kept"], [{ name: "y", dtype: "float32", shape: [1], bytes: 4, location: "memory" }]);
  assert.deepEqual(fed(), []);
  await run();
  await call(1);
  assert.deepEqual(fed(), [["x", 1]]);
  onRun = () => Promise.reject(new Error("no"));
  assert.equal(brief((await call(2))!), "failed run error");
  onRun = () => {};
  await call(2);
  assert.deepEqual(fed(), [["x", 3]], "a call that failed changed nothing");
});

test("a state that is not there, or not the one that is meant, is told", async () => {
  await start();
  await declare();
  await declare({ model: "other" });
  assert.equal(brief((await call(1))!), "failed protocol no-state");
  await call(0);
  assert.equal(brief((await call(2))!), "failed protocol no-state");
  assert.equal(brief((await call(1, { model: "other" }))!), "failed protocol no-state");
  assert.equal((await ask("forget", { id: 4, session: 3 }))!.type, "released");
  assert.equal(brief((await call(1))!), "failed protocol no-state");
  await call(0);
  await call(0);
  assert.equal((await call(1))!.type, "result", "it was begun anew");
  await ask("release", { id: 5, model: "m" });
  await declare();
  assert.equal(brief((await call(2))!), "failed protocol no-state");
});

test("a state that makes no sense is refused", async () => {
  await start();
  await declare();
  for (const state of [{}, { session: 3, call: 0 }, { session: 3, call: 0, keep: [["y"]] }, 7]) {
    assert.equal(brief((await run({ state }))!), "failed protocol invalid");
  }
  assert.equal(brief((await run({ state: { session: 3, call: 0, keep: [["z", "x"]] } }))!), "failed run invalid");
});

test("a runtime that keeps tensors gets its own back, and drops what is no longer needed", async () => {
  const dropped: number[] = [];
  let made = 0;
  used = {
    ...runtime,
    keeps: "as-loaded",
    async run(_, feeds, outputs, keeping) {
      calls.push(`run ${feeds.map(({ name }) => name)} ${outputs} ${[...keeping!.feeds].map(([name, of]) => `${name}=${(of as { number?: number }).number}`)}`);
      const number = (made += 1);
      const kept = { name: "y", dtype: "float32", shape: [1], bytes: 4, location: "gpu", number, drop: () => dropped.push(number) };
      return { outputs: [], runMs: 1, readbackMs: null, kept: [kept as KeptTensor] };
    },
  };
  await start();
  await declare();
  await call(0);
  await call(1);
  assert.deepEqual(calls, ["load M m.onnx keeping y", "run   ", "run   x=1"]);
  assert.deepEqual(dropped, [1]);
  await ask("forget", { id: 4, session: 3 });
  assert.deepEqual(dropped, [1, 2]);
});

test("outputs go on to a worker that was met, feed its run, and can be fetched", async () => {
  const { port1, port2 } = new MessageChannel();
  meeting = () => port1;
  await start();
  await declare();
  assert.equal((await requests.meet({ header: { v: 1, type: "meet", id: 5, peer: 2, name: "a" }, tensors: [] })).type, "met");
  const reply = await run({ outputs: ["y", "z"], hand_on: { handover: 7, to: 2, outputs: ["y"], at_least: 0 } });
  assert.deepEqual(reply!.outputs!.map(({ name }) => name), ["z"]);
  assert.deepEqual(reply!.fields["handed_on"], [{ name: "y", dtype: "float32", shape: [1], bytes: 4 }]);
  await run({ handed: 7 });
  assert.deepEqual(fed(), [["y", 1]]);
  const fetched = await ask("fetch", { id: 6, handover: 7 });
  assert.deepEqual([fetched!.type, fetched!.outputs!.map(({ name }) => name)], ["fetched", ["y"]]);
  assert.equal((await ask("drop", { id: 7, handover: 7 }))!.type, "released");
  assert.equal(brief((await ask("fetch", { id: 8, handover: 7 }))!), "failed protocol no-state");
  assert.equal(brief((await run({ hand_on: { handover: 7 } }))!), "failed protocol invalid");
  port2.close();
});

test("a meeting that cannot be is told", async () => {
  meeting = () => {
    throw new Failure("unavailable", "no");
  };
  const reply = await requests.meet({ header: { v: 1, type: "meet", id: 5, peer: 2, name: "a" }, tensors: [] });
  assert.equal(brief(reply), "failed protocol unavailable");
});
