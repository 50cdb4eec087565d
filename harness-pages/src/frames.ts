// Frames: one binary WebSocket message each (PROTOCOL.md, "Frames").

import { Failure } from "./failure.ts";
import { bytesOf, faultOf, viewTensor, type Tensor, type TensorDescription } from "./tensors.ts";

/** The version of the protocol that this page speaks. */
export const PROTOCOL_VERSION = 1;

/** What is wrong with a frame; the names are those of the golden frames. */
export type FrameFault = "header-length" | "header" | "version" | "tensor" | "short" | "long";

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
const TENSOR_FIELD: Readonly<Record<string, string>> = { run: "inputs", result: "outputs" };

const NO_TENSORS: readonly Tensor[] = [];
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

const aligned = (offset: number): number => Math.ceil(offset / 8) * 8;

/**
 * Reads one message.
 *
 * @throws {FrameError} when the message is not a frame of this version.
 */
export function decodeFrame(message: ArrayBuffer): Frame {
  const size = message.byteLength;
  if (size < 4) throw new FrameError("header-length", `a message of ${size} bytes has no header length`);
  const headerEnd = 4 + new DataView(message).getUint32(0, true);
  if (headerEnd > size) {
    throw new FrameError("header-length", `a header that ends at ${headerEnd} in a message of ${size} bytes`);
  }
  const header = decodeHeader(new Uint8Array(message, 4, headerEnd - 4));
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
  if (size < end) throw new FrameError("short", `a message of ${size} bytes whose header says ${end}`);
  if (size > end) throw new FrameError("long", `a message of ${size} bytes whose header says ${end}`);
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
 * Writes frames into a buffer that it reuses: what {@link encode} returns is valid until the next
 * call. `WebSocket.send` copies what it is given, so a frame costs one copy of each tensor and, for
 * small frames, no allocation.
 */
export class FrameWriter {
  #buffer = new Uint8Array(64 << 10);

  /**
   * The bytes of a frame; `header` must already describe `tensors`.
   *
   * @throws {Failure} of kind `out-of-memory` when the frame is larger than can be sent.
   */
  encode(header: Header, tensors: readonly PackedTensor[]): Uint8Array<ArrayBuffer> {
    const json = JSON.stringify(header);
    // A UTF-16 unit becomes three bytes of UTF-8 at the most.
    let bound = aligned(4 + 3 * json.length);
    for (const tensor of tensors) bound = aligned(bound + tensor.bytes.length);
    if (bound > LARGEST_FRAME) {
      throw new Failure("out-of-memory", `a frame of ${bound} bytes, where ${LARGEST_FRAME} can be sent`);
    }
    const buffer = this.#reserve(bound);

    const written = encoder.encodeInto(json, buffer.subarray(4, 4 + 3 * json.length)).written;
    buffer[0] = written;
    buffer[1] = written >>> 8;
    buffer[2] = written >>> 16;
    buffer[3] = written >>> 24;
    let end = 4 + written;
    if (tensors.length === 0) end = pad(buffer, end);
    for (const tensor of tensors) {
      end = pad(buffer, end);
      buffer.set(tensor.bytes, end);
      end += tensor.bytes.length;
    }
    return buffer.subarray(0, end);
  }

  #reserve(bytes: number): Uint8Array<ArrayBuffer> {
    if (bytes <= this.#buffer.length) return this.#buffer;
    const buffer = new Uint8Array(bytes <= KEPT_BYTES ? Math.max(bytes, 2 * this.#buffer.length) : bytes);
    if (bytes <= KEPT_BYTES) this.#buffer = buffer;
    return buffer;
  }
}

function pad(buffer: Uint8Array, from: number): number {
  const to = aligned(from);
  for (let index = from; index < to; index++) buffer[index] = 0;
  return to;
}
