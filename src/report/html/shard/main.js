"use strict";

const headline = () => {
  const how = DATA.strategy ? `${count(DATA.stages.length, "stage")} by strategy “${DATA.strategy}”` : "a pipeline";
  const parts = [
    `${DATA.model}: ${how}`,
    `${bytes(DATA.crossing_bytes)} cross in a job`,
    `the slowest stage takes ${DATA.balance.toFixed(2)} times the mean`,
  ];
  if (DATA.memory_limit_bytes != null) parts.push(`at most ${bytes(DATA.memory_limit_bytes)} in a tab`);
  return parts.join(" · ");
};

const crossingTable = () => {
  const rows = DATA.stages.flatMap((stage, to) =>
    stage.inputs.map((input) => [
      input.from == null ? "given" : label(input.from),
      label(to),
      bytes(input.bytes),
      input.kind,
      input.name,
    ]),
  );
  const cell = (text, column) => el("td", { class: column === 2 ? "num" : column === 4 ? "path" : null }, text);
  const heads = ["from", "to", "bytes", "what", "name"];
  return el(
    "div",
    { class: "plan-scroll" },
    el(
      "table",
      { class: "plan-table" },
      el("thead", {}, el("tr", {}, ...heads.map((head, i) => el("th", { class: i === 2 ? "num" : null }, head)))),
      el("tbody", {}, ...rows.map((row) => el("tr", {}, ...row.map(cell)))),
    ),
  );
};

document.getElementById("provenance").textContent = headline();
const main = document.getElementById("main");
if (DATA.dividing_cuts > 0) {
  const words = "A dashed cut divides what the runtime computes as one: outputs may differ in their last bits.";
  main.append(el("p", { class: "notice", style: "margin-top: 18px" }, words));
}
main.append(
  el("section", {}, el("h2", {}, "Stages"), el("div", { class: "stages" }, stagesPicture())),
);
if (DATA.nodes.length) {
  main.append(
    el("section", {}, el("h2", {}, "Node by node"), el("div", { class: "nodes" }, nodesPicture(), legend())),
  );
}
main.append(el("section", {}, el("h2", {}, "What each stage is given"), crossingTable()));
