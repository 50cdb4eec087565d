// Holds the verdicts of a plain page against those of tabfleet: every case on which they differ, and what each says.
//
// node agree.mjs VERDICTS.jsonl MATRIX.json TARGET
//
// Exits with 1 when they differ anywhere.

import { readFileSync } from "node:fs";

const [verdicts, matrix, target] = process.argv.slice(2);
const lines = readFileSync(verdicts, "utf8").split("\n").filter(Boolean).map((line) => JSON.parse(line));
const ours = new Map(JSON.parse(readFileSync(matrix)).results.filter((each) => each.target === target).map((each) => [each.case.split("/").at(-1), each]));

const differences = [];
const agreed = {};
for (const { case: name, verdict, message } of lines) {
  const our = ours.get(name);
  ours.delete(name);
  if (our?.verdict === verdict) agreed[verdict] = (agreed[verdict] ?? 0) + 1;
  else differences.push({ name, verdict, message, our: our?.verdict ?? "nothing", because: our?.error?.message ?? null });
}
for (const [name, { verdict }] of ours) differences.push({ name, verdict: "nothing", message: null, our: verdict, because: null });

const first = (text) => (text === null ? "" : `: ${text.split("\n")[0]}`);
for (const { name, verdict, message, our, because } of differences) console.log(`${name}\n  the page: ${verdict}${first(message)}\n  tabfleet: ${our}${first(because)}`);
console.log(`${target}: the same of ${Object.values(agreed).reduce((a, b) => a + b, 0)} cases (${Object.entries(agreed).map(([word, n]) => `${n} ${word}`).join(", ")}), another of ${differences.length}`);
process.exitCode = differences.length ? 1 : 0;
