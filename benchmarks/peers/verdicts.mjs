// The verdicts of a plain page on every case of a folder, one JSON object a line on standard output.
//
// node verdicts.mjs CASES wasm|webgpu CHROMIUM FLAG...
//
// A case that does not pass is run again in a page of its own, and that counts: what an earlier case left behind, a lost
// device for instance, is not its doing.

import { launch } from "./browser.mjs";
import { serve } from "./server.mjs";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

const TIME_LIMIT_MS = 30_000;
const [cases, backend, executable, ...args] = process.argv.slice(2);
const server = await serve({}, cases);

async function open(browser) {
  const page = await browser.newPage();
  const crashed = new Promise((resolve) => page.on("crash", () => resolve({ verdict: "crash", message: "the page crashed" })));
  await page.goto(`${server.origin}/page/verdicts.html?backend=${backend}`);
  await page.waitForFunction(() => globalThis.runCase !== undefined);
  return { page, crashed };
}

function work(name) {
  const files = readdirSync(join(cases, name));
  const numbered = (set, direction) => readdirSync(join(cases, name, set))
    .filter((file) => new RegExp(`^${direction}_\\d+\\.pb$`).test(file))
    .sort((a, b) => parseInt(a.split("_")[1]) - parseInt(b.split("_")[1]))
    .map((file) => `/suite/${name}/${set}/${file}`);
  const sets = files.filter((file) => file.startsWith("test_data_set_")).sort();
  const about = existsSync(join(cases, name, "data.json")) ? JSON.parse(readFileSync(join(cases, name, "data.json"))) : {};
  const wider = (rtol, atol) => [Math.max(rtol, about.rtol ?? 0), Math.max(atol, about.atol ?? 0)];
  return {
    model: `/suite/${name}/model.onnx`,
    sets: sets.map((set) => ({ inputs: numbered(set, "input"), outputs: numbered(set, "output") })),
    tolerance: { other: wider(1e-3, 1e-5), float16: wider(1e-2, 1e-2) },
  };
}

async function judged({ page, crashed }, name) {
  let timer;
  const late = new Promise((resolve) => {
    timer = setTimeout(() => resolve({ verdict: "timeout", message: `nothing within ${TIME_LIMIT_MS} ms` }), TIME_LIMIT_MS);
  });
  const ran = page.evaluate((one) => globalThis.runCase(one), work(name))
    .catch((error) => ({ verdict: page.isClosed() ? "crash" : "run-error", message: String(error.message).split("\n")[0] }));
  const found = await Promise.race([crashed, ran, late]);
  clearTimeout(timer);
  return found;
}

let browser = await launch({ executable, args });
let tab = await open(browser);

/** A fresh page; after a crash or a hang in a fresh browser. */
async function again({ verdict }) {
  if (verdict === "crash" || verdict === "timeout") {
    await browser.close();
    browser = await launch({ executable, args });
  } else {
    await tab.page.close();
  }
  tab = await open(browser);
}

for (const name of readdirSync(cases).sort()) {
  if (!existsSync(join(cases, name, "model.onnx"))) continue;
  let found = await judged(tab, name);
  if (found.verdict !== "pass" && found.verdict !== "skipped") {
    await again(found);
    found = await judged(tab, name);
    if (found.verdict === "crash" || found.verdict === "timeout") await again(found);
  }
  console.log(JSON.stringify({ case: name, ...found }));
}
await browser.close();
server.close();
