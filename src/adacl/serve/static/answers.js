// @ts-check
/** What the service says of images. */

import { json, Problem } from "./api.js";
import { isStale } from "./files.js";
import { modelOf } from "./state.js";

/** @typedef {import("./history.js").Item} Item */
/** @typedef {import("./files.js").Picked & {model: string, id: number, batch: number}} Job */

/**
 * @param {Job[]} jobs Of one model.
 * @param {boolean} map Whether heat maps are wanted, which take much longer than scores.
 * @param {Parameters<typeof json>[1]} [options]
 * @returns {Promise<{threshold: number, results: any[], request?: string, drift?: string}>}
 */
export async function ask(jobs, map, options) {
  const body = new FormData();
  for (const { file, name } of jobs) body.append("files", file, name);
  const path = `/v1/score?model=${encodeURIComponent(jobs[0].model)}&anomaly_map=${map}`;
  try {
    return await json(path, { ...options, method: "POST", body });
  } catch (error) {
    const cut = error instanceof Problem && error.status === 0 && jobs.length === 1;
    if (!cut || !(await isStale(jobs[0].file))) throw error;
    const detail = "The file has changed or is gone since it was chosen. Choose it again.";
    throw new Problem(0, { detail });
  }
}

/**
 * A result as the history holds it.
 * @param {Job} job
 * @param {any} result
 * @param {number} limit The threshold of the model.
 */
export const scored = ({ file, name, model, id, batch }, result, limit) => ({
  id,
  batch,
  name,
  model,
  file,
  limit,
  error: result.error ? (result.error.detail ?? result.error.title) : null,
  raw: result.raw_score ?? NaN,
  score: result.pred_score ?? NaN,
  remark: result.remark ?? "",
  height: result.height ?? 0,
  width: result.width ?? 0,
  tile: result.tile ?? null,
  map: result.anomaly_map?.png ?? null,
  peak: result.anomaly_map?.peak ?? null,
  range: result.anomaly_map?.range ?? null,
});

/** The file of an image, where there still is one. @param {Item} item */
export const original = (item) => item.file ?? (item.whole ? item.preview : null);

/**
 * Ask for the heat map of an image of the history.
 * @param {Item} item
 * @param {AbortSignal} signal
 * @returns {Promise<boolean>} Whether it has one now.
 */
export async function explain(item, signal) {
  const file = original(item);
  if (!file || !modelOf(item.model)) return false;
  const { results } = await ask([{ ...item, file }], true, { signal, patient: true });
  const { map, peak, range } = scored({ ...item, file }, results[0], item.limit);
  Object.assign(item, { map, peak, range });
  return map !== null;
}
