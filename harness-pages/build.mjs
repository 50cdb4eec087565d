// Builds dist/: index.html and everything it loads, under assets/.

import { build } from "esbuild";
import { cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(fileURLToPath(import.meta.url));
const dist = join(root, "dist");
const assets = join(dist, "assets");

// What ONNX Runtime Web's `wasm` and `webgpu` builds fetch at run time: the glue, which is also the
// script of its threads, and the WebAssembly itself.
const runtimeFiles = ["", ".asyncify"].flatMap((variant) =>
  ["mjs", "wasm"].map((extension) => `ort-wasm-simd-threaded${variant}.${extension}`),
);

await rm(dist, { recursive: true, force: true });
await mkdir(assets, { recursive: true });

await build({
  absWorkingDir: root,
  entryPoints: { page: "src/page.ts", worker: "src/worker.ts", broker: "src/broker.ts", style: "src/style.css" },
  outdir: assets,
  bundle: true,
  splitting: true,
  format: "esm",
  target: "es2022",
  minify: true,
  legalComments: "none",
  chunkNames: "[name]-[hash]",
  // Without it, a runtime's glue would be bundled in, and its threads could not find their script.
  conditions: ["onnxruntime-web-use-extern-wasm"],
  logLevel: "warning",
});
await cp(join(root, "src/index.html"), join(dist, "index.html"));
for (const file of runtimeFiles) {
  await cp(join(root, "node_modules/onnxruntime-web/dist", file), join(assets, file));
}

// What is carried along asks for its notice to be carried along too.
const { version } = JSON.parse(await readFile(join(root, "node_modules/onnxruntime-web/package.json"), "utf8"));
const mit = await readFile(join(root, "src/onnxruntime.license.txt"), "utf8");
await writeFile(join(assets, "NOTICE.txt"), `ONNX Runtime Web ${version}\n\n${mit}`);
