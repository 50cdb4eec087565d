// Serves the coordinator's requests: probes, starts the runtime, loads models, runs them.

import type { Message, Service } from "./connection.ts";
import { Failure, failureOf, type Loss, type Stage } from "./failure.ts";
import type { Frame, Header } from "./frames.ts";
import { handOnOf, Handovers } from "./handovers.ts";
import { heapBytes } from "./heap.ts";
import { download, type Declaration } from "./model.ts";
import { probe } from "./probe.ts";
import type { Backend, KeptTensor, Runtime, RuntimeExport, RunResult, Session, WebnnDevice } from "./runtime.ts";
import { keptOutputs, runWithCopies, stateCallOf, States, type StateCall } from "./states.ts";
import { remember, type ModelStatus, type Status } from "./status.ts";
import { zeroTensor, type TensorDescription } from "./tensors.ts";

/** The `load` of a reply: how a model was loaded. */
interface Load {
  readonly download_ms: number;
  readonly create_ms: number;
  readonly cpu_fallback: boolean | null;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

interface Loaded {
  readonly model: string;
  readonly session: Session;
  readonly load: Load;
  readonly status: ModelStatus;
}

/** Kinds of failures of a run after which the worker is as good as before. */
const SPARES_WORKER: readonly Failure["kind"][] = ["invalid", "unavailable", "error"];

/** What the service needs of the worker around it. */
export interface Surroundings {
  readonly status: Status;
  /** Which worker of its page this is, from 1. */
  readonly worker: number;
  readonly assets: string;
  readonly defaultRuntime: () => Promise<Runtime>;
  /** An end of a channel to the worker that is at the meeting of that name, too. */
  readonly meet: (name: string) => Promise<MessagePort>;
  /** Tells the coordinator that this worker is of no more use. */
  readonly lost: (what: Loss, message: string, inService: Message | null) => void;
}

/** The requests of one connection, served one at a time. */
export class Requests implements Service {
  readonly #around: Surroundings;
  readonly #status: Status;
  readonly #declared = new Map<string, Declaration>();
  // By model, and by what is kept where a session is made for that.
  readonly #loaded = new Map<string, Loaded>();
  readonly #states = new States();
  readonly #handovers = new Handovers();
  #runtime: Runtime | null = null;
  #startedWith: string | null = null;
  // What is being served, for the failure that a loss in the middle of it has to tell.
  #id: unknown = null;
  #stage: Stage = "protocol";
  #load: Load | null = null;
  #ended = false;

  constructor(around: Surroundings) {
    this.#around = around;
    this.#status = around.status;
  }

  hello(): Record<string, unknown> {
    return {
      user_agent: navigator.userAgent,
      cross_origin_isolated: self.crossOriginIsolated,
      hardware_concurrency: navigator.hardwareConcurrency,
      worker: this.#around.worker,
    };
  }

  opened(): void {
    this.#status.state = "idle";
  }

  closed(reason: string): void {
    if (this.#status.state !== "lost") this.#status.state = "disconnected";
    remember(this.#status.lastFailures, { at: Date.now(), stage: "lost", kind: "connection", message: reason });
    this.#ended = true;
  }

  heapBytes(): number | null {
    return this.#runtime?.heapBytes?.() ?? heapBytes();
  }

  async serve({ header, tensors }: Frame): Promise<Message | null> {
    const status = this.#status;
    this.#id = header["id"] ?? null;
    this.#stage = "protocol";
    this.#load = null;
    status.state = "busy";
    status.doing = {
      what: header.type,
      model: this.#declared.get(header["model"] as string)?.name ?? null,
      since: Date.now(),
    };
    try {
      switch (header.type) {
        case "run":
          return await this.#run(header, tensors);
        case "load":
          return await this.#loadOnly(header);
        case "model":
          return await this.#declare(header);
        case "release":
          await this.#release(modelKey(header));
          return this.#released();
        case "forget":
          this.#states.drop(header["session"] as number);
          return this.#released();
        case "fetch":
          return {
            type: "fetched",
            fields: { id: this.#id },
            outputs: this.#handovers.read(header["handover"] as number),
          };
        case "drop":
          this.#handovers.drop(header["handover"] as number);
          return this.#released();
        case "start":
          return await this.#start(header);
        case "probe":
          return { type: "probed", fields: { id: this.#id, ...(await probe()) } };
        default:
          throw new Failure("invalid", `the page does not know requests of type ${header.type}`);
      }
    } catch (cause) {
      return this.#fail(failureOf(cause));
    } finally {
      this.#id = null;
      status.doing = null;
      if (!this.#ended) status.state = "idle";
    }
  }

  async meet({ header }: Frame): Promise<Message> {
    const { id, peer, name } = header as unknown as { id: unknown; peer: number; name: string };
    try {
      this.#handovers.open(peer, await this.#around.meet(name));
      return { type: "met", fields: { id } };
    } catch (cause) {
      const { kind, message } = failureOf(cause);
      return { type: "failed", fields: { id, stage: "protocol", kind, message, load: null } };
    }
  }

  /** Ends the service: the request in service fails, and the coordinator is told what was lost. */
  lose(what: Loss, failure: Failure): void {
    if (this.#ended) return;
    this.#ended = true;
    const inService = this.#id === null ? null : this.#failed(failure);
    this.#status.state = "lost";
    remember(this.#status.lastFailures, { at: Date.now(), stage: "lost", kind: what, message: failure.message });
    this.#around.lost(what, failure.message, inService);
  }

  async #fail(failure: Failure): Promise<Message | null> {
    // A device is lost in two ways at once: what runs on it fails, and its `lost` promise settles. A
    // failure that says so is told as the loss it is, whichever comes first.
    const lostDevice = failure.kind === "device-lost" && this.#stage !== "start";
    if (failure.fatal || lostDevice) {
      const what = !lostDevice ? "worker" : this.#status.backend === "webnn" ? "webnn-context" : "webgpu-device";
      this.lose(what, failure);
      return null;
    }
    return this.#id === null ? null : this.#failed(failure);
  }

  #released(): Message {
    return { type: "released", fields: { id: this.#id } };
  }

  #failed({ kind, message }: Failure): Message {
    const stage = this.#stage;
    this.#status.failures += 1;
    remember(this.#status.lastFailures, { at: Date.now(), stage, kind, message });
    return { type: "failed", fields: { id: this.#id, stage, kind, message, load: this.#load } };
  }

  async #start(header: Header): Promise<Message> {
    this.#stage = "start";
    const { backend, webnn_device: webnnDevice, threads, runtime: url } = header as unknown as {
      backend: Backend;
      webnn_device: WebnnDevice | null;
      threads: number;
      runtime: string | null;
    };
    const asked = JSON.stringify([backend, webnnDevice, threads, url]);
    if (this.#startedWith !== null && this.#startedWith !== asked) {
      throw new Failure("invalid", "this worker has started its runtime with other options; it has to be restarted");
    }
    const status = this.#status;
    if (this.#startedWith === null) {
      const runtime = url === null ? await this.#around.defaultRuntime() : await importRuntime(url);
      const info = await runtime.start({
        backend,
        webnnDevice: webnnDevice ?? "cpu",
        threads,
        assets: this.#around.assets,
        onLost: (what, message) => {
          this.lose(what, new Failure(what === "worker" ? "aborted" : "device-lost", message, true));
        },
      });
      this.#runtime = runtime;
      this.#startedWith = asked;
      status.backend = backend;
      status.runtime = { name: runtime.name, version: runtime.version };
      status.adapter = info.adapter;
      status.webnnDevice = info.webnnDevice;
      status.threads = info.threads;
    }
    return {
      type: "ready",
      fields: {
        id: this.#id,
        backend,
        runtime: status.runtime,
        adapter: status.adapter,
        webnn_device: status.webnnDevice,
        threads: status.threads,
      },
    };
  }

  async #declare(header: Header): Promise<null> {
    const declaration = header as unknown as Declaration;
    const key = modelKey(header);
    const before = this.#declared.get(key);
    // The same key with other contents is another model: what was loaded for it must not run again.
    if (before !== undefined && JSON.stringify(before) !== JSON.stringify(declaration)) await this.#release(key);
    this.#declared.set(key, declaration);
    return null;
  }

  async #loadOnly(header: Header): Promise<Message> {
    const key = modelKey(header);
    const { session, load } = await this.#loadedFor(key, []);
    const zeros = header["zeros"] as readonly TensorDescription[] | undefined;
    if (zeros !== undefined) await this.#runOnce(session, zeros);
    return { type: "loaded", fields: { id: this.#id, load } };
  }

  // What is compiled with a session's first run is compiled now. Of a model that cannot be run on such inputs the
  // session is as good as before.
  async #runOnce(session: Session, zeros: readonly TensorDescription[]): Promise<void> {
    this.#stage = "run";
    try {
      await this.#runtime!.run(session, zeros.map(zeroTensor), null);
    } catch (cause) {
      const failure = failureOf(cause);
      if (failure.fatal || !SPARES_WORKER.includes(failure.kind)) throw failure;
    }
  }

  async #run(header: Header, feeds: Frame["tensors"]): Promise<Message> {
    if (header["release"] !== true) return await this.#runOnly(header, feeds);
    const key = modelKey(header);
    let reply: Message;
    try {
      reply = await this.#runOnly(header, feeds);
    } catch (cause) {
      const failure = failureOf(cause);
      // A worker that is about to be replaced takes its sessions with it; and what failed is the run.
      if (!failure.fatal && failure.kind !== "device-lost") await this.#release(key).catch(() => {});
      throw failure;
    }
    await this.#release(key);
    return reply;
  }

  async #runOnly(header: Header, feeds: Frame["tensors"]): Promise<Message> {
    const key = modelKey(header);
    const wanted = header["outputs"] as readonly string[] | null;
    const state = stateCallOf(header);
    const [handOn, handed] = [handOnOf(header), header["handed"] as number | undefined];
    // Before anything is loaded in vain.
    const kept = state && this.#states.before(state, key);
    const loaded = await this.#loadedFor(key, keptOutputs(state));
    this.#stage = "run";
    const given = handed === undefined ? feeds : [...feeds, ...(await this.#handovers.take(handed))];
    const result = state === null
      ? await this.#runtime!.run(loaded.session, given, wanted)
      : await this.#runKeeping(loaded.session, given, wanted, state, kept!);
    const { runMs, readbackMs } = result;
    const { outputs, handedOn } = handOn === null
      ? { outputs: result.outputs, handedOn: null }
      : this.#handovers.handOn(handOn, result.outputs);
    if (state !== null) this.#states.after(state, key, result.kept ?? []);
    const status = this.#status;
    status.runs += 1;
    loaded.status.runs += 1;
    remember(status.lastRuns, { at: Date.now(), model: loaded.status.name, runMs, readbackMs });
    return {
      type: "result",
      fields: {
        id: this.#id,
        run_ms: runMs,
        readback_ms: readbackMs,
        load: this.#load,
        ...(state !== null && { kept: result.kept?.map(toldOfKept) }),
        ...(handedOn !== null && { handed_on: handedOn }),
      },
      outputs,
    };
  }

  async #runKeeping(
    session: Session,
    given: Frame["tensors"],
    wanted: readonly string[] | null,
    state: StateCall,
    kept: ReadonlyMap<string, KeptTensor>,
  ): Promise<RunResult> {
    const keep = keptOutputs(state);
    const unknown = keep.find((name) => !session.outputs.includes(name));
    if (unknown !== undefined) throw new Failure("invalid", `the model has no output ${unknown} to keep`);
    const outputs = (wanted ?? session.outputs).filter((name) => !keep.includes(name));
    // What comes with the call goes before what was kept for it.
    const feeds = new Map([...kept].filter(([input]) => !given.some(({ name }) => name === input)));
    const runtime = this.#runtime!;
    return runtime.keeps === undefined
      ? await runWithCopies((feeds, outputs) => runtime.run(session, feeds, outputs), given, outputs, feeds, keep)
      : await runtime.run(session, given, outputs, { feeds, keep });
  }

  /** The model's session, or the one that keeps these outputs where the runtime has to know that. */
  async #loadedFor(key: string, keep: readonly string[]): Promise<Loaded> {
    const apart = this.#runtime?.keeps === "as-loaded" && keep.length > 0;
    const slot = apart ? JSON.stringify([key, ...keep]) : key;
    return this.#loaded.get(slot) ?? (await this.#loadModel(key, slot, apart ? keep : []));
  }

  async #loadModel(key: string, slot: string, keep: readonly string[]): Promise<Loaded> {
    const declaration = this.#declared.get(key);
    if (declaration === undefined) throw new Failure("invalid", `no model was declared as ${key}`);
    if (this.#runtime === null) throw new Failure("invalid", "no runtime has been started");
    this.#stage = "download";
    const downloadStarted = performance.now();
    const files = await download(declaration);
    const downloadMs = performance.now() - downloadStarted;

    this.#stage = "load";
    const session = await this.#runtime.load(files, {
      name: declaration.name,
      cpuFallback: declaration.cpu_fallback,
      sessionOptions: declaration.session_options,
      keep,
    });
    this.#load = {
      download_ms: downloadMs,
      create_ms: session.createMs,
      cpu_fallback: session.cpuFallback,
      inputs: session.inputs,
      outputs: session.outputs,
    };
    const status: ModelStatus = {
      name: declaration.name,
      downloadMs,
      createMs: session.createMs,
      cpuFallback: session.cpuFallback,
      bytes: files.reduce((sum, { bytes }) => sum + bytes.length, 0),
      runs: 0,
    };
    const loaded = { model: key, session, load: this.#load, status };
    this.#loaded.set(slot, loaded);
    this.#status.models.push(status);
    return loaded;
  }

  /**
   * Drops what is loaded of a model, what was kept of it, and its declaration: the coordinator forgets
   * it, too, and declares the model again.
   */
  async #release(key: string): Promise<void> {
    this.#declared.delete(key);
    this.#states.dropModel(key);
    for (const [slot, loaded] of [...this.#loaded]) {
      if (loaded.model !== key) continue;
      this.#loaded.delete(slot);
      this.#status.models = this.#status.models.filter((model) => model !== loaded.status);
      await this.#runtime!.release(loaded.session);
    }
  }
}

function toldOfKept({ name, dtype, shape, bytes, location }: KeptTensor): Omit<KeptTensor, "drop"> {
  return { name, dtype, shape, bytes, location };
}

function modelKey(header: Header): string {
  const key = header["model"];
  if (typeof key !== "string") throw new Failure("invalid", `a ${header.type} request without a model`);
  return key;
}

async function importRuntime(url: string): Promise<Runtime> {
  let made: RuntimeExport;
  try {
    made = ((await import(url)) as { default: RuntimeExport }).default;
  } catch (cause) {
    throw new Failure("unavailable", `the runtime module ${url} cannot be imported: ${failureOf(cause).message}`);
  }
  const runtime = typeof made === "function" ? await made() : made;
  for (const method of ["start", "load", "run", "release"] as const) {
    if (typeof runtime?.[method] !== "function") {
      throw new Failure("invalid", `the runtime module ${url} exports no runtime: ${method} is missing`);
    }
  }
  return runtime;
}
