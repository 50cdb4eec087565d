// TensorProto files, as far as ONNX's backend tests have them: raw data of fixed-width elements.

const DTYPES = {
  1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64",
  9: "bool", 10: "float16", 11: "float64", 12: "uint32", 13: "uint64",
};

/** Reads `{ name, dtype, dims, bytes }` from a serialized TensorProto with raw data. */
export function readTensor(file) {
  const tensor = { name: "", dtype: undefined, dims: [], bytes: Buffer.alloc(0) };
  for (const { field, value } of fields(file)) {
    if (field === 1) tensor.dims.push(...(Buffer.isBuffer(value) ? packed(value) : [value]));
    else if (field === 2) tensor.dtype = DTYPES[value];
    else if (field === 8) tensor.name = value.toString();
    else if (field === 9) tensor.bytes = value;
    else if ([4, 5, 6, 7, 10, 11].includes(field)) throw new Error("a tensor without raw data");
  }
  if (tensor.dtype === undefined) throw new Error("a tensor of an element type that the page does not know");
  return tensor;
}

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
