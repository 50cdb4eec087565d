// A model as the coordinator declares it, and the download of its files.

import { Failure, failureOf } from "./failure.ts";
import type { LoadOptions, ModelFile } from "./runtime.ts";

/** The fields of a `model` request. */
export interface Declaration {
  readonly model: string;
  readonly name: string;
  readonly files: readonly { readonly path: string; readonly url: string; readonly bytes: number }[];
  readonly cpu_fallback: LoadOptions["cpuFallback"];
  readonly session_options: Readonly<Record<string, unknown>>;
}

/** Fetches a model's files, all at once; the browser's cache may answer. */
export function download(declaration: Declaration): Promise<ModelFile[]> {
  return Promise.all(
    declaration.files.map(async ({ path, url, bytes }) => {
      const contents = await fetchBytes(url);
      if (contents.length !== bytes) {
        throw new Failure("invalid", `${path} has ${contents.length} bytes where ${bytes} were declared`);
      }
      return { path, bytes: contents };
    }),
  );
}

async function fetchBytes(url: string): Promise<Uint8Array<ArrayBuffer>> {
  let response: Response;
  try {
    response = await fetch(url);
  } catch (cause) {
    throw new Failure("unavailable", `${url}: ${failureOf(cause).message}`);
  }
  if (!response.ok) throw new Failure("unavailable", `${url}: HTTP ${response.status} ${response.statusText}`);
  try {
    return new Uint8Array(await response.arrayBuffer());
  } catch (cause) {
    const failure = failureOf(cause);
    throw failure.kind === "out-of-memory" ? failure : new Failure("unavailable", `${url}: ${failure.message}`);
  }
}
