// @ts-check
/** What the service keeps in its log: what pictures really were, and whether scores have moved. */

import { json, Problem } from "./api.js";
import { $, announce, make, say } from "./dom.js";
import { called, keep } from "./history.js";
import { on, state } from "./state.js";

/** @typedef {import("./history.js").Item} Item */

/** Take note of what an answer says of drift. @param {string} model @param {string} [moved] */
export function heard(model, moved) {
  const drift = state.station.drift[model];
  if (!drift || (drift.state === "moved") === Boolean(moved)) return;
  Object.assign(drift, { state: moved ? "moved" : "steady", reason: moved ?? "" });
  notice();
}

function notice() {
  const drift = state.station.drift[state.model?.name ?? ""];
  const text =
    drift?.state === "moved"
      ? `The scores of ${state.model?.name} have moved: ${drift.reason}. Check the light, the camera and the parts. If they are as they should be, calibrate the model or teach it again.`
      : null;
  say($("drift"), text);
}

/** How the scores of a model are watched, in words. @param {string} model @returns {string | null} */
export function watched(model) {
  const drift = state.station.drift[model];
  if (!drift) return null;
  return {
    off: `Not watched: ${drift.reason}`,
    collecting: `Watched after ${drift.window} scores; ${drift.scores} so far`,
    steady: "Like those of normal pictures that it did not learn from",
    moved: `Moved: ${drift.reason}`,
  }[/** @type {"off" | "collecting" | "steady" | "moved"} */ (drift.state)];
}

/** Images whose answer is on its way. @type {Set<Item>} */
const telling = new Set();

/**
 * Ask what a picture really is, where the answer can be kept.
 * @param {Item} item
 * @param {() => boolean} renew Shows the question anew, where it is still in view.
 */
export function question(item, renew) {
  if (!state.station.log || !item.request || item.error) return null;
  const answers = ["Normal", "Anomalous"].map((word, label) =>
    make(
      "button",
      {
        type: "button",
        class: "small",
        disabled: telling.has(item),
        "aria-pressed": String(item.truth === label),
        onclick: () => tell(item, label, renew),
      },
      word,
    ),
  );
  const text = item.truth === undefined ? "What is it really?" : "Kept: it really is";
  return make(
    "div",
    { class: "truth", role: "group", "aria-label": "What it really is" },
    make("span", { class: "soft" }, text),
    ...answers,
  );
}

/** @param {Item} item @param {number} label @param {() => boolean} renew */
async function tell(item, label, renew) {
  const body = JSON.stringify({ request: item.request, result: item.result, true_label: label });
  telling.add(item);
  renew();
  try {
    const content = { "Content-Type": "application/json" };
    await json("/v1/feedback", { method: "POST", body, content, patient: true });
    item.truth = label;
    keep(item);
    announce(`Kept: ${called(item)} really is ${label ? "anomalous" : "normal"}.`);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    say($("banner"), `Your answer was not kept: ${error.message}`);
  } finally {
    telling.delete(item);
    if (renew() && document.activeElement === document.body)
      $("verdict").querySelector("[aria-pressed=true]")?.focus();
  }
}

export function start() {
  on("model", notice);
}
