// The worker's socket: reads frames, serves requests strictly in order and one at a time, answers
// pings at once, and meets other workers meanwhile.

import { failureOf } from "./failure.ts";
import { FrameError, MessageWriter, decodeMessage, packTensor, PROTOCOL_VERSION, type Frame } from "./frames.ts";
import type { Tensor } from "./tensors.ts";

/** The part of a WebSocket that a connection uses. */
export interface Socket {
  binaryType: string;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  send(data: ArrayBufferView<ArrayBuffer>): void;
  close(code: number, reason: string): void;
}

/** A message to the coordinator. */
export interface Message {
  readonly type: string;
  /** The fields of the header besides `v`, `type` and, where there are tensors, `outputs`. */
  readonly fields: Readonly<Record<string, unknown>>;
  readonly outputs?: readonly Tensor[];
}

/** What a connection carries for. */
export interface Service {
  /** The fields of the `hello`. */
  hello(): Record<string, unknown>;
  /** Serves one request; null when it has no reply. Never rejects. */
  serve(request: Frame): Promise<Message | null>;
  /** Meets the worker of another tab, however long that takes; other requests are served meanwhile. Never rejects. */
  meet(request: Frame): Promise<Message>;
  heapBytes(): number | null;
  opened(): void;
  closed(reason: string): void;
}

/** The closing codes of this side. A browser lets a page use 1000 and 3000 to 4999 only, so 4002
 * stands here for 1002. */
export const CLOSE_MALFORMED = 4002;
export const CLOSE_VERSION = 4001;

// How long requests that are already queued are served back to back before the event loop gets a
// turn, so that a ping is seen. A turn costs some ten microseconds.
const TURN_MS = 8;

// A request served within this time is quick: each message costs both sides more than it does.
const QUICK_MS = 0.25;

// A reply that makes a message larger than this is not held.
const HELD_BYTES = 16 << 10;

/** A connection to the coordinator. */
export class Connection {
  readonly #socket: Socket;
  readonly #service: Service;
  readonly #turn: () => Promise<void>;
  readonly #writer = new MessageWriter();
  #queue: Frame[] = [];
  #next = 0;
  #draining = false;
  #turnStarted = 0;
  #open = true;

  /** `turn` gives the event loop a turn. */
  constructor(socket: Socket, service: Service, turn: () => Promise<void> = nextTurn) {
    this.#socket = socket;
    this.#service = service;
    this.#turn = turn;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.send({ type: "hello", fields: service.hello() });
      service.opened();
    };
    socket.onmessage = ({ data }: { data: unknown }) => this.#receive(data);
    socket.onclose = ({ code, reason }: { code: number; reason: string }) => {
      this.#stop();
      service.closed(reason || `closed with code ${code}`);
    };
  }

  /** Requests received and not yet being served. */
  get waiting(): number {
    return this.#queue.length - this.#next;
  }

  /** Sends a message, and the replies that were held before it, unless the connection has ended. */
  send(message: Message): void {
    if (!this.#open) return;
    this.#write(message);
    this.#flush();
  }

  #write({ type, fields, outputs }: Message): void {
    if (outputs === undefined) {
      this.#writer.add({ v: PROTOCOL_VERSION, type, ...fields }, []);
      return;
    }
    const packed = outputs.map(packTensor);
    const header = { v: PROTOCOL_VERSION, type, ...fields, outputs: packed.map(({ description }) => description) };
    this.#writer.add(header, packed);
  }

  #flush(): void {
    if (this.#writer.frames > 0) this.#socket.send(this.#writer.take());
  }

  /** Sends a last message; nothing is sent or served after it. The socket stays for the coordinator
   * to close. */
  sendLast(message: Message): void {
    this.send(message);
    this.#stop();
  }

  #stop(): void {
    this.#open = false;
    this.#queue = [];
    this.#next = 0;
  }

  #receive(data: unknown): void {
    if (!this.#open) return;
    this.#turnStarted = performance.now();
    if (!(data instanceof ArrayBuffer)) {
      this.#refuse(CLOSE_MALFORMED, "a text message");
      return;
    }
    let frames: Frame[];
    try {
      frames = decodeMessage(data);
    } catch (cause) {
      if (!(cause instanceof FrameError)) throw cause;
      this.#refuse(cause.fault === "version" ? CLOSE_VERSION : CLOSE_MALFORMED, cause.message);
      return;
    }
    for (const frame of frames) {
      if (frame.header.type === "ping") {
        this.send({ type: "pong", fields: { id: frame.header["id"], heap_bytes: this.#service.heapBytes() } });
      } else if (frame.header.type === "meet") {
        void this.#service.meet(frame).then((reply) => this.send(reply));
      } else {
        if (frame.header.type === "start") this.#writer.limit(frame.header["max_frame_bytes"] as number);
        this.#queue.push(frame);
      }
    }
    if (!this.#draining) void this.#drain();
  }

  async #drain(): Promise<void> {
    this.#draining = true;
    while (this.#next < this.#queue.length) {
      const request = this.#queue[this.#next++]!;
      if (this.#next === this.#queue.length) {
        this.#queue.length = 0;
        this.#next = 0;
      }
      const started = performance.now();
      const reply = await this.#service.serve(request);
      if (reply !== null) this.#reply(reply, this.#isQuick(request, performance.now() - started));
      if (this.#next < this.#queue.length && performance.now() - this.#turnStarted > TURN_MS) {
        await this.#turn();
        this.#turnStarted = performance.now();
      }
    }
    this.#draining = false;
  }

  // Whether the next reply is so near that this one can go in the same message: the same model is
  // run next. Half of what is under way is sent before the other half is done, so that the
  // coordinator has the time to send more.
  #isQuick({ header }: Frame, ms: number): boolean {
    const next = this.#queue[this.#next]?.header;
    return ms <= QUICK_MS && this.#writer.frames + 1 < this.waiting && next?.type === "run" && header.type === "run"
      && next["model"] === header["model"];
  }

  // A result can be too large to be sent; its request has to be answered all the same.
  #reply(reply: Message, held: boolean): void {
    if (!this.#open) return;
    try {
      this.#write(reply);
    } catch (cause) {
      const { kind, message } = failureOf(cause);
      const { id, load } = reply.fields;
      this.#write({ type: "failed", fields: { id, stage: "run", kind, message: `the result cannot be sent: ${message}; ask for fewer outputs, or have the fleet take larger messages`, load: load ?? null } });
    }
    if (!held || this.#writer.bytes > HELD_BYTES) this.#flush();
  }

  #refuse(code: number, why: string): void {
    this.#stop();
    this.#socket.close(code, closeReason(why));
    this.#service.closed(why);
  }
}

// A close reason holds 123 bytes at the most.
function closeReason(why: string): string {
  const ascii = why.replace(/[^\x20-\x7e]/g, "?");
  return ascii.length <= 123 ? ascii : `${ascii.slice(0, 120)}...`;
}

const turns = new MessageChannel();

// A message to oneself is a turn of the event loop without the four milliseconds that nested timers
// are held back.
function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    turns.port1.onmessage = () => {
      turns.port1.onmessage = null;
      resolve();
    };
    turns.port2.postMessage(null);
  });
}
