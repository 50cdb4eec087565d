import assert from "node:assert/strict";
import { test } from "node:test";

import { Failure, failureOf } from "../src/failure.ts";

const cases: [unknown, string, boolean][] = [
  [new RangeError("Array buffer allocation failed"), "out-of-memory", false],
  [new RangeError("WebAssembly.Memory.grow(): Unable to grow instance memory: out of memory"), "out-of-memory", false],
  [new Error("Can't create a session. failed to allocate a buffer of size 2147483648."), "out-of-memory", false],
  [new Error("std::bad_alloc"), "out-of-memory", false],
  [new WebAssembly.RuntimeError("Aborted(OOM). Build with -sASSERTIONS for more info."), "out-of-memory", true],
  [new WebAssembly.RuntimeError("unreachable"), "aborted", true],
  [new WebAssembly.RuntimeError("memory access out of bounds"), "aborted", true],
  [new Error("Aborted(). Build with -sASSERTIONS for more info."), "aborted", true],
  [new Error("WebGPU device lost (1): The device was lost."), "device-lost", false],
  [new Error("Failed to map: the Device is lost"), "device-lost", false],
  [new RangeError("'fetches' contains invalid output name: y"), "error", false],
  [new Error("No Op registered for Foo with domain_version of 13"), "error", false],
  [7048456, "error", false],
  [new Failure("invalid", "as told"), "invalid", false],
  [Object.assign(new Error("a custom runtime's"), { kind: "unavailable" }), "unavailable", false],
  [Object.assign(new Error("a custom runtime's"), { kind: "nonsense" }), "error", false],
];

for (const [thrown, kind, fatal] of cases) {
  test(`${thrown} is ${kind}`, () => {
    const failure = failureOf(thrown);
    assert.deepEqual([failure.kind, failure.fatal], [kind, fatal]);
  });
}
