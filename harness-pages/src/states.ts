// What sessions keep in this worker from one call to the next (PROTOCOL.md, "State").

import { Failure } from "./failure.ts";
import type { Header } from "./frames.ts";
import type { KeptTensor, RunResult } from "./runtime.ts";
import { bytesOf, type Tensor } from "./tensors.ts";

/** The `state` of a run: which call of which session it is, and what it keeps. */
export interface StateCall {
  readonly session: number;
  /** How many calls the state has been through before this one; 0 begins it. */
  readonly call: number;
  /** The outputs that stay here, each with the input of the next call that it feeds. */
  readonly keep: readonly (readonly [output: string, input: string])[];
}

interface State {
  readonly model: string;
  readonly calls: number;
  /** By the input that each feeds. */
  readonly kept: ReadonlyMap<string, KeptTensor>;
}

const NOTHING: ReadonlyMap<string, KeptTensor> = new Map();

/** The `state` of a request, or null where it has none. */
export function stateCallOf(header: Header): StateCall | null {
  const said = header["state"];
  if (said === undefined || said === null) return null;
  const { session, call, keep } = said as Partial<StateCall>;
  const isPair = (pair: unknown) =>
    Array.isArray(pair) && pair.length === 2 && pair.every((name) => typeof name === "string");
  if (!Number.isSafeInteger(session) || !Number.isSafeInteger(call) || !Array.isArray(keep) || !keep.every(isPair)) {
    throw new Failure("invalid", "a state without session, call and pairs of what is kept");
  }
  return said as StateCall;
}

/** The outputs that a call keeps, each once. */
export function keptOutputs(call: StateCall | null): string[] {
  return [...new Set(call?.keep.map(([output]) => output))];
}

/** The states of all sessions that have one here. */
export class States {
  readonly #all = new Map<number, State>();

  /** What was kept for this call, by the input that it feeds. */
  before({ session, call }: StateCall, model: string): ReadonlyMap<string, KeptTensor> {
    if (call === 0) {
      this.drop(session);
      return NOTHING;
    }
    const state = this.#all.get(session);
    if (state === undefined) throw new Failure("no-state", `this worker has no state of session ${session}`);
    if (state.calls !== call || state.model !== model) {
      const has = `session ${session} has been through ${state.calls} calls of model ${state.model}`;
      throw new Failure("no-state", `${has}, and this is to be call ${call} of ${model}`);
    }
    return state.kept;
  }

  /** The call has succeeded: what it kept takes the place of what was kept before. */
  after({ session, call, keep }: StateCall, model: string, kept: readonly KeptTensor[]): void {
    this.drop(session);
    const byOutput = new Map(kept.map((tensor) => [tensor.name, tensor]));
    const byInput = keep.map(([output, input]) => [input, byOutput.get(output)!] as const);
    this.#all.set(session, { model, calls: call + 1, kept: new Map(byInput) });
  }

  drop(session: number): void {
    const state = this.#all.get(session);
    this.#all.delete(session);
    // One output may feed several inputs.
    for (const tensor of new Set(state?.kept.values())) tensor.drop();
  }

  /** Drops the states of every session of a model. */
  dropModel(model: string): void {
    for (const [session, state] of [...this.#all]) if (state.model === model) this.drop(session);
  }
}

/** An output kept for a runtime that keeps none itself: a copy, since the runtime may use its memory again. */
class CopiedTensor implements KeptTensor {
  readonly name;
  readonly dtype;
  readonly shape;
  readonly bytes;
  readonly location = "memory";
  readonly data;

  constructor({ name, dtype, shape, data }: Tensor) {
    this.name = name;
    this.dtype = dtype;
    this.shape = [...shape];
    this.data = Array.isArray(data) ? [...data] : (data as Uint8Array).slice();
    this.bytes = bytesOf(this.data).length;
  }

  drop(): void {}
}

/** As a runtime that keeps tensors itself would run it, for one that does not. */
export async function runWithCopies(
  run: (feeds: readonly Tensor[], outputs: readonly string[]) => Promise<RunResult>,
  feeds: readonly Tensor[],
  outputs: readonly string[],
  kept: ReadonlyMap<string, KeptTensor>,
  keep: readonly string[],
): Promise<RunResult> {
  const fed = [...kept].map(([name, tensor]) => ({ ...(tensor as CopiedTensor), name }));
  const result = await run([...feeds, ...fed], [...outputs, ...keep]);
  const isKept = ({ name }: Tensor) => keep.includes(name);
  return {
    ...result,
    outputs: result.outputs.filter((tensor) => !isKept(tensor)),
    kept: result.outputs.filter(isKept).map((tensor) => new CopiedTensor(tensor)),
  };
}
