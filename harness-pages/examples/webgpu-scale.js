// A runtime module of one's own: plain WebGPU compute, without ONNX Runtime.
//
// A "model" is a small JSON file, {"op": "scale", "factor": 2}; it multiplies its float32 input x by the
// factor into its output y. See RUNTIMES.md.

const WORKGROUP = 64;

const SHADER = `
  struct Parameters { factor: f32, count: u32, width: u32 }
  @group(0) @binding(0) var<uniform> parameters: Parameters;
  @group(0) @binding(1) var<storage, read> x: array<f32>;
  @group(0) @binding(2) var<storage, read_write> y: array<f32>;

  @compute @workgroup_size(${WORKGROUP})
  fn scale(@builtin(global_invocation_id) id: vec3u) {
    let i = id.y * parameters.width + id.x;
    if (i < parameters.count) { y[i] = parameters.factor * x[i]; }
  }
`;

// An error with a `kind` is told to the fleet as that kind.
const failure = (kind, message) => Object.assign(new Error(message), { kind });

class WebgpuScale {
  name = "webgpu-scale";
  version = "1.0.0";

  async start({ backend, onLost }) {
    if (backend !== "webgpu") throw failure("unavailable", `webgpu-scale runs on webgpu, not on ${backend}`);
    const adapter = await navigator.gpu?.requestAdapter();
    if (!adapter) throw failure("unavailable", "the browser offers no WebGPU adapter");
    this.device = await adapter.requestDevice({
      requiredLimits: { maxStorageBufferBindingSize: adapter.limits.maxStorageBufferBindingSize },
    });
    this.device.lost.then(({ message }) => onLost("webgpu-device", message));
    const module = this.device.createShaderModule({ code: SHADER });
    this.pipeline = await this.device.createComputePipelineAsync({
      layout: "auto",
      compute: { module, entryPoint: "scale" },
    });
    const { vendor, architecture, device, description, isFallbackAdapter } = adapter.info;
    const software = isFallbackAdapter || /swiftshader|llvmpipe|lavapipe|software/i.test(`${architecture} ${description}`);
    return { adapter: { vendor, architecture, device, description, software }, webnnDevice: null, threads: null };
  }

  async load([model]) {
    const started = performance.now();
    let said;
    try {
      said = JSON.parse(new TextDecoder().decode(model.bytes));
    } catch (cause) {
      throw failure("invalid", `${model.path} is not JSON: ${cause.message}`);
    }
    if (said.op !== "scale" || typeof said.factor !== "number") {
      throw failure("invalid", `${model.path} does not say {"op": "scale", "factor": number}`);
    }
    const createMs = performance.now() - started;
    return { inputs: ["x"], outputs: ["y"], cpuFallback: false, createMs, factor: said.factor };
  }

  async run(session, feeds, outputs) {
    const x = feeds.find(({ name }) => name === "x");
    if (x?.dtype !== "float32") throw failure("invalid", "the input x has to be float32");
    if (outputs?.some((name) => name !== "y")) throw failure("invalid", "the only output is y");

    const started = performance.now();
    const y = await this.#scale(session.factor, x.data);
    const runMs = performance.now() - started;
    return { outputs: [{ name: "y", dtype: "float32", shape: x.shape, data: y }], runMs, readbackMs: null };
  }

  async release() {}

  async #scale(factor, x) {
    if (x.length === 0) return new Float32Array(0);
    const { device } = this;
    const groups = Math.ceil(x.length / WORKGROUP);
    // A dispatch is 65,535 groups wide at the most; what is more goes into rows.
    const across = Math.min(groups, device.limits.maxComputeWorkgroupsPerDimension);
    const buffer = (size, usage) => device.createBuffer({ size, usage });
    const parameters = buffer(16, GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST);
    const input = buffer(x.byteLength, GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST);
    const output = buffer(x.byteLength, GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC);
    const readable = buffer(x.byteLength, GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST);
    try {
      const said = new DataView(new ArrayBuffer(16));
      said.setFloat32(0, factor, true);
      said.setUint32(4, x.length, true);
      said.setUint32(8, across * WORKGROUP, true);
      device.queue.writeBuffer(parameters, 0, said.buffer);
      device.queue.writeBuffer(input, 0, x);
      const encoder = device.createCommandEncoder();
      const pass = encoder.beginComputePass();
      pass.setPipeline(this.pipeline);
      pass.setBindGroup(0, device.createBindGroup({
        layout: this.pipeline.getBindGroupLayout(0),
        entries: [parameters, input, output].map((buffer, binding) => ({ binding, resource: { buffer } })),
      }));
      pass.dispatchWorkgroups(across, Math.ceil(groups / across));
      pass.end();
      encoder.copyBufferToBuffer(output, 0, readable, 0, x.byteLength);
      device.queue.submit([encoder.finish()]);
      // The run ends when the numbers can be read, not when the work was submitted.
      await readable.mapAsync(GPUMapMode.READ);
      return new Float32Array(readable.getMappedRange()).slice();
    } finally {
      for (const used of [parameters, input, output, readable]) used.destroy();
    }
  }
}

export default () => new WebgpuScale();
