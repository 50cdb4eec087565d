// ONNX Runtime Web behind the Runtime interface.

import type * as Ort from "onnxruntime-web";

import { Failure, failureOf, messageOf } from "./failure.ts";
import type {
  Adapter,
  Backend,
  Keeping,
  KeptTensor,
  LoadOptions,
  ModelFile,
  RunResult,
  Runtime,
  Session,
  StartInfo,
  StartOptions,
  WebnnDevice,
} from "./runtime.ts";
import { bytesFor, bytesOf, type Dtype, type Tensor } from "./tensors.ts";
import { describeAdapter, requestAdapter } from "./webgpu.ts";
import { ml, reportRejectedGraphs, type MLContext } from "./webnn.ts";

interface OrtSession extends Session {
  readonly session: Ort.InferenceSession;
}

/** What the runtime calls them; anything else is memory. */
const LOCATIONS: Partial<Record<Ort.Tensor.DataLocation, KeptTensor["location"]>> = {
  "gpu-buffer": "gpu",
  "ml-tensor": "ml-tensor",
};

/** An output left where the runtime put it: in a GPU buffer, in a tensor of WebNN, or in JavaScript's memory. */
class KeptOutput implements KeptTensor {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly bytes: number;
  readonly location: KeptTensor["location"];

  constructor(
    readonly name: string,
    readonly tensor: Ort.Tensor,
  ) {
    this.dtype = tensor.type as Dtype;
    this.shape = tensor.dims;
    this.location = LOCATIONS[tensor.location] ?? "memory";
    this.bytes =
      tensor.type === "string" ? bytesOf(tensor.data as string[]).length : bytesFor(this.dtype, tensor.size);
  }

  drop(): void {
    this.tensor.dispose();
  }
}

const NO_KEEPING: Keeping = { feeds: new Map(), keep: [] };

// Each build has its own WebAssembly file, and a wasm tab must never download the others. The `webgpu`
// build holds the native WebGPU provider and WebNN, both on Asyncify, which every browser can run.
async function importOrt(backend: Backend): Promise<typeof Ort> {
  return backend === "wasm" ? import("onnxruntime-web/wasm") : import("onnxruntime-web/webgpu");
}

// y = x + x for one float32: 65 bytes of ONNX. Running it at the start brings the runtime's own
// download, compilation and device into the time of `start` rather than of the first model, and shows
// that the backend really works.
const WARM_UP_MODEL = "CAcSADo1Cg4KAXgKAXgSAXkiA0FkZBIBZ1oPCgF4EgoKCAgBEgQKAggBYg8KAXkSCgoICAESBAoCCAFCBAoAEA0=";

/** ONNX Runtime Web, the build that suits the backend it is started with. */
export class OnnxRuntimeWeb implements Runtime {
  readonly name = "ONNX Runtime Web";
  version = "";
  keeps: "any" | "as-loaded" = "any";

  #ort!: typeof Ort;
  #backend!: Backend;
  #onLost!: StartOptions["onLost"];
  #provider!: Ort.InferenceSession.ExecutionProviderConfig;
  // Why WebNN last refused to build a graph; the runtime itself says only that it did.
  #rejectedGraph: string | null = null;
  #watched: GPUDevice | null = null;

  async start(options: StartOptions): Promise<StartInfo> {
    this.#backend = options.backend;
    this.keeps = options.backend === "wasm" ? "any" : "as-loaded";
    this.#onLost = options.onLost;
    const adapter = options.backend === "webgpu" ? await this.#adapter() : null;
    if (options.backend === "webnn") await this.#createContext(options.webnnDevice);
    else this.#provider = { name: options.backend };

    const ort = await importOrt(options.backend);
    this.#ort = ort;
    this.version = ort.env.versions.web ?? ort.env.versions.common;
    ort.env.logLevel = "error";
    ort.env.wasm.wasmPaths = options.assets;
    ort.env.wasm.proxy = false;
    if (options.threads > 0) ort.env.wasm.numThreads = options.threads;
    await this.#warmUp();

    return {
      adapter,
      webnnDevice: options.backend === "webnn" ? options.webnnDevice : null,
      threads: ort.env.wasm.numThreads ?? null,
    };
  }

  async load(files: readonly ModelFile[], options: LoadOptions): Promise<OrtSession> {
    const [model, ...external] = files;
    if (model === undefined) throw new Failure("invalid", "a model without files");
    if ("executionProviders" in options.sessionOptions) {
      throw new Failure("invalid", "executionProviders is not an option of a session here: the tab's backend decides");
    }
    const create = (cpuFallback: boolean) => {
      const own = { ...options.sessionOptions, ...this.#outputLocations(options.keep, cpuFallback) };
      return this.#create(model, external, own, cpuFallback);
    };
    if (this.#backend === "wasm") return { ...(await create(true)), cpuFallback: null };
    try {
      return { ...(await create(false)), cpuFallback: false };
    } catch (cause) {
      const failure = loadFailure(cause);
      if (failure.fatal) throw failure;
      try {
        if (options.cpuFallback === "forbid") throw failure;
        return { ...(await create(true)), cpuFallback: true };
      } catch (last) {
        await this.#mendAfterFailedCreation();
        throw last;
      }
    }
  }

  async run(
    session: OrtSession,
    feeds: readonly Tensor[],
    outputs: readonly string[] | null,
    keeping = NO_KEEPING,
  ): Promise<RunResult> {
    const { Tensor } = this.#ort;
    const inputs: Record<string, Ort.Tensor> = {};
    for (const [name, kept] of keeping.feeds) inputs[name] = (kept as KeptOutput).tensor;
    let results: Ort.InferenceSession.ReturnType;
    let runMs: number;
    try {
      for (const { name, dtype, data, shape } of feeds) {
        if (dtype === "string" && (data as readonly string[]).some((text) => text.includes("\0"))) {
          throw new Failure("invalid", `the input ${name} holds a text with a NUL, where the runtime would cut it off`);
        }
        inputs[name] = new Tensor(dtype as "float32", data as Float32Array, shape);
      }
      const started = performance.now();
      results = outputs === null
        ? await session.session.run(inputs)
        : await session.session.run(inputs, [...outputs, ...keeping.keep]);
      runMs = performance.now() - started;
    } catch (cause) {
      throw runFailure(cause);
    }

    // Outputs are on the CPU when `run` settles, read back inside it, unless a session option put
    // them on the device; only then is reading back a step that can be timed by itself.
    let readbackMs: number | null = null;
    const tensors = new Array<Tensor>();
    for (const name of outputs ?? session.outputs) {
      const tensor = results[name]!;
      let data: Ort.Tensor.DataType;
      if (tensor.location === "cpu") {
        data = tensor.data;
      } else {
        const started = performance.now();
        data = await tensor.getData(true);
        readbackMs = (readbackMs ?? 0) + performance.now() - started;
      }
      tensors.push({ name, dtype: tensor.type as Dtype, shape: tensor.dims, data: data as Tensor["data"] });
    }
    const kept = keeping.keep.map((name) => new KeptOutput(name, results[name]!));
    return { outputs: tensors, runMs, readbackMs, kept };
  }

  async release(session: OrtSession): Promise<void> {
    await session.session.release();
  }

  // Where outputs are to be is decided when a session is created. A session of WebNN of which some nodes run
  // on the CPU (those of shapes that are not fixed, for one) takes an MLTensor that it made itself and
  // computes something else from it, without an error: 1.30 in Chromium 147, the second step of a decoder.
  #outputLocations(keep: readonly string[], cpuFallback: boolean): Record<string, unknown> {
    const onDevice = this.#backend === "webgpu" || (this.#backend === "webnn" && !cpuFallback);
    if (!onDevice || keep.length === 0) return {};
    const location = this.#backend === "webgpu" ? "gpu-buffer" : "ml-tensor";
    return { preferredOutputLocation: Object.fromEntries(keep.map((name) => [name, location])) };
  }

  async #adapter(): Promise<Adapter> {
    if (navigator.gpu === undefined) throw new Failure("unavailable", "the browser has no navigator.gpu");
    let adapter: GPUAdapter | null;
    try {
      adapter = await requestAdapter(navigator.gpu);
    } catch (cause) {
      throw new Failure("unavailable", `the browser was asked for an adapter: ${messageOf(cause)}`);
    }
    if (adapter === null) throw new Failure("unavailable", "the browser offers no adapter");
    return describeAdapter(adapter);
  }

  // The context is ours rather than the runtime's, because only who made it can see it lost.
  async #createContext(deviceType: WebnnDevice): Promise<void> {
    const api = ml();
    if (api === undefined) throw new Failure("unavailable", "the browser has no navigator.ml");
    let context: MLContext;
    try {
      context = await api.createContext({ deviceType });
    } catch (cause) {
      throw new Failure("unavailable", `no WebNN context for ${deviceType}: ${messageOf(cause)}`);
    }
    this.#provider = { name: "webnn", deviceType, context } as Ort.InferenceSession.ExecutionProviderConfig;
    reportRejectedGraphs((message) => (this.#rejectedGraph = message));
    void context.lost?.then((info) => this.#onLost("webnn-context", info.message));
  }

  // In 1.30, creating a session on WebNN sets a flag that forbids uploads until the creation succeeds;
  // when it fails, every session that was fine before fails at its next run. One more creation that
  // succeeds takes the flag back.
  async #mendAfterFailedCreation(): Promise<void> {
    if (this.#backend !== "webnn") return;
    try {
      await (await this.#createWarmUp()).release();
    } catch (cause) {
      throw new Failure("aborted", `WebNN is unusable after a failed load: ${messageOf(cause)}`, true);
    }
  }

  async #createWarmUp(): Promise<Ort.InferenceSession> {
    const bytes = Uint8Array.from(atob(WARM_UP_MODEL), (byte) => byte.charCodeAt(0));
    return (await this.#create({ path: "warm-up.onnx", bytes }, [], {}, true)).session;
  }

  async #warmUp(): Promise<void> {
    try {
      const session = await this.#createWarmUp();
      await session.run({ x: new this.#ort.Tensor("float32", new Float32Array(1), [1]) });
      // The runtime destroys its device with its last session and takes a new one for the next, which
      // would cost every model that is run alone a device. A session left open holds on to it.
      if (this.#backend !== "webgpu") await session.release();
    } catch (cause) {
      const { kind, message, fatal } = failureOf(cause);
      throw new Failure(kind === "error" ? "unavailable" : kind, message, fatal);
    }
  }

  async #create(
    model: ModelFile,
    external: readonly ModelFile[],
    own: Readonly<Record<string, unknown>>,
    cpuFallback: boolean,
  ): Promise<Omit<OrtSession, "cpuFallback">> {
    const extra = (own["extra"] ?? {}) as Record<string, unknown>;
    const options = {
      ...own,
      executionProviders: [this.#provider],
      ...(external.length > 0 && { externalData: external.map(({ path, bytes }) => ({ path, data: bytes })) }),
      extra: cpuFallback
        ? extra
        : { ...extra, session: { ...(extra["session"] as object | undefined), disable_cpu_ep_fallback: "1" } },
    } as Ort.InferenceSession.SessionOptions;
    this.#rejectedGraph = null;
    const started = performance.now();
    let session: Ort.InferenceSession;
    try {
      session = await this.#ort.InferenceSession.create(model.bytes, options);
    } catch (cause) {
      const failure = loadFailure(cause);
      throw this.#rejectedGraph === null
        ? failure
        : new Failure(failure.kind, `${this.#rejectedGraph} (${failure.message})`, failure.fatal);
    }
    const createMs = performance.now() - started;
    await this.#watchDevice();
    return { session, inputs: session.inputNames, outputs: session.outputNames, createMs };
  }

  async #watchDevice(): Promise<void> {
    if (this.#backend !== "webgpu") return;
    const device = (await this.#ort.env.webgpu.device) as GPUDevice | undefined;
    if (device === undefined || device === this.#watched) return;
    this.#watched = device;
    void device.lost.then(({ reason, message }) => {
      this.#onLost("webgpu-device", message === "" ? reason : `${reason}: ${message}`);
    });
  }
}

// Status codes of ONNX Runtime that speak of what it was given: 2 invalid argument, 3 no such file
// (external data that was not sent along), 7 invalid protobuf.
const INVALID_CODE = /ERROR_CODE: (2|3|7)\b|external data file/;

function loadFailure(cause: unknown): Failure {
  return invalidIf(INVALID_CODE, cause);
}

// Names, types or shapes that do not fit the model are told before anything has run: by a TypeError, a
// RangeError or a sentence of the runtime's JavaScript side, or by an invalid argument of its core. An
// invalid argument of an operator, or a call that the browser refuses, is not the caller's doing.
const INVALID_CALL = /^(Type|Range)Error: (?!.*Failed to execute)|^input '|^invalid (in|out)put '|^Tensor's size|^failed to call OrtRun\(\)\. ERROR_CODE: 2, ERROR_MESSAGE: (?!Non-zero status)/;

function runFailure(cause: unknown): Failure {
  return invalidIf(INVALID_CALL, cause);
}

function invalidIf(pattern: RegExp, cause: unknown): Failure {
  const failure = failureOf(cause);
  return failure.kind === "error" && pattern.test(failure.message) ? new Failure("invalid", failure.message) : failure;
}
