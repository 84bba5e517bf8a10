// @ts-check
/** Sends images to be scored: a few at a time, in requests that the service can answer soon. */

import { Problem, request } from "./api.js";
import { $, announce, counted, say } from "./dom.js";
import { add, pictures, reserve, verdictOf } from "./history.js";
import { show } from "./stage.js";
import { state } from "./state.js";

/** @typedef {import("./files.js").Picked} Picked */
/** @typedef {import("./api.js").Result} Result */
/** @typedef {Picked & {model: string, id: number}} Job */

const LANES = 2;
const SECONDS = 0.7;
const MOST = 32;
const BYTES = 16 << 20;

/** @type {Job[]} */
let pending = [];
let total = 0;
let done = 0;
let lanes = 0;
let size = 2;
let stop = new AbortController();

/**
 * Score images with the model in use; the first is shown as soon as it is there.
 * @param {Picked[]} picked
 */
export function score(picked) {
  if (!state.model || !picked.length) return;
  const model = state.model.name;
  if (!pending.length && !lanes) {
    total = done = 0;
    stop = new AbortController();
  }
  total += picked.length;
  pending.push(...picked.map((one) => ({ ...one, model, id: reserve() })));
  progress();
  while (lanes < LANES && lanes < pending.length) run(stop.signal);
}

export function cancel() {
  pending = [];
  stop.abort();
}

/** What goes into the next request. @returns {Job[]} */
function take() {
  const most = Math.min(Math.max(1, Math.round(size)), MOST, state.limits.max_files ?? MOST);
  const room = Math.min(BYTES, (state.limits.max_body_bytes ?? BYTES) * 0.9);
  const jobs = [pending[0]];
  for (let bytes = pending[0].file.size; jobs.length < most && jobs.length < pending.length; ) {
    const next = pending[jobs.length];
    bytes += next.file.size;
    if (bytes > room || next.model !== jobs[0].model) break;
    jobs.push(next);
  }
  pending.splice(0, jobs.length);
  return jobs;
}

/** @param {AbortSignal} signal */
async function run(signal) {
  lanes++;
  try {
    while (pending.length && !signal.aborted) await send(take(), signal);
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    lanes--;
    if (!lanes) finished();
  }
}

/** @param {Job[]} jobs @param {AbortSignal} signal @returns {Promise<void>} */
async function send(jobs, signal) {
  const began = performance.now();
  try {
    const answer = await ask(jobs, { signal, patient: true, onBusy: busy });
    size = Math.min(MOST, Math.max(1, (size * SECONDS * 1000) / (performance.now() - began)), size * 2);
    for (const [i, result] of answer.results.entries()) await record(jobs[i], { ...result, threshold: answer.threshold });
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const halves = jobs.length > 1 && [408, 413, 504, 0].includes(error.status);
    const each = error.body.errors;
    if (halves) {
      size = 1;
      const middle = jobs.length >> 1;
      await send(jobs.slice(0, middle), signal);
      await send(jobs.slice(middle), signal);
    } else for (const [i, job] of jobs.entries()) await record(job, { error: each?.[i] ?? { detail: error.message } });
  }
  progress();
}

/**
 * @param {Job[]} jobs Of one model.
 * @param {Parameters<typeof request>[1]} options
 * @returns {Promise<{threshold: number, results: any[]}>}
 */
export async function ask(jobs, options) {
  const body = new FormData();
  for (const { file, name } of jobs) body.append("files", file, name);
  const path = `/v1/score?model=${encodeURIComponent(jobs[0].model)}&anomaly_map=true`;
  return (await request(path, { ...options, method: "POST", body })).json();
}

/**
 * What the service said of an image, as the history holds it.
 * @param {Job} job
 * @param {any} result
 */
export const scored = ({ file, name, model, id }, result) => ({
  id,
  name,
  model,
  file,
  error: result.error ? result.error.detail ?? result.error.title : null,
  raw: result.raw_score ?? NaN,
  score: result.pred_score ?? NaN,
  limit: result.threshold,
  height: result.height ?? 0,
  width: result.width ?? 0,
  tile: result.tile ?? null,
  map: result.anomaly_map?.png ?? null,
  peak: result.anomaly_map?.peak ?? null,
});

let flagged = 0;

/** @param {Job} job @param {any} result */
async function record(job, result) {
  const item = add({ ...scored(job, result), ...(await pictures(job.file)) });
  if (!done) flagged = 0;
  flagged += Number(verdictOf(item) === "flagged");
  if (!done++) show(item, total === 1);
  progress();
}

/** @param {number} seconds */
function busy(seconds) {
  $("work-text").textContent = `The server is busy; trying again in ${counted(seconds, "second")}. ${done} of ${total} scored.`;
}

function progress() {
  $("work").hidden = total < 2 || done >= total;
  $("history").hidden &&= $("work").hidden;
  Object.assign($("work-bar"), { max: total, value: done });
  $("work-text").textContent = `${done.toLocaleString("en")} of ${total.toLocaleString("en")} scored`;
}

function finished() {
  const left = total - done;
  if (total > 1) announce(`${counted(done, "picture")} scored, ${flagged} flagged${left ? `, ${left} left out` : ""}.`);
  pending = [];
  say($("work-text"), null);
  $("work").hidden = true;
  total = done = 0;
}

export function start() {
  $("work-stop").addEventListener("click", cancel);
}
