// A runtime that counts its runs: in its module, in each session, and in what the browser stores for the origin.

let inModule = 0;

async function storedBefore() {
  const cache = await caches.open("counter");
  const before = Number((await (await cache.match("/runs"))?.text()) ?? 0);
  await cache.put("/runs", new Response(String(before + 1)));
  return before;
}

const told = (name, count) => ({ name, dtype: "int32", shape: [], data: new Int32Array([count]) });

export default {
  name: "counter",
  version: "1.0.0",
  async start({ threads }) {
    return { adapter: null, webnnDevice: null, threads };
  },
  async load() {
    return { inputs: [], outputs: ["module", "session", "stored"], cpuFallback: null, createMs: 0, runs: 0 };
  },
  async run(session) {
    const outputs = [told("module", inModule++), told("session", session.runs++), told("stored", await storedBefore())];
    return { outputs, runMs: 0, readbackMs: null };
  },
  async release() {},
};
