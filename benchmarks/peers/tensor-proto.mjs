// TensorProto and ModelProto files, as far as ONNX's backend tests have them: raw data of fixed-width elements, and texts.
// For Node and for pages.

const DTYPES = {
  1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64",
  8: "string", 9: "bool", 10: "float16", 11: "float64", 12: "uint32", 13: "uint64", 21: "uint4", 22: "int4",
};
const text = (bytes) => new TextDecoder().decode(bytes);

/** Reads `{ name, dtype, dims, bytes, strings }` from a serialized TensorProto with raw data or texts. */
export function readTensor(file) {
  const tensor = { name: "", dtype: undefined, dims: [], bytes: file.subarray(0, 0), strings: [] };
  for (const { field, value } of fields(file)) {
    if (field === 1) tensor.dims.push(...(value instanceof Uint8Array ? packed(value) : [value]));
    else if (field === 2) tensor.dtype = DTYPES[value];
    else if (field === 8) tensor.name = text(value);
    else if (field === 9) tensor.bytes = value;
    else if (field === 6) tensor.strings.push(text(value));
    else if ([4, 5, 7, 10, 11].includes(field)) throw new Error("a tensor without raw data");
  }
  if (tensor.dtype === undefined) throw new Error("a tensor of an element type that the page does not know");
  return tensor;
}

/** Reads the inputs (without those that have an initializer) and outputs of a serialized ModelProto: `{ name, dtype }`, whose
 * dtype is undefined for what is no tensor or of a type that is not known here. */
export function readModel(file) {
  const graph = [...fields(file)].find(({ field }) => field === 7).value;
  const parts = (wanted) => [...fields(graph)].filter(({ field }) => field === wanted).map(({ value }) => value);
  const initialized = new Set(parts(5).map((tensor) => text(only(tensor, 8) ?? tensor.subarray(0, 0))));
  const value = (info) => ({ name: text(only(info, 1) ?? info.subarray(0, 0)), dtype: dtypeOf(only(info, 2)) });
  return { inputs: parts(11).map(value).filter(({ name }) => !initialized.has(name)), outputs: parts(12).map(value) };
}

const only = (message, wanted) => [...fields(message)].find(({ field }) => field === wanted)?.value;
const dtypeOf = (type) => {
  const tensor = type && only(type, 1);
  return tensor && DTYPES[only(tensor, 1)];
};

function* fields(buffer) {
  const reader = { buffer, at: 0 };
  while (reader.at < buffer.length) {
    const tag = varint(reader);
    const field = Math.floor(tag / 8);
    switch (tag % 8) {
      case 0:
        yield { field, value: varint(reader) };
        break;
      case 1:
        reader.at += 8;
        break;
      case 2: {
        const length = varint(reader);
        yield { field, value: buffer.subarray(reader.at, (reader.at += length)) };
        break;
      }
      case 5:
        reader.at += 4;
        break;
      default:
        throw new Error("not a TensorProto");
    }
  }
}

function packed(buffer) {
  const reader = { buffer, at: 0 };
  const values = [];
  while (reader.at < buffer.length) values.push(varint(reader));
  return values;
}

function varint(reader) {
  let value = 0;
  for (let factor = 1; ; factor *= 128) {
    const byte = reader.buffer[reader.at++];
    value += (byte % 128) * factor;
    if (byte < 128) return value;
  }
}
