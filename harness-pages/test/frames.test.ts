import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { decodeMessage, FrameError, MessageWriter, packTensor, type Frame, type Header, type PackedTensor } from "../src/frames.ts";
import { bytesOf, type Dtype, type Tensor, type TensorData } from "../src/tensors.ts";

interface Manifest {
  frames: {
    file: string;
    about: string;
    header: Header;
    tensors: { name: string; dtype: Dtype; shape: number[]; data: string; strings?: string[] }[];
  }[];
  bundles: { file: string; about: string; frames: string[] }[];
  broken: { file: string; about: string; error: string; close: number }[];
}

const golden = (file: string) => readFileSync(join(process.cwd(), "golden", file));
const manifest = JSON.parse(golden("frames.json").toString()) as Manifest;

/** A copy in a buffer of its own, as a WebSocket delivers it. */
function message(bytes: Uint8Array): ArrayBuffer {
  return new Uint8Array(bytes).buffer;
}

/** The one frame of a message. */
function decodeFrame(bytes: ArrayBuffer): Frame {
  const [frame, ...others] = decodeMessage(bytes);
  assert.equal(others.length, 0);
  return frame!;
}

/** Frames as one message. */
function encode(...frames: (readonly [Header, readonly PackedTensor[]])[]): Uint8Array<ArrayBuffer> {
  const writer = new MessageWriter();
  for (const [header, tensors] of frames) writer.add(header, tensors);
  return writer.take();
}

const hex = (data: TensorData) => Buffer.from(bytesOf(data)).toString("hex");

for (const { file, about, header, tensors } of manifest.frames) {
  test(`golden ${file}: ${about}`, () => {
    const bytes = golden(file);
    const frame = decodeFrame(message(bytes));
    assert.deepEqual(frame.header, header);
    assert.deepEqual(
      frame.tensors.map(({ name, dtype, shape, data }) => ({ name, dtype, shape, data: hex(data) })),
      tensors.map(({ name, dtype, shape, data }) => ({ name, dtype, shape, data })),
    );
    tensors.forEach(({ strings }, index) => {
      if (strings !== undefined) assert.deepEqual(frame.tensors[index]!.data, strings);
    });
    assert.deepEqual(Buffer.from(encode([frame.header, frame.tensors.map(packTensor)])), bytes);
  });
}

for (const { file, about, frames } of manifest.bundles) {
  test(`golden ${file}: ${about}`, () => {
    const bytes = golden(file);
    const bundled = decodeMessage(message(bytes));
    assert.deepEqual(bundled, frames.map((frame) => decodeFrame(message(golden(frame)))));
    if (frames.length === 1) return;
    const again = encode(...bundled.map(({ header, tensors }) => [header, tensors.map(packTensor)] as const));
    assert.deepEqual(Buffer.from(again), bytes);
  });
}

for (const { file, about, error, close } of manifest.broken) {
  test(`golden ${file} is refused: ${about}`, () => {
    assert.throws(
      () => decodeFrame(message(golden(file))),
      (thrown) => thrown instanceof FrameError && thrown.fault === error,
    );
    assert.equal(close, error === "version" ? 4001 : 1002);
  });
}

function result(...outputs: Tensor[]): Frame {
  const packed = outputs.map(packTensor);
  const header = { v: 1, type: "result", id: 1, outputs: packed.map(({ description }) => description) };
  return decodeFrame(message(encode([header, packed])));
}

test("numbers come in as views of the message, not as copies", () => {
  const bytes = message(golden("run-mixed.bin"));
  for (const { data } of decodeFrame(bytes).tensors) assert.equal((data as ArrayBufferView).buffer, bytes);
});

test("every dtype keeps its bits", () => {
  const bits = Uint8Array.from({ length: 16 }, (_, index) => index * 17);
  const sizes: Record<string, number> = {
    float32: 4, float16: 8, float64: 2, int8: 16, int16: 8, int32: 4, int64: 2,
    uint8: 16, uint16: 8, uint32: 4, uint64: 2, bool: 16, int4: 32, uint4: 32,
  };
  for (const [dtype, elements] of Object.entries(sizes)) {
    const tensor = { name: "x", dtype: dtype as Dtype, shape: [elements], data: bits };
    assert.deepEqual(bytesOf(result(tensor).tensors[0]!.data), bits, dtype);
  }
});

test("float16 is a Float16Array where there is one, its raw bits elsewhere", () => {
  const { data } = result({ name: "x", dtype: "float16", shape: [2], data: Uint16Array.of(0x3c00, 0x7e01) }).tensors[0]!;
  const name = "Float16Array" in globalThis ? "Float16Array" : "Uint16Array";
  assert.equal((data as object).constructor.name, name);
  assert.equal(hex(data), "003c017e");
});

test("strings survive, whatever they hold", () => {
  const data = ["", "\u0000", "\ufeffbom", "a\nb", "ü", "日本", "🦊", "x".repeat(70_000)];
  assert.deepEqual(result({ name: "x", dtype: "string", shape: [2, 4], data }).tensors[0]!.data, data);
});

test("a view into a larger buffer is sent without what lies around it", () => {
  const data = Float32Array.of(9, 1, 2, 9).subarray(1, 3);
  assert.deepEqual(result({ name: "x", dtype: "float32", shape: [2], data }).tensors[0]!.data, Float32Array.of(1, 2));
});

test("a writer that is used again leaves nothing of the frame before", () => {
  const writer = new MessageWriter();
  const once = (header: Header, packed: readonly PackedTensor[] = []) => {
    writer.add(header, packed);
    return Buffer.from(writer.take());
  };
  const header = { v: 1, type: "pong", id: 12 };
  const before = once(header);
  const packed = packTensor({ name: "x", dtype: "uint8", shape: [1000], data: new Uint8Array(1000).fill(255) });
  once({ v: 1, type: "result", outputs: [packed.description] }, [packed]);
  assert.deepEqual(once(header), before);
  writer.add(header, []);
  writer.add(header, []);
  writer.take();
  assert.deepEqual(once(header), before);
});

test("a frame larger than what a writer keeps is whole", () => {
  const data = new Uint8Array(17 << 20).fill(7);
  const [tensor] = result({ name: "x", dtype: "uint8", shape: [data.length], data }).tensors;
  assert.equal(Buffer.compare(bytesOf(tensor!.data), data), 0);
});
