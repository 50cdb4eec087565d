// Activations that go from tab to tab and not through the coordinator (PROTOCOL.md, "From tab to tab").

import { Failure } from "./failure.ts";
import { packTensor, type Header, type PackedTensor } from "./frames.ts";
import { viewTensor, type Tensor, type TensorDescription } from "./tensors.ts";

/** The `hand_on` of a run: which of its outputs go on directly, and where to. */
export interface HandOn {
  readonly handover: number;
  /** The tab; null where the next stage runs in this one. */
  readonly to: number | null;
  readonly outputs: readonly string[];
  /** Outputs of fewer bytes go to the coordinator. */
  readonly at_least: number;
}

/** A tensor in a buffer of its own. */
interface OwnTensor extends PackedTensor {
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** What is held: the tensors, and the way to the other who holds them, for who made them. */
interface Held {
  readonly tensors: readonly OwnTensor[];
  readonly channel: MessagePort | null;
}

/** What one worker tells another: activations, or that the coordinator has dropped them. */
type Word =
  | { readonly handover: number; readonly tensors: readonly OwnTensor[] }
  | { readonly handover: number; readonly dropped: true };

// How long a run waits for what another tab has sent. It is there before the coordinator hears of it, or
// a moment later; when it is lost on the way, the coordinator has it sent again through itself.
const ARRIVAL_MS = 3000;

/** The `hand_on` of a request, or null where it has none. */
export function handOnOf(header: Header): HandOn | null {
  const said = header["hand_on"];
  if (said === undefined || said === null) return null;
  const { handover, to, outputs, at_least: atLeast } = said as Partial<HandOn>;
  const isTab = to === null || Number.isSafeInteger(to);
  const areNames = Array.isArray(outputs) && outputs.every((name) => typeof name === "string");
  if (!Number.isSafeInteger(handover) || !isTab || !areNames || !Number.isSafeInteger(atLeast)) {
    throw new Failure("invalid", "a hand_on without handover, to, outputs and at_least");
  }
  return said as HandOn;
}

/** What this worker has handed to others and was handed by them, until it is dropped. */
export class Handovers {
  readonly #held = new Map<number, Held>();
  // Dropped before they came: what is still under way is not held when it comes.
  readonly #dropped = new Set<number>();
  readonly #awaited = new Map<number, () => void>();
  readonly #channels = new Map<number, MessagePort>();

  /** From now on activations go to and come from that tab through this port. */
  open(peer: number, port: MessagePort): void {
    this.#channels.get(peer)?.close();
    this.#channels.set(peer, port);
    port.onmessage = ({ data }: MessageEvent<Word>) => this.#hear(data);
  }

  /** Hands on what is large enough of the outputs it is told, and describes it; returns the others as they are. */
  handOn({ handover, to, outputs: names, at_least: atLeast }: HandOn, outputs: readonly Tensor[]): {
    outputs: Tensor[];
    handedOn: TensorDescription[];
  } {
    const channel = to === null ? null : this.#channels.get(to);
    const kept: Tensor[] = [];
    const packed: OwnTensor[] = [];
    for (const output of outputs) {
      const large = names.includes(output.name) && channel !== undefined ? packTensor(output) : null;
      if (large === null || large.bytes.length < atLeast) kept.push(output);
      // The runtime may use its memory again.
      else packed.push({ description: large.description, bytes: new Uint8Array(large.bytes) });
    }
    if (packed.length > 0) {
      this.#hold(handover, { tensors: packed, channel: channel ?? null });
      // Both sides hold it, so that the end of either is no loss. A copy that is transferred arrives sooner than one
      // that the browser makes.
      const copies = packed.map(({ description, bytes }) => ({ description, bytes: bytes.slice() }));
      channel?.postMessage({ handover, tensors: copies } satisfies Word, copies.map(({ bytes }) => bytes.buffer));
    }
    return { outputs: kept, handedOn: packed.map(({ description }) => description) };
  }

  /** What was handed over; it stays here until it is dropped. */
  async take(handover: number): Promise<Tensor[]> {
    if (!this.#held.has(handover)) await this.#arrival(handover);
    return this.#tensorsOf(handover);
  }

  /** As {@link take}, of what is here. */
  read(handover: number): Tensor[] {
    if (!this.#held.has(handover)) throw new Failure("no-state", `this worker does not hold handover ${handover}`);
    return this.#tensorsOf(handover);
  }

  /** Drops it here, and in the tab that it was handed to. */
  drop(handover: number): void {
    const held = this.#held.get(handover);
    if (held === undefined) {
      this.#dropped.add(handover);
      setTimeout(() => this.#dropped.delete(handover), ARRIVAL_MS);
      return;
    }
    this.#held.delete(handover);
    held.channel?.postMessage({ handover, dropped: true } satisfies Word);
  }

  #hold(handover: number, held: Held): void {
    this.#held.set(handover, held);
    this.#awaited.get(handover)?.();
  }

  #hear(word: Word): void {
    if ("dropped" in word) this.#held.delete(word.handover);
    else if (!this.#dropped.delete(word.handover)) this.#hold(word.handover, { tensors: word.tensors, channel: null });
  }

  #arrival(handover: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (then: () => void) => {
        clearTimeout(timer);
        this.#awaited.delete(handover);
        then();
      };
      const late = new Failure("no-state", `handover ${handover} has not come from the other tab in ${ARRIVAL_MS} ms`);
      const timer = setTimeout(() => settle(() => reject(late)), ARRIVAL_MS);
      this.#awaited.set(handover, () => settle(resolve));
    });
  }

  #tensorsOf(handover: number): Tensor[] {
    return this.#held.get(handover)!.tensors.map(({ description, bytes }) =>
      viewTensor(bytes.buffer, 0, description)!,
    );
  }
}
