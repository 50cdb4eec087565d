// What somebody without tabfleet would write: every case of a folder through `page.evaluate` in one page.
//
// node matrix.mjs CASES CHROMIUM FLAG...
//
// With PAGES=2 in the environment it is the least that the same work takes in two pages instead: each is given its half of
// the cases at once, runs them in a loop without anything coming or going, and nobody looks at what comes out.

import { launch } from "./browser.mjs";
import { readTensor } from "./tensor-proto.mjs";
import { serve } from "./server.mjs";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

const [cases, executable, ...args] = process.argv.slice(2);

/** The tensors of one direction of a data set, in order. */
function tensors(folder, direction) {
  const all = [];
  for (let n = 0; existsSync(join(folder, `${direction}_${n}.pb`)); n++) {
    all.push(readTensor(readFileSync(join(folder, `${direction}_${n}.pb`))));
  }
  return all;
}

function sets(folder, direction) {
  return readdirSync(folder)
    .filter((name) => name.startsWith("test_data_set_"))
    .sort()
    .map((name) => tensors(join(folder, name), direction));
}

function float16(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15));
}

function floats(dtype, bytes) {
  const copy = new Uint8Array(bytes).buffer;
  if (dtype === "float32") return new Float32Array(copy);
  if (dtype === "float64") return new Float64Array(copy);
  return dtype === "float16" ? Array.from(new Uint16Array(copy), float16) : null;
}

function close(expected, actual) {
  if (expected.dtype !== actual.dtype || expected.dims.join() !== actual.dims.join()) return false;
  const bytes = Buffer.from(actual.data, "base64");
  const wanted = floats(expected.dtype, expected.bytes);
  if (wanted === null) return expected.bytes.equals(bytes);
  const given = floats(actual.dtype, bytes);
  const [rtol, atol] = expected.dtype === "float16" ? [1e-2, 1e-2] : [1e-3, 1e-5];
  return wanted.every((w, index) => {
    const g = given[index];
    return Object.is(w, g) || w === g || (Number.isNaN(w) && Number.isNaN(g)) || Math.abs(w - g) <= atol + rtol * Math.abs(w);
  });
}

const started = performance.now();
const server = await serve();
const browser = await launch({ executable, args });
async function open() {
  const page = await browser.newPage();
  await page.goto(`${server.origin}/page/index.html`);
  await page.waitForFunction(() => globalThis.peer !== undefined);
  return page;
}

/** What a page is given for a case. */
function work(folder) {
  const model = readFileSync(join(folder, "model.onnx")).toString("base64");
  const inputs = sets(folder, "input").map((set) =>
    set.map(({ name, dtype, dims, bytes }) => ({ name, dtype, dims, data: bytes.toString("base64") })),
  );
  return { model, sets: inputs };
}

const pages = Number(process.env.PAGES ?? 0);
if (pages > 0) {
  const names = readdirSync(cases).sort();
  const counts = await Promise.all(
    Array.from({ length: pages }, async (_, index) => {
      const mine = names.filter((_, n) => n % pages === index).map((name) => work(join(cases, name)));
      return (await open()).evaluate(async (all) => {
        for (const one of all) await globalThis.peer.runCase(one);
        return all.length;
      }, mine);
    }),
  );
  await browser.close();
  server.close();
  console.log(JSON.stringify({ pass: counts.reduce((a, b) => a + b, 0), ms: performance.now() - started }));
  process.exit(0);
}

const page = await open();
const verdicts = { pass: 0, wrong: 0, error: 0 };
const ready = performance.now();
for (const name of readdirSync(cases).sort()) {
  const folder = join(cases, name);
  try {
    const outputs = await page.evaluate((work) => globalThis.peer.runCase(work), work(folder));
    const expected = sets(folder, "output");
    const right = expected.every((set, s) => set.every((tensor, n) => close(tensor, outputs[s][n])));
    verdicts[right ? "pass" : "wrong"] += 1;
    if (!right) process.stderr.write(`wrong ${name}\n`);
  } catch (error) {
    verdicts.error += 1;
    process.stderr.write(`error ${name}: ${String(error.message).split("\n")[0]}\n`);
  }
}
const done = performance.now();
await browser.close();
server.close();
console.log(JSON.stringify({ ...verdicts, launch_ms: ready - started, cases_ms: done - ready }));
