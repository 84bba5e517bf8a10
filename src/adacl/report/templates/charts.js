"use strict";
// Charts: each function fills an element with an SVG as wide as the element.

const svg = (tag, attributes = {}, ...children) => {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
};
const EDGE = 8; // where a slider's thumb stops; the histogram's axis is aligned with it

const canvas = (place, height, words) => {
  const width = Math.max(200, Math.round(place.clientWidth) || 640);
  const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
  place.replaceChildren(drawing);
  place.setAttribute("aria-label", words);
  return { drawing, width };
};
const text = (words, x, y, anchor = "middle", kind = "") =>
  svg("text", { x, y, "text-anchor": anchor, class: kind }, words);
const ticks = (low, high, count) => {
  const raw = (high - low) / count, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map(f => f * power).find(s => s >= raw * 0.999);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) found.push(i * step);
  return { found, digits: Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) };
};

// The ends of an axis that shows all values and little else, so that close ones can be told apart.
const zoomed = values => {
  const lowest = Math.min(...values), highest = Math.max(...values);
  const margin = Math.max(0.05 * (highest - lowest), 0.0025);
  const unit = 10 ** (Math.floor(Math.log10(highest - lowest + 2 * margin)) - 1);
  const round = (value, way) => Number((way(value / unit) * unit).toFixed(4));
  return [round(lowest - margin, Math.floor), round(highest + margin, Math.ceil)];
};

// Names of what is drawn, each beside a sample of it.
const legend = samples => {
  const list = document.createElement("div");
  list.className = "legend";
  for (const [name, ...shapes] of samples) {
    const item = document.createElement("span");
    item.append(svg("svg", { viewBox: "0 0 30 8" }, ...shapes), name);
    list.append(item);
  }
  return list;
};
const bar = kind => svg("rect", { x: 8, width: 22, height: 8, class: kind });

// One histogram above the axis, and a second one, mirrored, below it. What is on the wrong side of
// the threshold is drawn stronger; with a single group of unknown label, what is flagged.
const histogram = (place, sides, range, limit, words) => {
  const [low, high] = range, tall = 150, height = 34 + tall * sides.length;
  const { drawing, width } = canvas(place, height, words);
  const inner = width - 2 * EDGE;
  const x = value => EDGE + inner * (value - low) / (high - low);
  const bins = Math.min(100, Math.max(30, Math.floor(inner / 9)), Math.round((high - low) * sides[0].unit));
  const base = 16 + tall;
  sides.forEach((side, below) => {
    const passed = new Float64Array(bins), flagged = new Float64Array(bins);
    for (let i = 0; i < side.steps.length; i++) {
      const middle = (side.steps[i] + 0.5) / side.unit;
      const bin = Math.floor((middle - low) / (high - low) * bins);
      (middle > limit ? flagged : passed)[Math.min(bins - 1, Math.max(0, bin))] += side.counts[i] / side.total;
    }
    const most = Math.max(...passed.map((share, bin) => share + flagged[bin])) || 1, sign = below ? 1 : -1;
    for (let bin = 0; bin < bins; bin++) {
      const left = low + (high - low) * bin / bins, right = low + (high - low) * (bin + 1) / bins;
      for (const [from, to, share, over] of [
        [left, Math.min(right, limit), passed[bin], false], [Math.max(left, limit), right, flagged[bin], true],
      ]) {
        if (!share || to <= from) continue;
        const long = Math.max(2, (tall - 24) * share / most);
        const kind = sides.length > 1 ? side.kind : over ? "anomalous" : "normal";
        const strong = sides.length === 1 || over === (side.kind === "normal");
        drawing.append(svg("rect", {
          x: x(from) + 0.5, width: Math.max(0.5, x(to) - x(from) - 1), height: long,
          y: sign < 0 ? base - long : base, class: kind + (strong ? "" : " light"),
        }));
      }
    }
    drawing.append(text(`${side.title} (${side.total.toLocaleString("en")})`, x(low), below ? base + tall - 10 : 12, "start", "strong"));
  });
  drawing.append(svg("line", { x1: x(low), x2: x(high), y1: base, y2: base, class: "grid" }));
  const axis = ticks(low, high, 6);
  const foot = height - 3;
  for (const value of axis.found) {
    const anchor = value - low < 1e-6 ? "start" : high - value < 1e-6 ? "end" : "middle";
    drawing.append(text(value.toFixed(axis.digits), x(value) + (anchor === "start" ? -EDGE + 2 : anchor === "end" ? EDGE - 2 : 0), foot, anchor));
  }
  drawing.append(svg("line", { x1: x(limit), x2: x(limit), y1: 18, y2: height - 18, class: "limit" }));
  const right = x(limit) > width - 120;
  drawing.append(text("flagged →", x(limit) + (right ? -6 : 6), 30, right ? "end" : "start"));
  place.prepend(legend(sides.length === 1 ? [["not flagged", bar("normal")], ["flagged", bar("anomalous")]] : [
    ["normal, not flagged", bar("normal light")], ["normal, flagged: false alarm", bar("normal")],
    ["anomalous, flagged", bar("anomalous light")], ["anomalous, not flagged: missed", bar("anomalous")],
  ]));
};

// Curves y over x, both in [0, 1], with the point of the threshold.
const square = (place, title, names, points, dot, chance, words) => {
  const width0 = Math.max(200, Math.round(place.clientWidth) || 320);
  const left = 46, top = 26, foot = 40;
  const side = Math.min(width0 - left - 12, 300);
  const { drawing } = canvas(place, side + top + foot, words);
  const x = v => left + v * side, y = v => top + (1 - v) * side;
  drawing.append(text(title, left, 13, "start", "strong"));
  for (const value of [0, 0.25, 0.5, 0.75, 1]) {
    drawing.append(svg("line", { x1: x(0), x2: x(1), y1: y(value), y2: y(value), class: "grid" }));
    drawing.append(text(value.toString(), left - 8, y(value) + 4, "end"));
    drawing.append(text(value.toString(), x(value), y(0) + 17));
  }
  drawing.append(text(names[0], x(0.5), y(0) + 35));
  drawing.append(svg("text", { x: 0, y: 0, "text-anchor": "middle", transform: `translate(11 ${y(0.5)}) rotate(-90)` }, names[1]));
  const path = list => list.map(p => x(p[0]).toFixed(1) + "," + y(p[1]).toFixed(1)).join(" ");
  drawing.append(svg("polyline", { points: path(chance), class: "curve chance" }));
  drawing.append(svg("polyline", { points: path(points), class: "curve" }));
  if (dot) drawing.append(svg("circle", { cx: x(dot[0]), cy: y(dot[1]), r: 6.5, class: "dot" }));
};

// Lines over the epochs; each has a pattern of its own, and a legend where there are several.
const PATTERNS = ["", "7 4", "2 3", "10 3 2 3", "4 2", "1 4", "12 5"];
const lines = (place, series, kept, words) => {
  const height = 220, left = 46, top = 10, foot = 38;
  const { drawing, width } = canvas(place, height, words);
  const values = series.flatMap(s => s.values).filter(Number.isFinite);
  let low = Math.min(...values), high = Math.max(...values);
  if (high - low < 1e-3) { low -= 5e-3; high += 5e-3; }
  const count = series[0].values.length;
  const x = i => left + 6 + (width - left - 16) * (count > 1 ? i / (count - 1) : 0.5);
  const y = v => top + (height - top - foot) * (high - v) / (high - low);
  const axis = ticks(low, high, 4);
  for (const value of axis.found) {
    drawing.append(svg("line", { x1: left, x2: width - 6, y1: y(value), y2: y(value), class: "grid" }));
    drawing.append(text(value.toFixed(axis.digits), left - 8, y(value) + 4, "end"));
  }
  const every = Math.ceil(count / Math.max(2, Math.floor(width / 60)));
  for (let i = 0; i < count; i += every) drawing.append(text(String(i + 1), x(i), height - foot + 18));
  drawing.append(text("epoch", (left + width) / 2, height - 4));
  drawing.append(svg("line", { x1: x(kept), x2: x(kept), y1: top, y2: height - foot, class: "curve chance" }));
  drawing.append(text("kept", x(kept) + (kept > count / 2 ? -5 : 5), height - foot - 8, kept > count / 2 ? "end" : "start"));
  const style = i => ({ class: "curve" + (i % 2 ? " other" : ""), "stroke-dasharray": PATTERNS[i % PATTERNS.length] });
  series.forEach((s, i) => {
    const points = s.values.map((v, n) => [n, v]).filter(p => Number.isFinite(p[1]));
    drawing.append(svg("polyline", { points: points.map(p => x(p[0]).toFixed(1) + "," + y(p[1]).toFixed(1)).join(" "), ...style(i) }));
    if (count < 3) for (const p of points) drawing.append(svg("circle", { cx: x(p[0]), cy: y(p[1]), r: 3, class: "normal" }));
  });
  if (series.length < 2) return;
  place.append(legend(series.map((s, i) => [s.name, svg("line", { x1: 0, x2: 30, y1: 4, y2: 4, ...style(i) })])));
};
