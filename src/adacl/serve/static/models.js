// @ts-check
/** The models of the service: which one is in use, and what is known of it. */

import { json, Problem, request } from "./api.js";
import { $, counted, icon, make, percent, save } from "./dom.js";
import { emit, on, selectModel, state } from "./state.js";
import { watched } from "./station.js";
import { normalsOf } from "./threshold.js";

/** @typedef {import("./api.js").Model} Model */

/** Ask the service what there is; the model in use stays, where it is still there. */
export async function refresh() {
  const [answer, station] = await Promise.all([json("/v1/models"), json("/v1/station")]);
  Object.assign(state, answer, { station });
  const before = state.model?.name ?? sessionStorage.getItem("adacl-model");
  const picker = $("model");
  picker.replaceChildren(...state.models.map(({ name }) => make("option", { value: name }, name)));
  picker.hidden = $("facts-open").hidden = !state.models.length;
  emit("models");
  selectModel(before ?? "");
}

/** @param {Model} model */
function input(model) {
  const colours = { 1: "grey", 3: "colour" }[model.channels] ?? `${model.channels} channels`;
  if (model.any_size && !model.tiled) return `Pictures of any size, ${colours}`;
  const size = `${model.width} × ${model.height} pixels, ${colours}`;
  return model.tiled ? `Tiles of ${size}; pictures of any size` : `${size}; others are resized`;
}

/** @param {Model} model */
function limit({ threshold }) {
  const value = threshold.value.toFixed(4);
  const normals = ["hold-out", "cross-fitting", "calibration"].includes(threshold.method);
  if (normals && threshold.fpr !== null) {
    const bound =
      threshold.upper_bound === null || threshold.confidence === null
        ? ""
        : ` With ${percent(threshold.confidence)} confidence, at most ${percent(threshold.upper_bound)} of new normal pictures are flagged.`;
    const also = threshold.learnt ? `, and ${threshold.learnt} that it learned from` : "";
    return `${value}, set to flag ${percent(threshold.fpr)} of normal pictures. It rests on ${normalsOf(threshold)}${also}.${bound}`;
  }
  if (threshold.method === "contamination")
    return `${value}, which flags ${percent(threshold.fpr ?? 0)} of the training pictures.`;
  if (threshold.method === "defects") return `${value}, set by labelled defects.`;
  return `${value}, given by hand.`;
}

/**
 * Save the file of a model, or say beside the button why not.
 * @param {Model} model
 * @param {"onnx" | "adacl"} format
 * @param {any} button
 */
async function download(model, format, button) {
  if (button.nextElementSibling?.role === "alert") button.nextElementSibling.remove();
  button.disabled = true;
  try {
    const path = `/v1/models/${encodeURIComponent(model.name)}/file?format=${format}`;
    save(await request(path), `${model.name}.${format}`);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    button.after(make("span", { class: "wrong", role: "alert" }, error.message));
  } finally {
    button.disabled = false;
  }
}

/** @param {Model} model */
export function downloads(model) {
  /** @type {("onnx" | "adacl")[]} */
  const formats = model.trained_here ? ["onnx", "adacl"] : ["onnx"];
  return formats.map((format) =>
    make(
      "button",
      {
        type: "button",
        class: "small",
        onclick: (/** @type {Event} */ event) => download(model, format, event.currentTarget),
      },
      icon("save"),
      `${model.name}.${format}`,
    ),
  );
}

function facts() {
  const model = /** @type {Model} */ (state.model);
  const learned = model.training.images;
  const rows = [
    ["Input", input(model)],
    ["Network", counted(model.parameters, "parameter")],
    ["Learned from", learned ? counted(learned, "normal picture") : null],
    ["Threshold", limit(model)],
    ["Latest scores", watched(model.name)],
    ["Fingerprint", model.fingerprint.slice(0, 16)],
  ].filter(([, value]) => value);
  $("facts-title").textContent = model.name;
  $("facts-body").replaceChildren(
    make(
      "dl",
      { class: "facts" },
      ...rows.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]),
    ),
    make("p", { class: "actions" }, ...downloads(model)),
    make("p", { class: "soft" }, `adacl ${/** @type {any} */ (state).version ?? ""}`),
  );
  $("facts").showModal();
}

export function start() {
  $("model").addEventListener("change", () => selectModel($("model").value));
  $("facts-open").addEventListener("click", facts);
  on("model", () => {
    if (state.model) $("model").value = state.model.name;
  });
}
