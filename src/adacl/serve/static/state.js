// @ts-check
/** What the parts of the page share: the models, the one in use, the thresholds, and events. */

/** @typedef {import("./api.js").Model} Model */

const KEPT = "adacl-thresholds";
const events = new EventTarget();

/** Names of events: models, model, threshold, history, shown. */
/** @param {string} name @param {() => void} then */
export const on = (name, then) => events.addEventListener(name, then);
/** @param {string} name */
export const emit = (name) => events.dispatchEvent(new Event(name));

/**
 * @type {{models: Model[], model: Model | null, limits: any, training: any,
 *   station: {log: boolean, drift: Record<string, any>}}}
 */
export const state = {
  models: [],
  model: null,
  limits: {},
  training: { available: false },
  station: { log: false, drift: {} },
};

/** @type {Record<string, number>} */
const moved = JSON.parse(sessionStorage.getItem(KEPT) ?? "{}");

/** @param {string} name @returns {Model | undefined} */
export const modelOf = (name) => state.models.find((model) => model.name === name);

/** Another model of the same name has its own threshold. @param {string} name */
const key = (name) => modelOf(name)?.fingerprint ?? name;

/** The threshold in use for a model. @param {string} name */
export const thresholdOf = (name) => moved[key(name)] ?? modelOf(name)?.threshold.value ?? Infinity;

/** @param {string} name */
export const isMoved = (name) => key(name) in moved;

/** @param {string} name @param {number | null} value None goes back to that of the model. */
export function setThreshold(name, value) {
  if (value === null) delete moved[key(name)];
  else moved[key(name)] = value;
  sessionStorage.setItem(KEPT, JSON.stringify(moved));
  emit("threshold");
}

/** @param {string} name */
export function selectModel(name) {
  state.model = modelOf(name) ?? state.models[0] ?? null;
  if (state.model) sessionStorage.setItem("adacl-model", state.model.name);
  emit("model");
}
