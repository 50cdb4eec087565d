// Writes the golden frames that both sides of the wire are checked against: frames.json (what each
// frame says) and one .bin per frame (its bytes). Run with `npm run golden`.
//
// It builds frames from PROTOCOL.md alone and shares no code with src/, so that a mistake in the
// page's encoder cannot hide in the files it is checked with.

import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const folder = dirname(fileURLToPath(import.meta.url));

const u32 = (value) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};
const list = (numbers, size, write) => {
  const bytes = Buffer.alloc(numbers.length * size);
  numbers.forEach((number, index) => write(bytes, number, index * size));
  return bytes;
};
const float32 = (numbers) => list(numbers, 4, (b, n, at) => b.writeFloatLE(n, at));
const float64 = (numbers) => list(numbers, 8, (b, n, at) => b.writeDoubleLE(n, at));
const int64 = (numbers) => list(numbers, 8, (b, n, at) => b.writeBigInt64LE(BigInt(n), at));
const uint16 = (numbers) => list(numbers, 2, (b, n, at) => b.writeUInt16LE(n, at));
const strings = (texts) => {
  const utf8 = texts.map((text) => Buffer.from(text, "utf8"));
  const offsets = [0];
  for (const bytes of utf8) offsets.push(offsets.at(-1) + bytes.length);
  return Buffer.concat([...offsets.map(u32), ...utf8]);
};

const aligned = (bytes) => Buffer.concat([bytes, Buffer.alloc((8 - (bytes.length % 8)) % 8)]);

function frame(header, tensors) {
  const json = Buffer.from(JSON.stringify(header), "utf8");
  const parts = [aligned(Buffer.concat([u32(json.length), json]))];
  tensors.forEach((tensor, index) => {
    parts.push(index + 1 < tensors.length ? aligned(tensor.data) : tensor.data);
  });
  return Buffer.concat(parts);
}

const described = (tensors) =>
  tensors.map(({ name, dtype, shape, data }) => ({ name, dtype, shape, bytes: data.length }));

const run = (id, model, inputs, outputs = null) => ({
  header: { v: 1, type: "run", id, model, inputs: described(inputs), outputs, release: false },
  tensors: inputs,
});
const result = (id, outputs, load = null) => ({
  header: { v: 1, type: "result", id, outputs: described(outputs), run_ms: 0.125, readback_ms: null, load },
  tensors: outputs,
});

const withFields = ({ header, tensors }, fields) => ({ header: { ...header, ...fields }, tensors });

const keptCache = { name: "present", dtype: "float32", shape: [1, 2, 9, 4], bytes: 288, location: "gpu" };

const texts = ["", "one", "zwölf", "日本", "🦊"];

const whole = [
  ["ping", "no tensors: the frame ends after its header's padding", { header: { v: 1, type: "ping", id: 7 }, tensors: [] }],
  [
    "model-declared",
    "a declaration with an external data file and session options; text that is not ASCII",
    {
      header: {
        v: 1, type: "model", model: "m1", name: "Größe λ",
        files: [
          { path: "model.onnx", url: "/models/0a", bytes: 1024 },
          { path: "weights.bin", url: "/models/0b", bytes: 4096 },
        ],
        cpu_fallback: "record",
        session_options: { graphOptimizationLevel: "basic" },
      },
      tensors: [],
    },
  ],
  [
    "failed",
    "a reply that tells of a failure",
    {
      header: { v: 1, type: "failed", id: 3, stage: "load", kind: "error", message: "no kernel for \"Foo\"\nat node 2", load: null },
      tensors: [],
    },
  ],
  [
    "run-mixed",
    "three tensors whose lengths are not multiples of 8, so that padding falls between them",
    run(1, "m1", [
      { name: "x", dtype: "float32", shape: [1, 3], data: float32([1.5, -2, 0.25]) },
      { name: "mask", dtype: "bool", shape: [5], data: Buffer.from([1, 0, 1, 1, 0]) },
      { name: "ids", dtype: "int64", shape: [2, 1], data: int64([-1, 9007199254740993n]) },
      { name: "flag", dtype: "bool", shape: [3], data: Buffer.from([0, 1, 1]) },
    ]),
  ],
  [
    "run-strings",
    "a string tensor: n + 1 offsets counted from after the table, then the texts",
    run(2, "m2", [
      { name: "words", dtype: "string", shape: [5], data: strings(texts), strings: texts },
      { name: "none", dtype: "string", shape: [0], data: strings([]), strings: [] },
    ], ["y"]),
  ],
  [
    "result-float16",
    "float16 as raw bits (1, -2, 65504, infinity, the smallest subnormal) beside a scalar; a load told with it",
    result(4, [
      { name: "h", dtype: "float16", shape: [5], data: uint16([0x3c00, 0xc000, 0x7bff, 0x7c00, 0x0001]) },
      { name: "s", dtype: "float64", shape: [], data: float64([Math.PI]) },
    ], { download_ms: 1.5, create_ms: 20.25, cpu_fallback: false, inputs: ["x"], outputs: ["h", "s"] }),
  ],
  [
    "result-empty",
    "an empty tensor takes no bytes, before and after one that does",
    result(5, [
      { name: "first", dtype: "float32", shape: [0, 4], data: Buffer.alloc(0) },
      { name: "second", dtype: "uint8", shape: [1], data: Buffer.from([255]) },
      { name: "third", dtype: "int32", shape: [2, 0], data: Buffer.alloc(0) },
    ]),
  ],
  [
    "run-int4",
    "int4 and uint4, two a byte, the first in the low half; an odd number of them",
    run(6, "m3", [
      { name: "a", dtype: "int4", shape: [3], data: Buffer.from([0xf1, 0x07]) },
      { name: "b", dtype: "uint4", shape: [2, 2], data: Buffer.from([0x21, 0x43]) },
    ]),
  ],
  [
    "run-state",
    "a later call of a session: its past was kept, and its present stays for the next",
    withFields(run(8, "m4", [{ name: "token", dtype: "int64", shape: [1, 1], data: int64([5]) }]), {
      state: { session: 3, call: 1, keep: [["present", "past"]] },
    }),
  ],
  [
    "result-kept",
    "its result: what stays is described, and no bytes of it follow",
    withFields(result(8, [{ name: "logits", dtype: "float32", shape: [2], data: float32([0.5, -1]) }]), {
      kept: [keptCache],
    }),
  ],
  [
    "run-handed",
    "a stage's run: one input was handed to the tab before, and an output goes on to another tab",
    withFields(run(10, "m5", [{ name: "mask", dtype: "bool", shape: [2], data: Buffer.from([1, 0]) }]), {
      handed: 41,
      hand_on: { handover: 42, to: 6, outputs: ["hidden"], at_least: 65536 },
    }),
  ],
  [
    "result-handed-on",
    "its result: what went on is described, and no bytes of it follow",
    withFields(result(10, [{ name: "norm", dtype: "float32", shape: [1], data: float32([0.5]) }]), {
      handed_on: [{ name: "hidden", dtype: "float32", shape: [1, 256, 768], bytes: 786432 }],
    }),
  ],
  ["meet", "two tabs are to meet", { header: { v: 1, type: "meet", id: 11, peer: 6, name: "4.1-6.1" }, tensors: [] }],
  ["met", "they have met", { header: { v: 1, type: "met", id: 11 }, tensors: [] }],
  ["fetch", "the coordinator wants what was handed on", { header: { v: 1, type: "fetch", id: 12, handover: 42 }, tensors: [] }],
  [
    "fetched",
    "and gets it",
    { header: { v: 1, type: "fetched", id: 12, outputs: [{ name: "hidden", dtype: "float32", shape: [2], bytes: 8 }] }, tensors: [
      { name: "hidden", dtype: "float32", shape: [2], data: float32([0.5, -1]) },
    ] },
  ],
  ["drop", "nobody needs it any more", { header: { v: 1, type: "drop", id: 13, handover: 42 }, tensors: [] }],
  ["forget", "the end of a session", { header: { v: 1, type: "forget", id: 9, session: 3 }, tensors: [] }],
];

const good = frame(whole[3][2].header, whole[3][2].tensors);
const oneTensor = (description, data) =>
  frame({ v: 1, type: "run", id: 1, model: "m", inputs: [description], outputs: null, release: false }, [{ data }]);

// Several frames in one message.
const bundle = (frames) =>
  Buffer.concat([
    u32(0), u32(0),
    ...frames.flatMap((bytes, index) => [u32(bytes.length), u32(0), index + 1 < frames.length ? aligned(bytes) : bytes]),
  ]);
const bundles = [
  ["bundle", "three frames, of which the second does not end at a multiple of 8", ["ping", "run-mixed", "run-int4"]],
  ["bundle-of-one", "a frame alone may be bundled as well", ["failed"]],
];
const file = (name) => {
  const { header, tensors } = whole.find(([other]) => other === name)[2];
  return frame(header, tensors);
};

const broken = [
  ["bundle-empty", "bundle", 1002, "a bundle of no frames", bundle([])],
  ["bundle-cut", "bundle", 1002, "a bundle whose last frame is cut", bundle([file("ping"), good]).subarray(0, -1)],
  ["bundle-cut-length", "bundle", 1002, "a bundle that ends within the length of a frame", Buffer.concat([bundle([file("ping")]), Buffer.from([1, 0])])],
  ["short", "short", 1002, "the last tensor's last byte is missing", good.subarray(0, good.length - 1)],
  ["short-padding", "short", 1002, "cut inside the padding of its header", frame({ v: 1, type: "ping", id: 12 }, []).subarray(0, -1)],
  ["long", "long", 1002, "one byte after the last tensor", Buffer.concat([good, Buffer.from([0])])],
  ["long-no-tensors", "long", 1002, "bytes after a frame that has no tensors", Buffer.concat([frame({ v: 1, type: "ping", id: 7 }, []), Buffer.alloc(8)])],
  ["version-2", "version", 4001, "another version of the protocol", frame({ v: 2, type: "ping", id: 7 }, [])],
  ["version-missing", "version", 4001, "a header without a version", frame({ type: "ping", id: 7 }, [])],
  ["header-past-end", "header-length", 1002, "a header longer than the message", Buffer.concat([u32(4096), Buffer.from("{}")])],
  ["header-length-cut", "header-length", 1002, "too short to hold a header length", Buffer.from([1, 0])],
  ["nothing", "header-length", 1002, "an empty message", Buffer.alloc(0)],
  ["header-not-json", "header", 1002, "a header that is not JSON", aligned(Buffer.concat([u32(5), Buffer.from("{v:1}")]))],
  ["header-not-object", "header", 1002, "a header that is JSON but no object", aligned(Buffer.concat([u32(3), Buffer.from("[1]")]))],
  ["header-not-utf8", "header", 1002, "a header that is not UTF-8", aligned(Buffer.concat([u32(26), Buffer.from('{"v":1,"type":"'), Buffer.from([0xff, 0xfe]), Buffer.from('","id":1}')]))],
  ["header-no-type", "header", 1002, "a header without a type", frame({ v: 1, id: 7 }, [])],
  ["tensor-unknown-dtype", "tensor", 1002, "a dtype that the protocol does not have", oneTensor({ name: "x", dtype: "float8", shape: [1], bytes: 1 }, Buffer.alloc(1))],
  ["tensor-wrong-bytes", "tensor", 1002, "bytes that contradict dtype and shape", oneTensor({ name: "x", dtype: "float32", shape: [3], bytes: 8 }, Buffer.alloc(8))],
  ["tensor-negative-shape", "tensor", 1002, "a negative dimension", oneTensor({ name: "x", dtype: "uint8", shape: [-1, -8], bytes: 8 }, Buffer.alloc(8))],
  ["tensor-string-offsets", "tensor", 1002, "a string tensor whose offsets go backwards", oneTensor({ name: "x", dtype: "string", shape: [2], bytes: 15 }, Buffer.concat([u32(0), u32(3), u32(2), Buffer.from("abc")]))],
  ["tensor-string-end", "tensor", 1002, "a string tensor whose last offset is not its end", oneTensor({ name: "x", dtype: "string", shape: [1], bytes: 11 }, Buffer.concat([u32(0), u32(2), Buffer.from("abc")]))],
];

for (const file of readdirSync(folder)) if (file.endsWith(".bin")) rmSync(join(folder, file));

const manifest = {
  frames: whole.map(([name, about, { header, tensors }]) => {
    writeFileSync(join(folder, `${name}.bin`), frame(header, tensors));
    return {
      file: `${name}.bin`,
      about,
      header,
      tensors: tensors.map(({ name, dtype, shape, data, strings }) => ({
        name, dtype, shape, data: data.toString("hex"), ...(strings && { strings }),
      })),
    };
  }),
  bundles: bundles.map(([name, about, frames]) => {
    writeFileSync(join(folder, `${name}.bin`), bundle(frames.map(file)));
    return { file: `${name}.bin`, about, frames: frames.map((frame) => `${frame}.bin`) };
  }),
  broken: broken.map(([name, error, close, about, bytes]) => {
    writeFileSync(join(folder, `${name}.bin`), bytes);
    return { file: `${name}.bin`, about, error, close };
  }),
};
writeFileSync(join(folder, "frames.json"), JSON.stringify(manifest, null, 1) + "\n");
