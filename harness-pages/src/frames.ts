// Frames, one or several in a binary WebSocket message (PROTOCOL.md, "Frames").

import { Failure } from "./failure.ts";
import { bytesOf, faultOf, viewTensor, type Tensor, type TensorDescription } from "./tensors.ts";

/** The version of the protocol that this page speaks. */
export const PROTOCOL_VERSION = 1;

/** What is wrong with a frame; the names are those of the golden frames. */
export type FrameFault = "header-length" | "header" | "version" | "tensor" | "short" | "long" | "bundle";

/** A frame that cannot be read. The connection that carried it is of no more use. */
export class FrameError extends Error {
  constructor(
    readonly fault: FrameFault,
    message: string,
  ) {
    super(message);
    this.name = "FrameError";
  }
}

/** A frame's header: `v`, `type` and the fields of its type. */
export interface Header {
  readonly v: number;
  readonly type: string;
  readonly [field: string]: unknown;
}

/** A frame that has been read; its tensors view the message they came in. */
export interface Frame {
  readonly header: Header;
  readonly tensors: readonly Tensor[];
}

// Which field of a header describes the tensors that follow it.
const TENSOR_FIELD: Readonly<Record<string, string>> = { run: "inputs", result: "outputs", fetched: "outputs" };

// What a bundle of frames starts with, where a frame has the length of its header.
const BUNDLE_MARK = 0;

const NO_TENSORS: readonly Tensor[] = [];
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

const aligned = (offset: number): number => Math.ceil(offset / 8) * 8;

/**
 * Reads the frames of one message, in their order.
 *
 * @throws {FrameError} when it is none, or one of several is not a frame of this version.
 */
export function decodeMessage(message: ArrayBuffer): Frame[] {
  const view = new DataView(message);
  const size = message.byteLength;
  if (size < 4 || view.getUint32(0, true) !== BUNDLE_MARK) return [decodeFrame(message, 0, size)];
  const frames: Frame[] = [];
  for (let at = 8; at < size; ) {
    const start = at + 8;
    const end = start > size ? Infinity : start + view.getUint32(at, true);
    if (end > size) throw new FrameError("bundle", `a bundle that ends within its frame ${frames.length + 1}`);
    frames.push(decodeFrame(message, start, end));
    at = aligned(end);
  }
  if (frames.length === 0) throw new FrameError("bundle", "a bundle without a frame");
  return frames;
}

/** Reads the frame that lies from `start`, a multiple of 8, to `size` in the message. */
function decodeFrame(message: ArrayBuffer, start: number, size: number): Frame {
  if (size < start + 4) throw new FrameError("header-length", `a frame of ${size - start} bytes has no header length`);
  const headerEnd = start + 4 + new DataView(message).getUint32(start, true);
  if (headerEnd > size) {
    throw new FrameError("header-length", `a header of ${headerEnd - start} bytes in a frame of ${size - start}`);
  }
  const header = decodeHeader(new Uint8Array(message, start + 4, headerEnd - start - 4));
  const field = TENSOR_FIELD[header.type];
  if (field === undefined) {
    checkEnd(size, aligned(headerEnd));
    return { header, tensors: NO_TENSORS };
  }

  const descriptions = header[field];
  if (!Array.isArray(descriptions)) throw new FrameError("tensor", `${header.type} without ${field}`);
  const offsets = new Array<number>(descriptions.length);
  let end = headerEnd;
  for (let index = 0; index < descriptions.length; index++) {
    const fault = faultOf(descriptions[index]);
    if (fault !== null) throw new FrameError("tensor", `tensor ${index} ${fault}`);
    offsets[index] = aligned(end);
    end = offsets[index]! + (descriptions[index] as TensorDescription).bytes;
  }
  checkEnd(size, descriptions.length === 0 ? aligned(headerEnd) : end);

  const tensors = new Array<Tensor>(descriptions.length);
  for (let index = 0; index < descriptions.length; index++) {
    const tensor = viewTensor(message, offsets[index]!, descriptions[index] as TensorDescription);
    if (tensor === null) throw new FrameError("tensor", `tensor ${index} has malformed strings`);
    tensors[index] = tensor;
  }
  return { header, tensors };
}

function decodeHeader(bytes: Uint8Array): Header {
  let header: unknown;
  try {
    header = JSON.parse(utf8.decode(bytes));
  } catch (cause) {
    throw new FrameError("header", `a header that is not JSON: ${(cause as Error).message}`);
  }
  if (typeof header !== "object" || header === null || Array.isArray(header)) {
    throw new FrameError("header", "a header that is not an object");
  }
  const { v, type } = header as Partial<Header>;
  if (v !== PROTOCOL_VERSION) {
    throw new FrameError(
      "version",
      `the page speaks version ${PROTOCOL_VERSION} of the protocol, the coordinator version ${v}`,
    );
  }
  if (typeof type !== "string") throw new FrameError("header", "a header without a type");
  return header as Header;
}

function checkEnd(size: number, end: number): void {
  if (size < end) throw new FrameError("short", `a frame that ends at ${size} and whose header says ${end}`);
  if (size > end) throw new FrameError("long", `a frame that ends at ${size} and whose header says ${end}`);
}

/** A tensor ready to be sent: what the header says of it, and its bytes. */
export interface PackedTensor {
  readonly description: TensorDescription;
  readonly bytes: Uint8Array;
}

/** Packs a tensor for sending; numbers are viewed, strings are copied. */
export function packTensor({ name, dtype, shape, data }: Tensor): PackedTensor {
  const bytes = bytesOf(data);
  return { description: { name, dtype, shape, bytes: bytes.length }, bytes };
}

// A frame buffer up to this size is kept for the next frame; a larger one is given back, so that one
// huge result does not hold its memory for the life of the worker.
const KEPT_BYTES = 16 << 20;

// Browsers refuse views and messages beyond two gigabytes in ways of their own; this refuses first.
const LARGEST_FRAME = 2 ** 31 - 1;

/**
 * Writes messages into a buffer that it reuses: what {@link take} returns is valid until the next
 * {@link add}. `WebSocket.send` copies what it is given, so a frame costs one copy of each tensor
 * and, for small frames, no allocation.
 */
export class MessageWriter {
  #buffer = new Uint8Array(64 << 10);
  #end = 0;
  #frames = 0;
  #largest = LARGEST_FRAME;

  /** How many frames the message has so far. */
  get frames(): number {
    return this.#frames;
  }

  /** How many bytes the message has so far. */
  get bytes(): number {
    return this.#end;
  }

  /** From now on the coordinator takes no larger message than this. */
  limit(bytes: number): void {
    this.#largest = Math.min(bytes, LARGEST_FRAME);
  }

  /**
   * Adds a frame to the message; `header` must already describe `tensors`.
   *
   * @throws {Failure} of kind `invalid` when the message would be larger than can be sent; it is then
   * as it was.
   */
  add(header: Header, tensors: readonly PackedTensor[]): void {
    const json = JSON.stringify(header);
    // What marks a bundle lies before its first frame, and is left out where there is but one.
    const at = this.#frames === 0 ? 8 : aligned(this.#end);
    const start = at + 8;
    // A UTF-16 unit becomes three bytes of UTF-8 at the most.
    let bound = aligned(start + 4 + 3 * json.length);
    for (const tensor of tensors) bound = aligned(bound + tensor.bytes.length);
    if (bound > this.#largest) {
      throw new Failure("invalid", `it takes up to ${bound} bytes, and a message ${this.#largest} at the most`);
    }
    const buffer = this.#reserve(bound);

    const written = encoder.encodeInto(json, buffer.subarray(start + 4, start + 4 + 3 * json.length)).written;
    writeU32(buffer, start, written);
    let end = start + 4 + written;
    if (tensors.length === 0) end = pad(buffer, end);
    for (const tensor of tensors) {
      end = pad(buffer, end);
      buffer.set(tensor.bytes, end);
      end += tensor.bytes.length;
    }
    buffer.fill(0, this.#end, at);
    writeU32(buffer, at, end - start);
    writeU32(buffer, at + 4, 0);
    this.#end = end;
    this.#frames += 1;
  }

  /** The message of the frames added since the last one, of which there is at least one. */
  take(): Uint8Array<ArrayBuffer> {
    const message = this.#buffer.subarray(this.#frames === 1 ? 16 : 0, this.#end);
    if (this.#buffer.length > KEPT_BYTES) this.#buffer = new Uint8Array(64 << 10);
    this.#frames = 0;
    this.#end = 0;
    return message;
  }

  #reserve(bytes: number): Uint8Array<ArrayBuffer> {
    if (bytes <= this.#buffer.length) return this.#buffer;
    const buffer = new Uint8Array(bytes <= KEPT_BYTES ? Math.max(bytes, 2 * this.#buffer.length) : bytes);
    buffer.set(this.#buffer.subarray(0, this.#end));
    this.#buffer = buffer;
    return buffer;
  }
}

function writeU32(buffer: Uint8Array, at: number, value: number): void {
  buffer[at] = value;
  buffer[at + 1] = value >>> 8;
  buffer[at + 2] = value >>> 16;
  buffer[at + 3] = value >>> 24;
}

function pad(buffer: Uint8Array, from: number): number {
  const to = aligned(from);
  for (let index = from; index < to; index++) buffer[index] = 0;
  return to;
}
