// What a page has to offer to `page.evaluate`: a session, and runs of it with what JSON can carry.

import * as ort from "/ort/ort.wasm.min.mjs";

ort.env.wasm.wasmPaths = "/ort/";
ort.env.logLevel = "error";

// Where the browser has them, as fast as base64 gets; elsewhere by way of strings.
const decode = typeof Uint8Array.fromBase64 === "function"
  ? (text) => Uint8Array.fromBase64(text)
  : (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));

const encode = typeof Uint8Array.prototype.toBase64 === "function"
  ? (bytes) => bytes.toBase64()
  : (bytes) => {
      let text = "";
      for (let start = 0; start < bytes.length; start += 0x8000) {
        text += String.fromCharCode(...bytes.subarray(start, start + 0x8000));
      }
      return btoa(text);
    };

const VIEWS = {
  float32: Float32Array,
  float16: globalThis.Float16Array ?? Uint16Array,
  float64: Float64Array,
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
};

const bytesOf = ({ buffer, byteOffset, byteLength }) => new Uint8Array(buffer, byteOffset, byteLength);

function tensorOf({ dtype, dims, data }) {
  return new ort.Tensor(dtype, new VIEWS[dtype](decode(data).buffer), dims);
}

/** Runs a session with inputs by name (or, where data files have other names, by place); returns every output. */
async function runAll(session, inputs) {
  const names = session.inputNames;
  const feeds = inputs.map((input, index) => [names.includes(input.name) ? input.name : names[index], tensorOf(input)]);
  const results = await session.run(Object.fromEntries(feeds));
  return session.outputNames.map((name) => {
    const { type, dims, data } = results[name];
    return { name, dtype: type, dims, data: encode(bytesOf(data)) };
  });
}

let session;
let dims;

async function run(data) {
  const results = await session.run({ [session.inputNames[0]]: new ort.Tensor("float32", data, dims) });
  return results[session.outputNames[0]].data;
}

globalThis.peer = {
  /** Creates the page's session. The model takes and gives one float32 tensor. */
  async load(url, shape) {
    session = await ort.InferenceSession.create(url, { executionProviders: ["wasm"] });
    dims = shape;
  },

  async runJson(numbers) {
    return Array.from(await run(Float32Array.from(numbers)));
  },

  async runBase64(text) {
    return encode(bytesOf(await run(new Float32Array(decode(text).buffer))));
  },

  /** Runs for so long, one after the other; returns how many a second. */
  async loop(text, ms) {
    const data = new Float32Array(decode(text).buffer);
    const started = performance.now();
    let count = 0;
    while (performance.now() - started < ms) {
      await run(data);
      count += 1;
    }
    return (1000 * count) / (performance.now() - started);
  },

  /** One job in a page of its own: creates a session, runs it; returns its outputs. */
  async runModel({ url, inputs }) {
    return runAll(await ort.InferenceSession.create(url, { executionProviders: ["wasm"] }), inputs);
  },

  /** One case: creates a session, runs each data set, releases the session; returns each set's outputs. */
  async runCase({ model, sets }) {
    const session = await ort.InferenceSession.create(decode(model), { executionProviders: ["wasm"] });
    try {
      const all = [];
      for (const inputs of sets) all.push(await runAll(session, inputs));
      return all;
    } finally {
      await session.release();
    }
  },
};
