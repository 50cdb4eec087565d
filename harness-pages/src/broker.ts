// The shared worker of a browser's tabs. Workers that name the same meeting are given the ends of one channel.
//
// It stays for as long as a page does that called it: in Chromium a channel is lost whose maker ends before
// both ends have settled in their processes.

const waiting = new Map<string, MessagePort>();

(self as unknown as { onconnect: (event: MessageEvent) => void }).onconnect = ({ ports: [guest] }) => {
  guest!.onmessage = ({ data: meeting }: MessageEvent<string>) => {
    const other = waiting.get(meeting);
    if (other === undefined) {
      waiting.set(meeting, guest!);
      return;
    }
    waiting.delete(meeting);
    const { port1, port2 } = new MessageChannel();
    guest!.postMessage(null, [port1]);
    other.postMessage(null, [port2]);
  };
};

export {};
