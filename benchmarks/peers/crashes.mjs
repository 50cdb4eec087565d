// What puppeteer-cluster makes of tabs that crash: jobs of 100 ms on two pages at a time, while once a second the
// renderer process of a page that is at work is killed. Prints what became of the jobs as JSON.
//
// node crashes.mjs CHROMIUM [FLAG...]

import puppeteer from "puppeteer";
import { Cluster } from "puppeteer-cluster";
import { readFileSync, readdirSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";

const JOBS = 300;
const JOB_MS = 100;
const TIMEOUT_MS = 5_000;
const KILL_EVERY_MS = 1_000;

const [executablePath, ...flags] = process.argv.slice(2);
if (executablePath === undefined) {
  console.error("usage: node crashes.mjs CHROMIUM [FLAG...]");
  process.exit(2);
}

/** Of every process: its parent, its command line and the processor time it has used, in ticks. */
function processes() {
  const all = new Map();
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const fields = readFileSync(`/proc/${pid}/stat`, "latin1").split(") ").at(-1).split(" ");
      const command = readFileSync(`/proc/${pid}/cmdline`, "latin1");
      all.set(Number(pid), { parent: Number(fields[1]), command, ticks: Number(fields[11]) + Number(fields[12]) });
    } catch {
      // It has just ended.
    }
  }
  return all;
}

/** The renderers of pages below a browser's process, and the ticks that each has used. */
function renderers(browser) {
  const all = processes();
  const isBelow = (pid) => pid === browser || (all.has(pid) && isBelow(all.get(pid).parent));
  const pages = [...all].filter(
    ([pid, { command }]) =>
      command.includes("--type=renderer") && !command.includes("--extension-process") && isBelow(pid),
  );
  return new Map(pages.map(([pid, { ticks }]) => [pid, ticks]));
}

let browser = null;
let kills = 0;
let crashes = 0;

/** Jobs that a page computes just now. */
const atWork = new Set();

/**
 * Kills the renderer that computes most while a job is at work, and tells whether it did. (Others are busy, too: those
 * of pages that open and close.)
 */
async function killOne() {
  const [before, jobs] = [renderers(browser), [...atWork]];
  await pause(50);
  const used = [...renderers(browser)].map(([pid, ticks]) => [pid, ticks - (before.get(pid) ?? ticks)]);
  const busy = used.reduce((most, one) => (one[1] > (most?.[1] ?? 0) ? one : most), null);
  if (busy === null || !jobs.some((job) => atWork.has(job))) return false;
  try {
    process.kill(busy[0], "SIGKILL");
  } catch {
    return false;
  }
  kills += 1;
  return true;
}

const cluster = await Cluster.launch({
  concurrency: Cluster.CONCURRENCY_CONTEXT,
  maxConcurrency: 2,
  retryLimit: 2,
  timeout: TIMEOUT_MS,
  puppeteer: {
    async launch(options) {
      const launched = await puppeteer.launch(options);
      browser = launched.process().pid;
      return launched;
    },
  },
  puppeteerOptions: { executablePath, args: flags },
});

const jobs = Array.from({ length: JOBS }, () => ({ answers: 0, timeouts: 0, errors: [], ms: null, givenUp: false }));

await cluster.task(async ({ page, data: number }) => {
  const job = jobs[number];
  job.since ??= performance.now();
  page.once("error", () => {
    crashes += 1;
    atWork.delete(number);
  });
  atWork.add(number);
  const answer = await page.evaluate(
    ([number, ms]) => {
      const until = performance.now() + ms;
      while (performance.now() < until);
      return number;
    },
    [number, JOB_MS],
  );
  atWork.delete(number);
  if (answer !== number) throw new Error(`job ${number} was answered with ${answer}`);
  job.answers += 1;
  job.ms = performance.now() - job.since;
});

cluster.on("taskerror", (error, number, willRetry) => {
  const job = jobs[number];
  job.errors.push(error.message);
  job.timeouts += Number(error.message.startsWith("Timeout hit"));
  job.givenUp = !willRetry;
  atWork.delete(number);
});

const started = performance.now();
jobs.forEach((_, number) => cluster.queue(number));
let over = false;
(async () => {
  while (!over) {
    await pause(KILL_EVERY_MS);
    while (!over && !(await killOne()));
  }
})();
await cluster.idle();
over = true;
const seconds = (performance.now() - started) / 1000;
await cluster.close();

const count = (is) => jobs.filter(is).length;
const hit = jobs.filter((job) => job.errors.length > 0 && job.answers > 0).map((job) => job.ms).sort((a, b) => a - b);
const messages = {};
jobs.flatMap((job) => job.errors).forEach((message) => (messages[message] = (messages[message] ?? 0) + 1));
console.log(
  JSON.stringify(
    {
      jobs: JOBS,
      kills,
      pages_crashed: crashes,
      seconds,
      answered: count((job) => job.answers === 1),
      answered_twice: count((job) => job.answers > 1),
      given_up: count((job) => job.givenUp && job.answers === 0),
      lost: count((job) => job.answers === 0 && !job.givenUp),
      stuck_until_timeout: count((job) => job.timeouts > 0),
      retried: hit.length,
      retried_ms: { median: hit[hit.length >> 1] ?? null, most: hit.at(-1) ?? null },
      errors: messages,
    },
    null,
    2,
  ),
);
