// Serves the peer's page, ONNX Runtime Web and model files, with the headers that the fleet's server sends.

import { createServer } from "node:http";
import { createReadStream } from "node:fs";
import { basename, dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const runtime = join(here, "node_modules/onnxruntime-web/dist");

const TYPES = { ".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm" };

/** Listens on a free port of 127.0.0.1. `models` are files by name, served under /models/; `suite` is a folder of cases,
 * served under /suite/. */
export async function serve(models = {}, suite) {
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url, "http://localhost").pathname);
    const name = basename(path);
    const files = {
      ort: () => join(runtime, name),
      models: () => models[name],
      suite: () => suite && join(suite, ...path.split("/").slice(2).filter((part) => part !== "..")),
      "tensor-proto.mjs": () => join(here, name),
    };
    const file = (files[path.split("/")[1]] ?? (() => join(here, "page", name)))();
    const stream = file === undefined ? null : createReadStream(file);
    const refuse = () => response.writeHead(404).end();
    if (stream === null) return refuse();
    stream.on("error", refuse);
    stream.on("open", () => {
      response.writeHead(200, {
        "content-type": TYPES[extname(name)] ?? "application/octet-stream",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-embedder-policy": "require-corp",
      });
      stream.pipe(response);
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    origin: `http://127.0.0.1:${server.address().port}`,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
