// How what two runs found of a case differs: the kinds of change, those that want attention first. A name that changes where
// there are several is followed by its plural, at the end.
const KINDS = {
  broke: ["broke", "passed before, fails now", "worse"],
  "new-failure": ["new failure", "was not tried before, fails now", "worse", "new failures"],
  "fails-otherwise": ["fails otherwise", "failed before, and fails in another way now", "amber-word"],
  "not-tried": ["not tried any more", "was tried before, is not now", "amber-word"],
  flaky: ["became flaky", "passed before, passes only when it is tried again now", "amber-word"],
  "to-cpu": ["moved to the CPU", "ran on the backend before, needs the CPU for a part of the model now", "amber-word"],
  fixed: ["fixed", "failed before, passes now", "better"],
  "off-cpu": ["off the CPU", "needed the CPU before, runs on the backend now", "better"],
  "new-pass": ["new pass", "was not tried before, passes now", "soft", "new passes"],
};
const kindOf = (before, after) => {
  const [was, is] = [verdictIn(before), verdictIn(after)];
  const ran = (verdict) => verdict !== null && verdict !== "skipped" && verdict !== "unavailable";
  if (!ran(was) || !ran(is)) {
    if (ran(is)) return failed(is) ? "new-failure" : "new-pass";
    return ran(was) ? "not-tried" : null;
  }
  if (failed(is)) return failed(was) ? (was === is ? null : "fails-otherwise") : "broke";
  if (failed(was)) return "fixed";
  if (before === "f") return null;
  if (after === "f") return "flaky";
  if (after === "c") return before === "c" ? null : "to-cpu";
  return before === "c" ? "off-cpu" : null;
};

// Every change of these cases between two pairs of column and run, as `{ kind, each, from, to, before, after }`.
const changesBetween = (pairs) => {
  const found = CASES.flatMap((each) => pairs.flatMap(([from, to]) => {
    const before = codeAt(each, ...from), after = codeAt(each, ...to), kind = kindOf(before, after);
    return kind ? [{ kind, each, from, to, before, after }] : [];
  }));
  const order = Object.keys(KINDS);
  return found.sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind));
};
// What is the same of several targets of a case, by what `says` gives, is one row: the first of them, with all their columns.
const rowsOf = (found, says) => {
  const rows = new Map();
  for (const one of found) {
    const key = [one.each.id, ...says(one)].join("\n"), row = rows.get(key);
    if (row) row.columns.push(one.column);
    else rows.set(key, { ...one, columns: [one.column] });
  }
  return [...rows.values()];
};
const slots = (columns) => (columns.length > 2 && columns.length === COLUMNS.length ? "every target" : columns.map((column) => slot(TARGETS[column])).join(", "));
const kindName = (kind, n) => (n === 1 ? KINDS[kind][0] : KINDS[kind][3] ?? KINDS[kind][0]);
const countKinds = (changes) => Object.keys(KINDS).map((kind) => [kind, changes.filter((change) => change.kind === kind).length]).filter(([, n]) => n);
const SINCE_LAST = NOW === 0 ? [] : changesBetween(TARGETS.map((_, column) => [[column, NOW - 1], [column, NOW]]));
const word = (content, kind, properties = {}) => el("span", { class: `word ${kind}`, ...properties }, content);
