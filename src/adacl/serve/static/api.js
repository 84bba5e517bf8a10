// @ts-check
/** Requests to the service: the token, problems, and waiting while it is busy or gone. */

import { $, say } from "./dom.js";

/**
 * @typedef {{value: number, method: string, fpr: number | null, n: number, learnt?: number,
 *   upper_bound: number | null, confidence: number | null, curve: [number, number][], groups: boolean}} Threshold
 * @typedef {{name: string, height: number, width: number, channels: number, tiled: boolean, any_size: boolean,
 *   threshold: Threshold, parameters: number, fingerprint: string, trained_here: boolean, kept_epoch: number,
 *   training: Record<string, any>}} Model
 * @typedef {{name: string, pred_score: number, raw_score: number, pred_label: number,
 *   height: number, width: number, tile?: [number, number] | null, remark?: string,
 *   anomaly_map?: {png: string, peak: [number, number], range: [number, number]} | null, error?: any}} Result
 * @typedef {{id: string, name: string, state: string, position: number | null, images: number,
 *   skipped: {name: string, detail: string}[], epochs: number, progress: number,
 *   history: {stage: string, epoch: number, loss: number, validation_auroc: number, seconds: number}[],
 *   model: string | null, error: string | null, notes: string[], created: string}} Training
 */

const TOKEN = "adacl-token";
const PAUSE = 2000;

/** What the service answered instead of a result. */
export class Problem extends Error {
  /** @param {number} status @param {any} body As RFC 9457 says. */
  constructor(status, body) {
    super(body?.detail || body?.title || `The server answered with status ${status}.`);
    this.status = status;
    this.body = body ?? {};
  }
}

/** @param {number} milliseconds @param {AbortSignal} [signal] */
const sleep = (milliseconds, signal) =>
  new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => (clearTimeout(timer), reject(signal.reason)), {
      once: true,
    });
  });

/** @returns {Record<string, string>} */
export function authorization() {
  const token = sessionStorage.getItem(TOKEN);
  return token ? { Authorization: `Bearer ${token}` } : {};
}

/** @type {Promise<boolean> | null} */
let asking = null;

/** Ask the user for the token. @returns {Promise<boolean>} False where they would not say. */
export function askForToken() {
  asking ??= new Promise((resolve) => {
    const dialog = $("token");
    if (sessionStorage.getItem(TOKEN))
      $("token-text").textContent = "The server did not accept this token. Ask whoever started the server for it.";
    $("token-input").value = "";
    dialog.returnValue = "";
    dialog.addEventListener(
      "close",
      () => {
        const given = dialog.returnValue === "ok";
        if (given) sessionStorage.setItem(TOKEN, $("token-input").value.trim());
        asking = null;
        resolve(given);
      },
      { once: true },
    );
    dialog.showModal();
  });
  return asking;
}

/** @type {Promise<void> | null} */
let waiting = null;
/** Called when the server is there again, or has become another. @type {() => void} */
let renew = () => {};

/** @param {() => void} then */
export function onRenewal(then) {
  renew = then;
}

/** Wait until the server answers again, and say so meanwhile. */
function serverBack() {
  waiting ??= (async () => {
    for (let lost = false; ; lost = true) {
      const healthy = await fetch("/healthz").then(
        (response) => response.ok,
        () => false,
      );
      if (healthy) {
        say($("banner"), null);
        if (lost) renew();
        break;
      }
      say(
        $("banner"),
        "The server does not answer. Trying again every two seconds; nothing is lost.",
      );
      await sleep(PAUSE);
    }
    waiting = null;
  })();
  return waiting;
}

/**
 * Send a request, however often it takes.
 * @param {string} path
 * @param {RequestInit & {patient?: boolean, onBusy?: (seconds: number) => void, content?: Record<string, string>}} [options]
 *   `patient` waits as long as a busy server says and tries again, telling `onBusy`; `content` are
 *   headers of the body.
 * @returns {Promise<Blob>} What it answers with success, whole.
 */
export async function request(
  path,
  { patient = false, onBusy = () => {}, content = {}, ...options } = {},
) {
  const signal = options.signal ?? undefined;
  for (let cuts = 0; ;) {
    const headers = { ...authorization(), ...content };
    let response;
    try {
      response = await fetch(path, { ...options, headers });
      if (response.ok) return await response.blob();
    } catch (error) {
      signal?.throwIfAborted();
      if (++cuts > 2)
        throw new Problem(0, { detail: "The server cut the connection off, three times." });
      await serverBack();
      continue;
    }
    if (response.status === 401) {
      const renewed = headers.Authorization !== authorization().Authorization;
      if (renewed || (await askForToken())) continue;
    }
    if (patient && (response.status === 503 || response.status === 429)) {
      const seconds = Number(response.headers.get("Retry-After")) || 1;
      onBusy(seconds);
      await sleep(1000 * seconds, signal);
      continue;
    }
    if (response.status === 404) renew(); // started anew, without what the page knew
    throw new Problem(response.status, await response.json().catch(() => null));
  }
}

/** @param {string} path @param {Parameters<typeof request>[1]} [options] @returns {Promise<any>} */
export const json = async (path, options) => JSON.parse(await (await request(path, options)).text());

/**
 * Send images for training; the browser tells how far it is.
 * @param {string} path
 * @param {FormData} body
 * @param {(share: number) => void} onProgress
 * @param {AbortSignal} signal
 * @returns {Promise<any>}
 */
export async function upload(path, body, onProgress, signal) {
  for (;;) {
    const { status, text } = await new Promise((resolve, reject) => {
      const sender = new XMLHttpRequest();
      sender.open("POST", path);
      for (const [name, value] of Object.entries(authorization()))
        sender.setRequestHeader(name, value);
      sender.upload.onprogress = (event) => onProgress(event.loaded / event.total);
      sender.onload = () => resolve({ status: sender.status, text: sender.responseText });
      sender.onerror = () =>
        reject(new Problem(0, { detail: "The server cut the connection off, or is gone." }));
      sender.onabort = () => reject(signal.reason);
      signal.addEventListener("abort", () => sender.abort(), { once: true });
      sender.send(body);
    });
    if (status === 401 && (await askForToken())) continue;
    const answer = text.startsWith("{") ? JSON.parse(text) : null;
    if (status >= 300) throw new Problem(status, answer);
    return answer;
  }
}
