// Does with Playwright what the speed benchmark asks for: one JSON object a line in, one out.

import { launch } from "./browser.mjs";
import { readTensor } from "./tensor-proto.mjs";
import { serve } from "./server.mjs";
import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { createInterface } from "node:readline";

let browser = null;
const pages = [];
const models = {};
const server = await serve(models);

/** Opens the page and creates the session of a case's model in it. */
async function open(browser, folder) {
  const input = readTensor(readFileSync(join(folder, "test_data_set_0/input_0.pb")));
  const name = basename(folder);
  models[name] = join(folder, "model.onnx");
  const page = await browser.newPage();
  await page.goto(`${server.origin}/page/index.html`);
  await page.waitForFunction(() => globalThis.peer !== undefined);
  await page.evaluate(([url, dims]) => globalThis.peer.load(url, dims), [`/models/${name}`, input.dims]);
  return { page, bytes: Buffer.from(input.bytes) };
}

async function timed(count, run) {
  const times = [];
  for (let n = 0; n < count; n++) {
    const started = performance.now();
    await run();
    times.push(performance.now() - started);
  }
  return times;
}

const commands = {
  async launch(options) {
    browser = await launch(options);
    return { node: process.version };
  },

  async open({ folder }) {
    return pages.push(await open(browser, folder)) - 1;
  },

  /** Milliseconds of each run whose tensors travel as JSON arrays. */
  async json({ page: index, count }) {
    const { page, bytes } = pages[index];
    const numbers = Array.from(new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4));
    return timed(count, () => page.evaluate((numbers) => globalThis.peer.runJson(numbers), numbers));
  },

  /** Milliseconds of each run whose tensors travel as base64. */
  async base64({ page: index, count }) {
    const { page, bytes } = pages[index];
    return timed(count, async () => {
      const text = bytes.toString("base64");
      const output = await page.evaluate((text) => globalThis.peer.runBase64(text), text);
      return Buffer.from(output, "base64");
    });
  },

  /** Runs a second of loops in several pages at once, one rate a page. */
  async loop({ pages: indices, ms }) {
    const rates = indices.map((index) => {
      const { page, bytes } = pages[index];
      return page.evaluate(([text, ms]) => globalThis.peer.loop(text, ms), [bytes.toString("base64"), ms]);
    });
    return Promise.all(rates);
  },

  /** Milliseconds from launching a browser to its first output. */
  async first({ executable, args, folder }) {
    const started = performance.now();
    const browser = await launch({ executable, args });
    const { page, bytes } = await open(browser, folder);
    await page.evaluate((text) => globalThis.peer.runBase64(text), bytes.toString("base64"));
    const ms = performance.now() - started;
    await browser.close();
    return ms;
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { command, ...options } = JSON.parse(line);
  let answer;
  try {
    answer = { ok: (await commands[command](options)) ?? null };
  } catch (error) {
    answer = { error: String(error?.stack ?? error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
// Standard input has ended: so does everything else.
await browser?.close();
server.close();
