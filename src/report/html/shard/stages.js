"use strict";

// The stages in a row, each a box as tall as the others; arcs are what crosses, those that pass over a stage included.

const bytes = (value) => {
  for (const [unit, size] of [["GiB", 2 ** 30], ["MiB", 2 ** 20], ["KiB", 2 ** 10]]) {
    if (value >= size) return `${number(value / size)} ${unit}`;
  }
  return `${value} B`;
};
const total = (stage) => stage.compute_ms + stage.transfer_ms;
const colour = (component) => `c-${component ?? "none"}`;
const label = (index) => DATA.stages[index].name ?? `stage ${index + 1}`;

// What one stage gives another, as one arrow: bytes and how many tensors.
const arrows = () => {
  const found = new Map();
  DATA.stages.forEach((stage, to) => {
    for (const input of stage.inputs) {
      if (input.from == null) continue;
      const key = `${input.from}-${to}`;
      const arrow = found.get(key) ?? { from: input.from, to, bytes: 0, names: [] };
      arrow.bytes += input.bytes;
      arrow.names.push(`${input.name}: ${input.kind}`);
      found.set(key, arrow);
    }
  });
  return [...found.values()];
};

const BOX = { width: 236, gap: 96, height: 156, left: 2 };

const box = (stage, index, top, slowest) => {
  const x = BOX.left + index * (BOX.width + BOX.gap);
  const width = BOX.width - 32;
  const compute = (stage.compute_ms / slowest) * width;
  const transfer = (stage.transfer_ms / slowest) * width;
  const line = (y, text, kind = "soft") => svg("text", { x: x + 16, y: top + y, class: kind }, text);
  const bar = (from, length, kind) =>
    svg("rect", { x: x + 16 + from, y: top + 58, width: Math.max(length, 0), height: 10, class: kind });
  return svg(
    "g",
    { class: colour(stage.component) },
    svg("rect", { x, y: top, width: BOX.width, height: BOX.height, rx: 12, class: "box" }),
    line(28, label(index), "name"),
    line(47, [stage.component ?? "", stage.preferred ? `in ${stage.preferred}` : ""].filter(Boolean).join(", ")),
    bar(0, width, "bar-rest"),
    bar(0, compute, "bar-compute"),
    bar(compute, transfer, "bar-transfer"),
    line(88, `${ms(total(stage))}, ${number(stage.transfer_ms)} of it moving`),
    line(107, `${count(stage.nodes, "node")}, ${number(stage.flops / 1e6)} MFLOP`),
    line(126, `${bytes(stage.weight_bytes)} of weights`),
    line(145, `${bytes(stage.activation_bytes)} alive at most`),
  );
};

const arrow = ({ from, to, bytes: size, names }, top) => {
  const begin = BOX.left + from * (BOX.width + BOX.gap) + BOX.width;
  const end = BOX.left + to * (BOX.width + BOX.gap);
  const direct = to === from + 1;
  const lift = direct ? 0 : 22 + 26 * (to - from - 2);
  const y = direct ? top + BOX.height / 2 : top;
  const [x1, x2] = direct ? [begin + 6, end - 12] : [begin - 40, end + 40];
  const path = direct ? `M${x1} ${y}H${x2}` : `M${x1} ${y - 4}C${x1} ${y - lift - 14} ${x2} ${y - lift - 14} ${x2} ${y - 10}`;
  const head = direct ? `M${x2 + 7} ${y}l-9 -5v10z` : `M${x2} ${y - 3}l-5 -9h10z`;
  const at = direct ? [(x1 + x2) / 2 + 2, y - 10] : [(x1 + x2) / 2, y - lift * 0.75 - 19];
  const group = svg(
    "g",
    {},
    svg("path", { d: path, class: "cross" }),
    svg("path", { d: head, class: "head" }),
    svg("text", { x: at[0], y: at[1], "text-anchor": "middle", class: "soft" }, bytes(size)),
  );
  if (direct) {
    const tensors = count(names.length, "tensor");
    group.append(svg("text", { x: at[0], y: y + 20, "text-anchor": "middle", class: "soft" }, tensors));
  }
  group.append(svg("title", {}, names.join("\n")));
  return group;
};

const stagesPicture = () => {
  const found = arrows();
  const furthest = Math.max(1, ...found.map(({ from, to }) => to - from));
  const top = furthest > 1 ? 52 + 20 * (furthest - 2) : 4;
  const width = BOX.left * 2 + DATA.stages.length * (BOX.width + BOX.gap) - BOX.gap;
  const slowest = Math.max(...DATA.stages.map(total), Number.MIN_VALUE);
  const height = top + BOX.height + 4;
  return svg(
    "svg",
    { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "the stages and what crosses" },
    ...DATA.stages.map((stage, index) => box(stage, index, top, slowest)),
    ...found.map((each) => arrow(each, top)),
  );
};
