"use strict";

// The model from its first node to its last: above what each costs, below how many bytes would cross before it.

const COMPONENTS = ["embedding", "attention", "feed-forward", "convolution", "encoder", "decoder", "head"];

const nodesPicture = () => {
  const nodes = DATA.nodes;
  const [width, above, below, middle, left, labels] = [1240, 150, 90, 34, 4, 22];
  const step = (width - 2 * left) / nodes.length;
  const dearest = Math.max(...nodes.map((node) => node.ms), Number.MIN_VALUE);
  const widest = Math.max(...nodes.map((node) => node.crossing_bytes), 1);
  const base = labels + above;
  const zero = base + middle;
  const x = (index) => left + index * step;
  // The square root keeps small nodes and small crossings visible beside the largest.
  const tall = (node) => Math.max(1, Math.sqrt(node.ms / dearest) * above);
  const deep = (node) => Math.sqrt(node.crossing_bytes / widest) * below;
  const bars = nodes.map((node, index) => {
    const bar = svg("rect", {
      x: x(index),
      y: base - tall(node),
      width: Math.max(step * 0.86, 0.6),
      height: tall(node),
      class: colour(node.component),
      style: "fill: var(--c)",
    });
    const crossing = node.crossing_bytes ? `\n${bytes(node.crossing_bytes)} would cross before it` : "";
    bar.append(svg("title", {}, `${node.name || node.operator} (${node.operator})\n${ms(node.ms)}${crossing}`));
    return bar;
  });
  const edge = nodes.map((node, index) => `${x(index)} ${zero + deep(node)}H${x(index + 1)}`).join("L");
  const points = nodes.flatMap((node, index) =>
    node.cut_point ? [svg("circle", { cx: x(index), cy: base + middle / 2, r: Math.min(3, Math.max(1.4, step)), class: "point" })] : [],
  );
  const cuts = nodes.flatMap((node, index) => {
    const before = nodes[index - 1];
    if (!before || before.stage === node.stage) return [];
    const line = { x1: x(index), x2: x(index), y1: labels, y2: zero + below, class: node.cut_point ? "cut" : "cut divides" };
    return [svg("line", line)];
  });
  const names = DATA.stages.map((_, stage) => {
    const first = nodes.findIndex((node) => node.stage === stage);
    const last = nodes.findLastIndex((node) => node.stage === stage);
    const middleOf = (x(first) + x(last + 1)) / 2;
    return svg("text", { x: middleOf, y: 13, "text-anchor": "middle" }, (last - first + 1) * step > 70 ? label(stage) : `${stage + 1}`);
  });
  const height = zero + below + 6;
  return svg(
    "svg",
    { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "the model node by node" },
    svg("line", { x1: left, x2: width - left, y1: base, y2: base, class: "axis" }),
    svg("line", { x1: left, x2: width - left, y1: zero, y2: zero, class: "axis" }),
    ...bars,
    svg("path", { d: `M${left} ${zero}L${edge}V${zero}Z`, class: "crossing" }),
    svg("path", { d: `M${edge}`, class: "crossing-edge" }),
    ...cuts,
    ...points,
    ...names,
  );
};

const legend = () => {
  const seen = COMPONENTS.filter((component) => DATA.nodes.some((node) => node.component === component));
  return el(
    "div",
    { class: "legend" },
    ...seen.map((component) => el("span", { class: colour(component) }, el("i"), component)),
    el("span", { style: "--c: var(--accent)" }, el("i", { class: "dot" }), "a good place to cut"),
    el("span", { style: "--c: color-mix(in srgb, var(--accent) 35%, transparent)" }, el("i"), "bytes that would cross there"),
  );
};
