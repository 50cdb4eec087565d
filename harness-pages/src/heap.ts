// How much memory the runtime's WebAssembly holds. Emscripten keeps its memory to itself, so memories
// are counted where they are made; WebAssembly memory never shrinks, which is why its size is worth
// watching.

const memories: WebAssembly.Memory[] = [];

/** Starts counting; to be called before a runtime is imported. */
export function watchHeap(): void {
  if (typeof WebAssembly !== "object") return;
  WebAssembly.Memory = class extends WebAssembly.Memory {
    constructor(descriptor: WebAssembly.MemoryDescriptor) {
      super(descriptor);
      memories.push(this);
    }
  };
}

/** The bytes of all WebAssembly memories made since; null when there are none. */
export function heapBytes(): number | null {
  if (memories.length === 0) return null;
  return memories.reduce((sum, { buffer }) => sum + buffer.byteLength, 0);
}
