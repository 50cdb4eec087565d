import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { Failure } from "../src/failure.ts";
import { Handovers, type HandOn } from "../src/handovers.ts";
import type { Tensor } from "../src/tensors.ts";

let channel: MessageChannel;
let one: Handovers;
let other: Handovers;

beforeEach(() => {
  channel = new MessageChannel();
  [one, other] = [new Handovers(), new Handovers()];
  one.open(2, channel.port1);
  other.open(1, channel.port2);
});

afterEach(() => channel.port1.close());

const large: Tensor = { name: "large", dtype: "float32", shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) };
const small: Tensor = { name: "small", dtype: "uint8", shape: [2], data: Uint8Array.of(5, 6) };
const texts: Tensor = { name: "texts", dtype: "string", shape: [2], data: ["one", "zwölf"] };
const handOn = (fields: Partial<HandOn> = {}): HandOn => ({
  handover: 7, to: 2, outputs: ["large", "small", "texts"], at_least: 8, ...fields,
});
const names = (tensors: readonly { readonly name: string }[]) => tensors.map(({ name }) => name);
const noState = (cause: unknown) => cause instanceof Failure && cause.kind === "no-state";

test("what is large enough is held on both sides until it is dropped", async () => {
  const memory = large.data as Float32Array;
  const { outputs, handedOn } = one.handOn(handOn(), [large, small, texts]);
  memory[0] = 9;
  assert.deepEqual(names(outputs), ["small"]);
  assert.deepEqual(handedOn.map(({ name, bytes }) => [name, bytes]), [["large", 16], ["texts", 21]]);
  memory[0] = 1;
  for (const side of [await other.take(7), one.read(7), await one.take(7)]) assert.deepEqual(side, [large, texts]);
  assert.deepEqual(await other.take(7), [large, texts], "a run that failed may come again");

  one.drop(7);
  assert.throws(() => one.read(7), noState);
  one.handOn(handOn({ handover: 8 }), [large]);
  // What was said before has been heard by then.
  await other.take(8);
  assert.throws(() => other.read(7), noState);
});

test("a run waits for what is still under way", async () => {
  const taken = other.take(7);
  one.handOn(handOn(), [large]);
  assert.deepEqual(await taken, [large]);
});

test("what does not come is told", async () => {
  await assert.rejects(other.take(7), noState);
});

test("what comes after it was dropped is not held", async () => {
  one.handOn(handOn(), [large]);
  other.drop(7);
  one.handOn(handOn({ handover: 8 }), [large]);
  // What was sent before has been heard by then.
  await other.take(8);
  assert.throws(() => other.read(7), noState);
});

test("who dropped it last is not asked again", async () => {
  one.handOn(handOn(), [large]);
  await other.take(7);
  // The coordinator tells this side itself when the other is gone.
  other.drop(7);
  assert.throws(() => other.read(7), noState);
  assert.deepEqual(one.read(7), [large]);
});

test("nothing goes on that was not asked for, is small, or has no way", () => {
  for (const [fields, left] of [
    [{ outputs: ["small"] }, ["large", "small"]],
    [{ at_least: 17 }, ["large", "small"]],
    [{ to: 3 }, ["large", "small"]],
  ] as const) {
    const { outputs, handedOn } = one.handOn(handOn(fields), [large, small]);
    assert.deepEqual([names(outputs), handedOn], [left, []]);
    assert.throws(() => one.read(7), noState);
  }
});

test("within one tab it only stays", async () => {
  one.handOn(handOn({ to: null }), [large]);
  assert.deepEqual(await one.take(7), [large]);
  one.drop(7);
  assert.throws(() => one.read(7), noState);
});
