// @ts-check
/** Small line charts of a training. */

import { draw, make } from "./dom.js";

/** @typedef {import("./api.js").Training["history"][number]} Epoch */

/**
 * A chart of the network that is kept; those of the folds, which only set the threshold, are faint.
 * @param {string} title
 * @param {string} hint
 * @param {Epoch[]} history
 * @param {"loss" | "validation_auroc"} key
 * @param {number} epochs How many the horizontal axis holds.
 * @param {number} [kept] The epoch whose network is the model, from 0; before there is one, the latest counts.
 */
function curve(title, hint, history, key, epochs, kept) {
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
  const own = history.filter(({ stage }) => stage === stages[0]);
  const chosen = own.find(({ epoch }) => epoch === kept) ?? own[own.length - 1];
  const value = chosen[key].toFixed(3);
  svg.setAttribute("aria-label", `${title} by epoch, of the model itself ${value}`);
  return make(
    "figure",
    { class: "curve", title: hint },
    make("figcaption", {}, title, make("b", {}, value)),
    svg,
  );
}

/** @param {Epoch[]} history @param {number} epochs @param {number} [kept] */
export function curves(history, epochs, kept) {
  if (!history.length) return null;
  return make(
    "div",
    { class: "curves" },
    curve(
      "Made faults recognised",
      "1 is perfect, 0.5 is chance (AUROC). Real faults may differ.",
      history,
      "validation_auroc",
      epochs,
      kept,
    ),
    curve("Error in learning", "Lower is better (loss).", history, "loss", epochs, kept),
  );
}
