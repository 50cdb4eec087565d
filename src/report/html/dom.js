"use strict";

// What every page needs: elements, and numbers for people.

// The report, from the page's own data block. Everything below reads it and changes nothing of it.
const DATA = JSON.parse(document.getElementById("data").textContent);

// Builds an element; texts are never read as markup.
const el = (tag, properties = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value == null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child != null));
  return node;
};
const svg = (tag, properties = {}, ...children) => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(properties)) node.setAttribute(name, value);
  node.append(...children);
  return node;
};

// A name that may be broken after what parts it.
const breakable = (name) => name.split(/(?<=[_/])/).flatMap((part, index) => (index ? [el("wbr"), part] : [part]));

const number = (value) => {
  if (value == null) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size < 0.001) return value.toExponential(1);
  if (size >= 99.95) return Math.round(value).toLocaleString("en");
  return value.toPrecision(3);
};
const ms = (value) => (value == null ? "–" : `${number(value)} ms`);
const count = (value, one, many = `${one}s`) => `${value.toLocaleString("en")} ${value === 1 ? one : many}`;
const median = (sorted) => {
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};
