// Tensors as they cross the wire: raw little-endian bytes, viewed as typed arrays without a copy.

/** The element types of the protocol. */
export type Dtype =
  | "float32"
  | "float16"
  | "float64"
  | "int8"
  | "int16"
  | "int32"
  | "int64"
  | "uint8"
  | "uint16"
  | "uint32"
  | "uint64"
  | "bool"
  | "string"
  | "int4"
  | "uint4";

/**
 * A tensor's elements. `float16` is a `Float16Array` where the browser has one and a `Uint16Array`
 * of raw bits elsewhere; `bool` is a byte an element; `int4` and `uint4` are packed two a byte, the
 * first in the low half; `string` is an array of strings.
 */
export type TensorData = ArrayBufferView | readonly string[];

/** A named tensor. */
export interface Tensor {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly data: TensorData;
}

/** What a frame's header says of a tensor. */
export interface TensorDescription {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly bytes: number;
}

type ViewConstructor = new (buffer: ArrayBuffer, offset: number, length: number) => ArrayBufferView;

interface Layout {
  readonly bits: number;
  readonly view: ViewConstructor;
}

const float16: ViewConstructor =
  (globalThis as { Float16Array?: ViewConstructor }).Float16Array ?? Uint16Array;

const LAYOUTS: ReadonlyMap<string, Layout> = new Map<string, Layout>([
  ["float32", { bits: 32, view: Float32Array }],
  ["float16", { bits: 16, view: float16 }],
  ["float64", { bits: 64, view: Float64Array }],
  ["int8", { bits: 8, view: Int8Array }],
  ["int16", { bits: 16, view: Int16Array }],
  ["int32", { bits: 32, view: Int32Array }],
  ["int64", { bits: 64, view: BigInt64Array }],
  ["uint8", { bits: 8, view: Uint8Array }],
  ["uint16", { bits: 16, view: Uint16Array }],
  ["uint32", { bits: 32, view: Uint32Array }],
  ["uint64", { bits: 64, view: BigUint64Array }],
  ["bool", { bits: 8, view: Uint8Array }],
  ["int4", { bits: 4, view: Uint8Array }],
  ["uint4", { bits: 4, view: Uint8Array }],
]);

// `ignoreBOM` keeps a byte order mark as the character it is; without it a text would not come back
// as it was sent.
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

/**
 * The reason why a description contradicts itself, or null. The contents of a string tensor are
 * checked by {@link viewTensor}.
 */
export function faultOf(description: unknown): string | null {
  if (typeof description !== "object" || description === null) return "is not an object";
  const { name, dtype, shape, bytes } = description as Partial<TensorDescription>;
  if (typeof name !== "string") return "has no name";
  if (!Array.isArray(shape)) return "has no shape";
  let elements = 1;
  for (const dimension of shape) {
    if (!Number.isSafeInteger(dimension) || dimension < 0) return `has the dimension ${dimension}`;
    elements *= dimension;
  }
  if (!Number.isSafeInteger(bytes) || bytes! < 0) return "has no size in bytes";
  if (dtype === "string") {
    return bytes! >= 4 * (elements + 1) ? null : `has ${bytes} bytes for ${elements} strings`;
  }
  if (!LAYOUTS.has(dtype as string)) return `has the unknown dtype ${dtype}`;
  const expected = bytesFor(dtype as Dtype, elements);
  return bytes === expected ? null : `has ${bytes} bytes where its shape needs ${expected}`;
}

/** The bytes that so many elements of a type other than `string` take. */
export function bytesFor(dtype: Dtype, elements: number): number {
  return Math.ceil((elements * LAYOUTS.get(dtype)!.bits) / 8);
}

/**
 * The tensor that `description` places at `offset` (a multiple of 8) in `buffer`: a view of it, except
 * that strings are decoded. Returns null when a string tensor's offsets or texts are malformed.
 */
export function viewTensor(buffer: ArrayBuffer, offset: number, description: TensorDescription): Tensor | null {
  const { name, dtype, shape, bytes } = description;
  if (dtype === "string") {
    const data = unpackStrings(buffer, offset, bytes, shape.reduce((a, b) => a * b, 1));
    return data && { name, dtype, shape, data };
  }
  const { bits, view } = LAYOUTS.get(dtype)!;
  return { name, dtype, shape, data: new view(buffer, offset, bits < 8 ? bytes : (bytes * 8) / bits) };
}

/** A tensor all of whose bytes are zero: its texts, if it is one of texts, are empty. */
export function zeroTensor(description: TensorDescription): Tensor {
  return viewTensor(new ArrayBuffer(description.bytes), 0, description)!;
}

/** The tensor's bytes as they go over the wire: a view of its data, except that strings are packed. */
export function bytesOf(data: TensorData): Uint8Array {
  if (Array.isArray(data)) return packStrings(data as readonly string[]);
  const { buffer, byteOffset, byteLength } = data as ArrayBufferView;
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function packStrings(texts: readonly string[]): Uint8Array {
  const table = 4 * (texts.length + 1);
  const encoded = texts.map((text) => encoder.encode(text));
  const bytes = new Uint8Array(encoded.reduce((sum, text) => sum + text.length, table));
  const offsets = new DataView(bytes.buffer);
  let end = 0;
  encoded.forEach((text, index) => {
    bytes.set(text, table + end);
    end += text.length;
    offsets.setUint32(4 * (index + 1), end, true);
  });
  return bytes;
}

function unpackStrings(buffer: ArrayBuffer, offset: number, bytes: number, count: number): string[] | null {
  const offsets = new DataView(buffer, offset, 4 * (count + 1));
  const table = 4 * (count + 1);
  const texts = new Uint8Array(buffer, offset + table, bytes - table);
  const strings = new Array<string>(count);
  let start = offsets.getUint32(0, true);
  if (start !== 0) return null;
  for (let index = 0; index < count; index++) {
    const end = offsets.getUint32(4 * (index + 1), true);
    if (end < start || end > texts.length) return null;
    try {
      strings[index] = utf8.decode(texts.subarray(start, end));
    } catch {
      return null;
    }
    start = end;
  }
  return start === texts.length ? strings : null;
}
