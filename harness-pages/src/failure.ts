// What goes wrong in a worker, typed where it is first seen.

/** The kinds of failure that the protocol tells. */
export type FailureKind = "unavailable" | "invalid" | "no-state" | "out-of-memory" | "device-lost" | "aborted" | "error";

/** The part of a request's service in which it failed. */
export type Stage = "start" | "download" | "load" | "run" | "protocol";

/** What can be lost with the worker left standing. */
export type Loss = "webgpu-device" | "webnn-context" | "worker";

/**
 * A failure of known kind. `fatal` means that the runtime cannot be used again, so that the worker
 * has to be replaced.
 */
export class Failure extends Error {
  constructor(
    readonly kind: FailureKind,
    message: string,
    readonly fatal = false,
  ) {
    super(message);
    this.name = "Failure";
  }
}

// Browsers and Emscripten tell that memory ran out only in words; ONNX Runtime tells a tensor larger
// than the address space as an integer overflow.
const NO_MEMORY = /out of memory|SafeIntOnOverflow|\bOOM\b|bad_alloc|alloc\w* fail|fail\w* to alloc|could not alloc|can't alloc|cannot enlarge memory|invalid (typed )?array( buffer)? length|array buffer allocation/i;
const ABORTED = /^Aborted\(|\bunreachable\b|memory access out of bounds|index out of bounds|table index is out of bounds/;
const DEVICE_LOST = /\bdevice\b.{0,24}\blost\b|\blost\b.{0,16}\bdevice\b|context (is|was) lost/i;

/** The failure that a thrown value stands for. A value that says nothing of its kind is an `error`. */
export function failureOf(thrown: unknown): Failure {
  if (thrown instanceof Failure) return thrown;
  const message = messageOf(thrown);
  const told = (thrown as { kind?: unknown; fatal?: unknown } | null)?.kind;
  if (isKind(told)) return new Failure(told, message, (thrown as { fatal?: unknown }).fatal === true);
  const trapped =
    (typeof WebAssembly !== "undefined" && thrown instanceof WebAssembly.RuntimeError) || ABORTED.test(message);
  if (NO_MEMORY.test(message)) return new Failure("out-of-memory", message, trapped);
  if (trapped) return new Failure("aborted", message, true);
  if (DEVICE_LOST.test(message)) return new Failure("device-lost", message);
  return new Failure("error", message);
}

// `no-state` is not among them: what a session has kept is not a runtime's to know.
const KINDS: readonly string[] = ["unavailable", "invalid", "out-of-memory", "device-lost", "aborted", "error"] satisfies FailureKind[];

// A runtime module of a user's own throws any error with such a `kind`; it cannot import ours.
function isKind(value: unknown): value is FailureKind {
  return typeof value === "string" && KINDS.includes(value);
}

/** A thrown value in words. */
export function messageOf(thrown: unknown): string {
  if (thrown instanceof Error) {
    return thrown.name === "Error" || thrown.message.startsWith(thrown.name)
      ? thrown.message
      : `${thrown.name}: ${thrown.message}`;
  }
  // ONNX Runtime's C++ throws pointers where exceptions are compiled in without their texts.
  if (typeof thrown === "number") return `an exception of the runtime at address ${thrown}`;
  return String(thrown);
}
