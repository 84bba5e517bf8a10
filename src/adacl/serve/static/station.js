// @ts-check
/** What the service keeps in its log: what pictures really were, and whether scores have moved. */

import { json, Problem } from "./api.js";
import { $, announce, make, say } from "./dom.js";
import { called, keep } from "./history.js";
import { on, state } from "./state.js";

/** @typedef {import("./history.js").Item} Item */

/** Ask the service what it keeps, and how the scores lie. */
export async function refresh() {
  state.station = await json("/v1/station");
  notice();
}

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

/** Ask what a picture really is, where the answer can be kept. @param {Item} item */
export function question(item) {
  if (!state.station.log || !item.request || item.error) return null;
  const answers = ["Normal", "Anomalous"].map((word, label) =>
    make(
      "button",
      {
        type: "button",
        class: "small",
        "aria-pressed": String(item.truth === label),
        onclick: () => tell(item, label, group),
      },
      word,
    ),
  );
  const text = item.truth === undefined ? "What is it really?" : "Kept: it really is";
  const group = make(
    "div",
    { class: "truth", role: "group", "aria-label": "What it really is" },
    make("span", { class: "soft" }, text),
    ...answers,
  );
  return group;
}

/** @param {Item} item @param {number} label @param {HTMLElement} group */
async function tell(item, label, group) {
  const body = JSON.stringify({ request: item.request, result: item.result, true_label: label });
  try {
    const content = { "Content-Type": "application/json" };
    await json("/v1/feedback", { method: "POST", body, content, patient: true });
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    say($("banner"), `Your answer was not kept: ${error.message}`);
    return;
  }
  item.truth = label;
  keep(item);
  const renewed = question(item);
  group.replaceWith(renewed);
  renewed.querySelector("[aria-pressed=true]").focus();
  announce(`Kept: ${called(item)} really is ${label ? "anomalous" : "normal"}.`);
}

export function start() {
  on("model", notice);
}
