// Does a list of jobs with puppeteer-cluster, two pages at a time, as somebody without tabfleet would write it. Reads one
// JSON object from standard input: { executable, args, jobs }, each job the folder of a case. Prints the milliseconds
// from the first job to the last answer, the browser being there already.

import { readTensor } from "./tensor-proto.mjs";
import { serve } from "./server.mjs";
import puppeteer from "puppeteer";
import { Cluster } from "puppeteer-cluster";
import { readFileSync, readdirSync } from "node:fs";
import { basename, join } from "node:path";

const { executable, args, jobs } = JSON.parse(readFileSync(0, "utf8"));

const models = {};
const server = await serve(models);
const cases = new Map();
for (const folder of new Set(jobs)) {
  const name = basename(folder);
  models[name] = join(folder, "model.onnx");
  const data = join(folder, "test_data_set_0");
  const files = readdirSync(data).filter((file) => file.startsWith("input_"));
  files.sort((a, b) => parseInt(a.slice(6)) - parseInt(b.slice(6)));
  cases.set(folder, { name, inputs: files.map((file) => readTensor(readFileSync(join(data, file)))) });
}

const cluster = await Cluster.launch({
  concurrency: Cluster.CONCURRENCY_PAGE,
  maxConcurrency: 2,
  puppeteer,
  // The fleet's flags and no others, so that both sides measure the same browser.
  puppeteerOptions: { executablePath: executable, args, ignoreDefaultArgs: true, waitForInitialPage: false },
});

let answers = 0;
await cluster.task(async ({ page, data: folder }) => {
  const { name, inputs } = cases.get(folder);
  const feeds = inputs.map(({ name, dtype, dims, bytes }) => ({ name, dtype, dims, data: bytes.toString("base64") }));
  await page.goto(`${server.origin}/page/index.html`);
  await page.waitForFunction(() => globalThis.peer !== undefined);
  const outputs = await page.evaluate((job) => globalThis.peer.runModel(job), { url: `/models/${name}`, inputs: feeds });
  outputs.forEach((output) => Buffer.from(output.data, "base64"));
  answers += 1;
});
cluster.on("taskerror", (error) => console.error(error.message));

const started = performance.now();
jobs.forEach((folder) => cluster.queue(folder));
await cluster.idle();
const ms = performance.now() - started;
await cluster.close();
server.close();
console.log(JSON.stringify({ ms, answers }));
