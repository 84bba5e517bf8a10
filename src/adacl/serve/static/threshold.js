// @ts-check
/** The threshold: its slider, what it costs in false alarms, and whom it flags. */

import { $, counted, draw, percent } from "./dom.js";
import { items } from "./history.js";
import { isMoved, modelOf, on, setThreshold, state, thresholdOf } from "./state.js";

const BINS = 40;
/** In parts of what the slider spans. */
const STEPS = {
  ArrowLeft: -0.01,
  ArrowDown: -0.01,
  ArrowRight: 0.01,
  ArrowUp: 0.01,
  PageDown: -0.1,
  PageUp: 0.1,
};

/**
 * Share of the normal pictures behind the threshold that score higher than a value.
 * @param {[number, number][]} curve Rising scores, and the share above each.
 * @param {number} value
 * @returns {number | null}
 */
export function shareAbove(curve, value) {
  if (!curve.length) return null;
  const next = curve.findIndex(([score]) => score > value);
  if (next === 0) return 1;
  if (next < 0) return curve[curve.length - 1][1];
  const [[low, high], [above, below]] = [
    [curve[next - 1][0], curve[next][0]],
    [curve[next - 1][1], curve[next][1]],
  ];
  return above + ((value - low) / (high - low)) * (below - above);
}

const SOURCES = {
  "hold-out": " that it did not learn from",
  "cross-fitting": ", each scored by a helper network that had not seen it",
  calibration: " that it was calibrated with",
};

/** The normal pictures that a threshold was set from. @param {import("./api.js").Threshold} threshold */
export function normalsOf({ n, method, groups }) {
  const source = SOURCES[/** @type {keyof typeof SOURCES} */ (method)] ?? "";
  return groups
    ? `${counted(n, "group")} of normal pictures${source}`
    : `${counted(n, "normal picture")}${source}`;
}

/** @param {import("./api.js").Threshold} threshold @param {number} value */
function rate(threshold, value) {
  const share = shareAbove(threshold.curve, value);
  if (share === null) return "It is not known how many normal pictures this model flags.";
  if (share === 0)
    return `Of ${normalsOf(threshold)}, none scored higher: probably fewer than ${percent(Math.min(1, 3 / threshold.n))} of normal pictures would be flagged.`;
  return `About ${percent(share)} of normal pictures would be flagged, an estimate from ${normalsOf(threshold)}.`;
}

/**
 * From where to where the scores of a model lie, with the threshold and a margin.
 * @param {string} name
 * @returns {[number, number]}
 */
export function span(name) {
  const model = modelOf(name);
  const scores = items.flatMap((item) => (item.model === name && !item.error ? [item.raw] : []));
  if (model) scores.push(model.threshold.value, ...model.threshold.curve.map(([score]) => score));
  if (!model?.threshold.curve.length) scores.push(0, 1);
  const low = Math.min(...scores);
  const high = Math.max(...scores);
  const margin = Math.max(0.0025, 0.05 * (high - low));
  const moved = model ? thresholdOf(name) : low;
  return [Math.min(low - margin, moved), Math.max(high + margin, moved)];
}

function show() {
  const known = state.model && modelOf(state.model.name);
  $("threshold").hidden = !known;
  if (!known) return;
  const { name, threshold } = state.model;
  const value = thresholdOf(name);
  const [low, high] = span(name);
  Object.assign($("threshold-slider"), { min: low, max: high, value });
  if (document.activeElement !== $("threshold-number"))
    $("threshold-number").value = value.toFixed(4);
  $("threshold-reset").hidden = !isMoved(name);
  $("threshold-rate").textContent = rate(threshold, value);
  const scored = items.filter((item) => item.model === name && !item.error);
  const flagged = scored.filter((item) => item.raw > value).length;
  $("threshold-count").textContent = scored.length
    ? `Flags ${flagged.toLocaleString("en")} of the ${counted(scored.length, "picture")} in the history.`
    : "";
  $("threshold-slider").setAttribute(
    "aria-valuetext",
    `${value.toFixed(3)}, flags ${flagged} of ${scored.length}`,
  );
  spread(
    scored.map((item) => item.raw),
    value,
    low,
    high,
  );
}

/** Draw how the scores of the history lie. @param {number[]} scores @param {number} value @param {number} low @param {number} high */
function spread(scores, value, low, high) {
  const counts = [new Array(BINS).fill(0), new Array(BINS).fill(0)];
  const place = (/** @type {number} */ score) =>
    Math.min(1, Math.max(0, (score - low) / (high - low)));
  for (const score of scores)
    counts[Number(score > value)][Math.min(BINS - 1, Math.floor(place(score) * BINS))]++;
  const most = Math.max(...counts[0].map((count, bin) => count + counts[1][bin]));
  const bars = counts.flatMap((side, over) =>
    side.flatMap((count, bin) => {
      if (!count) return [];
      const [height, under] = [(36 * count) / most, over ? (36 * counts[0][bin]) / most : 0];
      return draw("rect", {
        x: bin * 5 + 0.5,
        width: 4,
        y: 40 - height - under,
        height,
        class: over ? "over" : "",
      });
    }),
  );
  const x = 200 * place(value);
  $("spread").replaceChildren(...bars, draw("line", { x1: x, x2: x, y1: 0, y2: 40 }));
  $("spread").setAttribute(
    "aria-label",
    `Scores of the history, ${counted(scores.length, "picture")}`,
  );
  $("spread").toggleAttribute("hidden", !scores.length);
}

/** @param {number} value */
function move(value) {
  if (state.model && Number.isFinite(value)) setThreshold(state.model.name, value);
}

export function start() {
  $("threshold-slider").addEventListener("input", () => move($("threshold-slider").valueAsNumber));
  $("threshold-slider").addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    const step = STEPS[/** @type {keyof typeof STEPS} */ (event.key)];
    if (!step || !state.model) return;
    event.preventDefault();
    const [low, high] = span(state.model.name);
    const by = step * (high - low) * (event.shiftKey ? 0.1 : 1);
    const value = thresholdOf(state.model.name) + by;
    move(Math.min(high, Math.max(low, value)));
  });
  $("threshold-number").addEventListener("input", () => move($("threshold-number").valueAsNumber));
  $("threshold-number").addEventListener("blur", show);
  $("threshold-reset").addEventListener("click", () => {
    if (state.model) setThreshold(state.model.name, null);
    $("threshold-slider").focus();
  });
  for (const name of ["model", "threshold", "history"]) on(name, show);
}
