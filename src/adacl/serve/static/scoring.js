// @ts-check
/** Sends images to be scored: a few at a time, in requests that the service can answer soon. */

import { ask, scored } from "./answers.js";
import { Problem } from "./api.js";
import { present } from "./camera.js";
import { $, announce, counted, say } from "./dom.js";
import { add, LIMIT, pictures, reserve, verdictOf } from "./history.js";
import { heard } from "./station.js";
import { state } from "./state.js";

/** @typedef {import("./files.js").Picked} Picked */
/** @typedef {import("./answers.js").Job} Job */

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
  const some = picked.slice(0, LIMIT);
  if (some.length < picked.length)
    say(
      $("banner"),
      `Only the first ${LIMIT} of these ${picked.length} pictures are scored: a tab holds no more. Save these first, then add the others.`,
    );
  total += some.length;
  const ids = some.map(reserve);
  pending.push(...some.map((one, i) => ({ ...one, model, id: ids[i], batch: ids[0] })));
  progress();
  begin();
}

function begin() {
  while (lanes < LANES && lanes < pending.length) run(stop.signal);
}

function cancel() {
  pending = [];
  total = done;
  stop.abort();
  stop = new AbortController();
}

/** What goes into the next request. @returns {Job[]} */
function take() {
  const most = Math.min(Math.max(1, Math.round(size)), MOST, state.limits.max_files ?? MOST);
  const room = Math.min(BYTES, (state.limits.max_body_bytes ?? BYTES) * 0.9);
  const jobs = [pending[0]];
  for (let bytes = pending[0].file.size; jobs.length < most && jobs.length < pending.length;) {
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
    if (pending.length) begin();
    else if (!lanes) finished();
  }
}

/** @param {Job[]} jobs @param {AbortSignal} signal @returns {Promise<void>} */
async function send(jobs, signal) {
  const began = performance.now();
  try {
    const answer = await ask(jobs, false, { signal, patient: true, onBusy: busy });
    const fitting = (jobs.length * SECONDS * 1000) / (performance.now() - began);
    size = Math.min(MOST, 2 * jobs.length, Math.max(1, fitting));
    heard(jobs[0].model, answer.drift);
    const { request } = answer;
    for (const [i, result] of answer.results.entries())
      await record(jobs[i], result, answer.threshold, request ? { request, result: i } : {});
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const halves = jobs.length > 1 && [408, 413, 504, 0].includes(error.status);
    const each = error.body.errors;
    if (halves) {
      size = 1;
      const middle = jobs.length >> 1;
      await send(jobs.slice(0, middle), signal);
      await send(jobs.slice(middle), signal);
    } else
      for (const [i, job] of jobs.entries())
        await record(job, { error: each?.[i] ?? { detail: error.message } }, NaN);
  }
  progress();
}

let flagged = 0;

/** @param {Job} job @param {any} result @param {number} limit @param {object} [logged] */
async function record(job, result, limit, logged) {
  const item = add({ ...scored(job, result, limit), ...(await pictures(job.file)), ...logged });
  if (!done) flagged = 0;
  flagged += Number(verdictOf(item) === "flagged");
  if (!done++) present(item, total === 1);
  progress();
}

/** @param {number} seconds */
function busy(seconds) {
  $("work-text").textContent =
    `The server is busy; trying again in ${counted(seconds, "second")}. ${done} of ${total} scored.`;
}

function progress() {
  $("work").hidden = !isBusy();
  Object.assign($("work-bar"), { max: total, value: done });
  $("work-text").textContent =
    `${done.toLocaleString("en")} of ${total.toLocaleString("en")} scored`;
}

/** Whether pictures are yet to be scored. */
export const isBusy = () => done < total;

function finished() {
  if (done > 1) announce(`${counted(done, "picture")} scored, ${flagged} flagged.`);
  $("work").hidden = true;
  total = done = 0;
}

export function start() {
  $("work-stop").addEventListener("click", cancel);
}
