// The worker of a harness page: one socket to the coordinator, one runtime, requests in order.

import { Connection, type Message } from "./connection.ts";
import { failureOf, Failure, type Loss } from "./failure.ts";
import { watchHeap } from "./heap.ts";
import { Requests } from "./service.ts";
import { newStatus } from "./status.ts";

/** What the page tells its worker first; then it is asked for its status with `null`, and told of meetings. */
export interface Start {
  readonly token: string;
  readonly worker: number;
}

/** A meeting that a worker wants to be at, since only pages can call the broker; and the page's answer. */
export interface Meeting {
  readonly meeting: string;
  /** The way to the broker; null where the browser has none. */
  readonly broker?: MessagePort | null;
}

watchHeap();
const status = newStatus();

// Meetings whose brokers the page has not yet called.
const meetings = new Map<string, (broker: MessagePort | null) => void>();

function meet(name: string): Promise<MessagePort> {
  return new Promise((resolve, reject) => {
    meetings.set(name, (broker) => {
      meetings.delete(name);
      if (broker === null) {
        reject(new Failure("unavailable", "the page cannot have a shared worker"));
        return;
      }
      broker.onmessage = ({ ports }) => {
        broker.close();
        const port = ports[0]!;
        // A greeting each, so that both know that the channel carries.
        port.onmessage = () => resolve(port);
        port.postMessage(null);
      };
      broker.postMessage(name);
    });
    self.postMessage({ meeting: name } satisfies Meeting);
  });
}

function begin({ token, worker }: Start): void {
  const requests = new Requests({
    status,
    worker,
    assets: new URL("/assets/", self.location.origin).href,
    meet,
    defaultRuntime: async () => new (await import("./onnxruntime.ts")).OnnxRuntimeWeb(),
    lost: (what: Loss, message: string, inService: Message | null) => {
      if (inService !== null) connection.send(inService);
      connection.sendLast({ type: "lost", fields: { what, message } });
    },
  });
  const url = new URL(`/socket?token=${encodeURIComponent(token)}`, self.location.origin);
  url.protocol = url.protocol.replace("http", "ws");
  const connection = new Connection(new WebSocket(url), requests);

  // What reaches these was thrown where nobody waits for it: in a thread of the runtime, or in a
  // callback that will never settle its promise. Whoever waits for that would wait for ever.
  self.addEventListener("error", (event) => {
    const { kind, message } = failureOf(event.error ?? event.message);
    requests.lose("worker", new Failure(kind === "error" ? "aborted" : kind, event.message || message, true));
  });
  self.addEventListener("unhandledrejection", (event) => {
    const { kind, message } = failureOf(event.reason);
    requests.lose("worker", new Failure(kind, `unhandled rejection: ${message}`, true));
  });

  self.onmessage = ({ data }: MessageEvent<Meeting | null>) => {
    if (data !== null) {
      meetings.get(data.meeting)?.(data.broker ?? null);
      return;
    }
    status.waiting = connection.waiting;
    status.heapBytes = requests.heapBytes();
    self.postMessage(status);
  };
}

self.onmessage = ({ data }: MessageEvent<Start>) => begin(data);
