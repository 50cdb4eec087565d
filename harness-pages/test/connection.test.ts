import assert from "node:assert/strict";
import { test } from "node:test";

import { CLOSE_MALFORMED, CLOSE_VERSION, Connection, type Message, type Service, type Socket } from "../src/connection.ts";
import { decodeMessage, MessageWriter, packTensor, type Frame, type Header, type PackedTensor } from "../src/frames.ts";

class FakeSocket implements Socket {
  binaryType = "blob";
  onopen: ((event: never) => void) | null = null;
  onmessage: ((event: never) => void) | null = null;
  onclose: ((event: never) => void) | null = null;
  readonly sent: Frame[] = [];
  /** How many frames each message had. */
  readonly messages: number[] = [];
  closed: [number, string] | null = null;

  send(data: ArrayBufferView<ArrayBuffer>): void {
    const { buffer, byteOffset, byteLength } = data;
    const frames = decodeMessage(buffer.slice(byteOffset, byteOffset + byteLength));
    this.sent.push(...frames);
    this.messages.push(frames.length);
  }

  close(code: number, reason: string): void {
    this.closed = [code, reason];
  }

  deliver(data: unknown): void {
    this.onmessage!({ data } as never);
  }

  request(header: Record<string, unknown>): void {
    this.deliver(frame({ v: 1, ...header } as Header));
  }

  get replies(): unknown[] {
    return this.sent.map(({ header }) => `${header.type} ${header["id"]}`);
  }
}

function frame(header: Header): ArrayBuffer {
  return message([header, []]);
}

function message(...frames: [Header, PackedTensor[]][]): ArrayBuffer {
  const writer = new MessageWriter();
  for (const [header, tensors] of frames) writer.add(header, tensors);
  return new Uint8Array(writer.take()).buffer;
}

// Node hands out a channel's messages in batches, which is no turn for anything else.
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

const meets = async ({ header }: Frame): Promise<Message> => ({ type: "met", fields: { id: header["id"] } });

/** A service whose requests end when the test says so. */
class Held implements Service {
  readonly started: unknown[] = [];
  readonly ends: string[] = [];
  readonly #held: (() => void)[] = [];

  hello = () => ({ worker: 1 });
  heapBytes = () => null;
  meet = meets;
  opened = () => {};
  closed = (reason: string) => void this.ends.push(reason);

  serve({ header }: Frame): Promise<Message | null> {
    this.started.push(header["id"] ?? header.type);
    const reply = header.type === "model" ? null : { type: "released", fields: { id: header["id"] } };
    return new Promise((resolve) => this.#held.push(() => resolve(reply)));
  }

  /** Ends the request being served, once there is one. */
  async finish(): Promise<void> {
    while (this.#held.length === 0) {
      assert.deepEqual(this.ends, [], "nothing is served any more");
      await turn();
    }
    this.#held.shift()!();
    await turn();
  }
}

function connect(service: Service) {
  const socket = new FakeSocket();
  return { socket, connection: new Connection(socket, service, turn) };
}

test("says hello first", () => {
  const { socket } = connect(new Held());
  socket.onopen!({} as never);
  assert.equal(socket.binaryType, "arraybuffer");
  assert.deepEqual(socket.sent[0]!.header, { v: 1, type: "hello", worker: 1 });
});

test("serves requests one at a time, in the order in which they came", async () => {
  const service = new Held();
  const { socket, connection } = connect(service);
  for (const id of [3, 1, 2]) socket.request({ type: "release", id });
  assert.deepEqual(service.started, [3]);
  assert.equal(connection.waiting, 2);
  await service.finish();
  await service.finish();
  assert.deepEqual(service.started.slice(0, 2), [3, 1]);
  await service.finish();
  assert.deepEqual(socket.replies, ["released 3", "released 1", "released 2"]);
  assert.equal(connection.waiting, 0);
});

test("a declaration keeps its place and has no reply", async () => {
  const service = new Held();
  const { socket } = connect(service);
  socket.request({ type: "release", id: 1 });
  socket.request({ type: "model", model: "m" });
  socket.request({ type: "release", id: 2 });
  for (let step = 0; step < 3; step++) await service.finish();
  assert.deepEqual(service.started, [1, "model", 2]);
  assert.deepEqual(socket.replies, ["released 1", "released 2"]);
});

test("answers a ping while a request is being served", () => {
  const { socket } = connect(new Held());
  socket.request({ type: "release", id: 1 });
  socket.request({ type: "ping", id: 2 });
  assert.deepEqual(socket.replies, ["pong 2"]);
});

test("a meeting holds up nobody, and is answered when it has come about", async () => {
  let come = () => {};
  const meeting = new Promise<void>((resolve) => (come = resolve));
  const service = new Held();
  service.meet = async ({ header }) => {
    await meeting;
    return { type: "met", fields: { id: header["id"] } };
  };
  const { socket } = connect(service);
  socket.request({ type: "meet", id: 1, peer: 2, name: "1-2" });
  socket.request({ type: "release", id: 2 });
  await service.finish();
  assert.deepEqual(socket.replies, ["released 2"]);
  come();
  await turn();
  assert.deepEqual(socket.replies, ["released 2", "met 1"]);
});

test("sees a ping in the midst of many requests that never leave the event loop a turn", async () => {
  const { socket } = connect({
    hello: () => ({}),
    heapBytes: () => null,
    meet: meets,
    opened: () => {},
    closed: () => {},
    serve: async ({ header }) => {
      for (const from = performance.now(); performance.now() - from < 5; );
      return { type: "released", fields: { id: header["id"] } };
    },
  });
  // The first is being served when the others come, so that they queue.
  for (let id = 1; id <= 20; id++) socket.request({ type: "release", id });
  setImmediate(() => socket.request({ type: "ping", id: 99 }));
  while (socket.sent.length < 21) await new Promise((resolve) => setImmediate(resolve));
  assert.ok(socket.replies.indexOf("pong 99") < 10, String(socket.replies));
});

const runs = (count: number) =>
  message(...Array.from({ length: count }, (_, id): [Header, PackedTensor[]] => [{ v: 1, type: "run", id, model: "m", inputs: [] }, []]));

/** A service whose runs take so long. */
const taking = (ms: number): Service => ({
  hello: () => ({}),
  heapBytes: () => null,
  meet: meets,
  opened: () => {},
  closed: () => {},
  serve: async ({ header }) => {
    for (const from = performance.now(); performance.now() - from < ms; );
    return { type: "result", fields: { id: header["id"] }, outputs: [] };
  },
});

test("answers of quick runs share messages, and are in order", async () => {
  const { socket } = connect(taking(0));
  socket.deliver(runs(8));
  while (socket.sent.length < 8) await turn();
  assert.deepEqual(socket.replies, Array.from({ length: 8 }, (_, id) => `result ${id}`));
  assert.ok(socket.messages.length < 8, String(socket.messages));
});

test("an answer does not wait for a run that may take long, nor for another model's", async () => {
  const { socket } = connect(taking(1));
  socket.deliver(runs(4));
  while (socket.sent.length < 4) await turn();
  assert.deepEqual(socket.messages, [1, 1, 1, 1]);

  const other = connect(taking(0)).socket;
  other.deliver(message([{ v: 1, type: "run", id: 1, model: "m", inputs: [] }, []], [{ v: 1, type: "load", id: 2, model: "n" }, []],
    [{ v: 1, type: "run", id: 3, model: "n", inputs: [] }, []]));
  while (other.sent.length < 3) await turn();
  assert.deepEqual(other.messages, [1, 1, 1]);
});

test("a ping among bundled requests is answered before them", () => {
  const { socket } = connect(new Held());
  socket.deliver(message([{ v: 1, type: "release", id: 1 }, []], [{ v: 1, type: "ping", id: 2 }, []]));
  assert.deepEqual(socket.replies, ["pong 2"]);
});

test("closes with 4002 on what is no frame, and serves nothing more", () => {
  for (const data of ["text", new ArrayBuffer(2), new ArrayBuffer(0)]) {
    const service = new Held();
    const { socket } = connect(service);
    socket.deliver(data);
    socket.request({ type: "release", id: 1 });
    assert.equal(socket.closed![0], CLOSE_MALFORMED);
    assert.deepEqual(service.started, []);
    assert.equal(service.ends.length, 1);
  }
});

test("closes with 4001 on another version, naming both", () => {
  const { socket } = connect(new Held());
  socket.deliver(frame({ v: 7, type: "ping", id: 1 }));
  const [code, reason] = socket.closed!;
  assert.equal(code, CLOSE_VERSION);
  assert.match(reason, /version 1 .*version 7/);
});

test("a close reason fits into the 123 bytes that a close frame has", () => {
  const { socket } = connect(new Held());
  const packed = packTensor({ name: "x", dtype: "uint8", shape: [1], data: Uint8Array.of(1) });
  const description = { ...packed.description, dtype: "ü".repeat(500) };
  const bytes = message([{ v: 1, type: "run", inputs: [description] }, [packed]]);
  socket.deliver(new Uint8Array(bytes).buffer);
  assert.ok(Buffer.byteLength(socket.closed![1]) <= 123);
});

test("sends nothing after its last message, not even the reply under way", async () => {
  const service = new Held();
  const { socket, connection } = connect(service);
  socket.request({ type: "release", id: 1 });
  socket.request({ type: "release", id: 2 });
  connection.sendLast({ type: "lost", fields: { what: "worker", message: "" } });
  await service.finish();
  socket.request({ type: "ping", id: 3 });
  assert.deepEqual(service.started, [1]);
  assert.deepEqual(socket.sent.map(({ header }) => header.type), ["lost"]);
});

test("answers a request whose result is larger than the coordinator takes", async () => {
  const output = { name: "y", dtype: "uint8" as const, shape: [4096], data: new Uint8Array(4096) };
  const { socket } = connect({
    hello: () => ({}), heapBytes: () => null, meet: meets, opened: () => {}, closed: () => {},
    serve: async ({ header }) => header.type === "start"
      ? { type: "ready", fields: { id: header["id"] } }
      : { type: "result", fields: { id: header["id"], load: null }, outputs: [output] },
  });
  for (const [id, bytes] of [[1, 4096], [3, 8192]] as const) {
    socket.request({ type: "start", id, max_frame_bytes: bytes });
    socket.request({ type: "run", id: id + 1, inputs: [] });
    await turn();
    await turn();
  }
  assert.deepEqual(socket.replies, ["ready 1", "failed 2", "ready 3", "result 4"]);
  const { stage, kind, message } = socket.sent[1]!.header;
  assert.deepEqual({ stage, kind }, { stage: "run", kind: "invalid" });
  assert.match(message as string, /4096 at the most/);
  assert.equal(socket.closed, null);
});

test("answers a request whose result is too large to be sent", async () => {
  const output = {
    name: "y",
    dtype: "uint8" as const,
    shape: [1],
    get data(): Uint8Array {
      throw new RangeError("Array buffer allocation failed");
    },
  };
  const reply = { type: "result", fields: { id: 1, load: null }, outputs: [output] };
  const { socket } = connect({
    hello: () => ({}), heapBytes: () => null, meet: meets, opened: () => {}, closed: () => {}, serve: async () => reply,
  });
  socket.request({ type: "run", id: 1, inputs: [] });
  await new Promise((resolve) => setImmediate(resolve));
  const { type, id, kind } = socket.sent[0]!.header;
  assert.deepEqual({ type, id, kind }, { type: "failed", id: 1, kind: "out-of-memory" });
});
