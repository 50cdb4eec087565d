// Cases of ONNX's backend tests in a plain page: models and tensors are fetched, run by ONNX Runtime Web in the page
// itself, and compared there. Nothing of tabfleet is used, so that its verdicts can be held against these.

import { readModel, readTensor } from "/tensor-proto.mjs";

const backend = new URL(location.href).searchParams.get("backend");
const ort = await import(`/ort/ort.${backend}.min.mjs`);
ort.env.wasm.wasmPaths = "/ort/";
ort.env.logLevel = "error";

const VIEWS = {
  float32: Float32Array, float64: Float64Array, float16: Float16Array, int8: Int8Array, int16: Int16Array, int32: Int32Array,
  int64: BigInt64Array, uint8: Uint8Array, uint16: Uint16Array, uint32: Uint32Array, uint64: BigUint64Array, bool: Uint8Array,
  int4: Uint8Array, uint4: Uint8Array,
};
const FLOATS = { float32: Float32Array, float64: Float64Array, float16: Float16Array };

const fetched = async (url) => new Uint8Array(await (await fetch(url)).arrayBuffer());
const bytesOf = ({ buffer, byteOffset, byteLength }) => new Uint8Array(buffer, byteOffset, byteLength);
const viewed = (View, bytes) => new View(bytes.slice().buffer);
const dataOf = ({ dtype, bytes, strings }) => (dtype === "string" ? strings : viewed(VIEWS[dtype], bytes));

// The tensors of one direction, by the names that the model has for them.
const named = (files, values) => Promise.all(files.map(async (url, number) => {
  const tensor = readTensor(await fetched(url));
  return [values.some(({ name }) => name === tensor.name) ? tensor.name : values[number].name, tensor];
}));

const near = (expected, actual, [rtol, atol]) => Object.is(expected, actual) || expected === actual || (Number.isNaN(expected) && Number.isNaN(actual))
  || (Number.isFinite(expected) && Math.abs(actual - expected) <= atol + rtol * Math.abs(expected));

// What is not as expected; null when everything is.
const difference = (name, expected, actual, tolerance) => {
  if (!actual) return `${name} is missing`;
  if (expected.dtype !== actual.type) return `${name} is ${actual.type}, not ${expected.dtype}`;
  if (expected.dims.join() !== actual.dims.join()) return `${name} is [${actual.dims}], not [${expected.dims}]`;
  if (expected.dtype === "string") return expected.strings.every((text, index) => text === actual.data[index]) ? null : `${name} differs`;
  const given = bytesOf(actual.data), View = FLOATS[expected.dtype];
  if (!View) return given.every((byte, index) => byte === expected.bytes[index]) ? null : `${name} differs`;
  const numbers = viewed(View, given), wanted = viewed(View, expected.bytes);
  const bounds = expected.dtype === "float16" ? tolerance.float16 : tolerance.other;
  const first = wanted.findIndex((value, index) => !near(value, numbers[index], bounds));
  return first < 0 ? null : `${name} at ${first} is ${numbers[first]}, not ${wanted[first]}`;
};

const verdict = (word, message = null) => ({ verdict: word, message });

globalThis.runCase = async ({ model: url, sets, tolerance }) => {
  const file = await fetched(url), model = readModel(file);
  const strange = [...model.inputs, ...model.outputs].find(({ dtype }) => dtype === undefined);
  if (strange) return verdict("skipped", `${strange.name} is of a type that the page does not know`);
  if (sets.every(({ outputs }) => outputs.length === 0)) return verdict("skipped", "no data to compare with");
  let session;
  try {
    session = await ort.InferenceSession.create(file, { executionProviders: [backend] });
  } catch (error) {
    return verdict("load-error", String(error.message ?? error));
  }
  try {
    for (const { inputs, outputs } of sets) {
      const feeds = (await named(inputs, model.inputs)).map(([name, tensor]) => [name, new ort.Tensor(tensor.dtype, dataOf(tensor), tensor.dims)]);
      let results;
      try {
        results = await session.run(Object.fromEntries(feeds));
      } catch (error) {
        return verdict("run-error", String(error.message ?? error));
      }
      for (const [name, expected] of await named(outputs, model.outputs)) {
        const wrong = difference(name, expected, results[name], tolerance);
        if (wrong) return verdict("wrong", wrong);
      }
    }
    return verdict("pass");
  } finally {
    await session.release().catch(() => {});
  }
};
