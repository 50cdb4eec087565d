// The worker of a harness page: one socket to the coordinator, one runtime, requests in order.

import { Connection, type Message } from "./connection.ts";
import { failureOf, Failure, type Loss } from "./failure.ts";
import { watchHeap } from "./heap.ts";
import { Requests } from "./service.ts";
import { newStatus } from "./status.ts";

/** What the page tells its worker: first this, then `null` whenever it wants the status. */
export interface Start {
  readonly token: string;
  readonly worker: number;
}

watchHeap();
const status = newStatus();

function begin({ token, worker }: Start): void {
  const requests = new Requests({
    status,
    worker,
    assets: new URL("/assets/", self.location.origin).href,
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

  self.onmessage = () => {
    status.waiting = connection.waiting;
    status.heapBytes = requests.heapBytes();
    self.postMessage(status);
  };
}

self.onmessage = ({ data }: MessageEvent<Start>) => begin(data);
