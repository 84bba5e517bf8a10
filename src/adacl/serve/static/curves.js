// @ts-check
/** Small line charts of a training. */

import { draw, make } from "./dom.js";

/** @typedef {import("./api.js").Training["history"][number]} Epoch */

/**
 * A chart of the network that is kept; those of the folds, which only set the threshold, are faint.
 * @param {string} title
 * @param {Epoch[]} history
 * @param {"loss" | "validation_auroc"} key
 * @param {number} epochs How many the horizontal axis holds.
 */
function curve(title, history, key, epochs) {
  const values = history.map((epoch) => epoch[key]);
  const low = Math.min(...values);
  const high = Math.max(...values, low + 0.005);
  const svg = draw("svg", { viewBox: "0 0 200 80", preserveAspectRatio: "none", role: "img" });
  for (const y of [1, 79]) svg.append(draw("line", { x1: 0, x2: 200, y1: y, y2: y }));
  const stages = [...new Set(history.map(({ stage }) => stage))];
  for (const stage of stages) {
    const points = history.filter((epoch) => epoch.stage === stage);
    const first = points[0].epoch;
    const at = points.map((epoch) => {
      const x = (200 * (epoch.epoch - first + 0.5)) / epochs;
      return `${x},${76 - (72 * (epoch[key] - low)) / (high - low)}`;
    });
    if (at.length === 1) at.push(at[0].replace(/^[^,]+/, (x) => String(Number(x) + 4)));
    svg.append(
      draw("polyline", { points: at.join(" "), class: stage === stages[0] ? "last" : "" }),
    );
  }
  const own = history.filter((epoch) => epoch.stage === stages[0]).map((epoch) => epoch[key]);
  const latest = /** @type {number} */ (own.at(-1)).toFixed(3);
  svg.setAttribute("aria-label", `${title} by epoch, of the network itself ${latest}`);
  return make(
    "figure",
    { class: "curve" },
    make("figcaption", {}, title, make("b", {}, latest)),
    svg,
  );
}

/** @param {Epoch[]} history @param {number} epochs */
export function curves(history, epochs) {
  if (!history.length) return null;
  return make(
    "div",
    { class: "curves" },
    curve("Validation AUROC", history, "validation_auroc", epochs),
    curve("Loss", history, "loss", epochs),
  );
}
