// @ts-check
/** What was scored in this tab: kept over a reload, forgotten after a day. */

import { emit, modelOf, on, thresholdOf } from "./state.js";

/**
 * @typedef {{id: number, at: number, batch: number, copy: number, name: string, model: string, error: string | null,
 *   raw: number, score: number, limit: number, height: number, width: number, tile: [number, number] | null,
 *   map: string | null, peak: [number, number] | null, range: [number, number] | null,
 *   thumb: Blob | null, preview: Blob | null, whole: boolean, file?: Blob, request?: string, result?: number,
 *   truth?: number, fingerprint?: string, remark?: string}} Item
 *   `batch`, the first that was given with it; `copy`, which of the results of this name and model it is;
 *   `limit`, the threshold of the model then; `file`, the original, is held until the page is left; the pictures
 *   outlast a reload, and `preview` is the original itself where `whole`; `request` and `result` are where the
 *   answer is in the log of the service, and `truth` what was said there of it; `fingerprint`, that of the model;
 *   `remark`, why the score may be wrong.
 */

/** Images kept; earlier ones go. */
export const LIMIT = 1000;
const DAY = 86_400_000;
const SMALL = 150_000;

/** In the order scored. @type {Item[]} */
export const items = [];

/** @type {IDBDatabase | null} */
let database = null;
const tab = Number((sessionStorage["adacl-tab"] ??= String(Date.now() + Math.random())));
let last = 0;

/** @template T @param {IDBRequest<T>} asked @returns {Promise<T>} */
const answer = (asked) =>
  new Promise((resolve, reject) => {
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = () => reject(asked.error);
  });

/** @param {IDBTransactionMode} mode */
const table = (mode) => database?.transaction("history", mode).objectStore("history");

/** Read what this tab scored before it was reloaded. */
export async function load() {
  try {
    const opening = indexedDB.open("adacl", 1);
    opening.onupgradeneeded = () => {
      opening.result
        .createObjectStore("history", { keyPath: ["tab", "id"] })
        .createIndex("at", "at");
    };
    database = await answer(opening);
    const old = table("readwrite")
      ?.index("at")
      .openCursor(IDBKeyRange.upperBound(Date.now() - DAY));
    if (old) old.onsuccess = () => (old.result?.delete(), old.result?.continue());
    const kept = await answer(
      /** @type {any} */ (table("readonly")).getAll(IDBKeyRange.bound([tab], [tab, []])),
    );
    items.push(...kept);
    last = items.at(-1)?.id ?? 0;
    emit("history");
  } catch (error) {
    console.info("adacl: this browser keeps no history over a reload", error);
  }
}

/** Keep an image, or what has become of it, over a reload. @param {Item} item */
export function keep(item) {
  const { file: _, ...kept } = item;
  table("readwrite")?.put({ tab, ...kept });
}

let announced = false;
/** Tell of changes now and then, not once an image: the more images, the longer all take. */
function changed() {
  if (announced) return;
  announced = true;
  setTimeout(
    () => {
      announced = false;
      emit("history");
    },
    50 + items.length / 2,
  );
}

/** A place in the order, for an image that is yet to be scored. */
export const reserve = () => ++last;

/** The name of an image, numbered where an earlier one has the same. @param {Item} item */
export const called = ({ name, copy }) => (copy > 1 ? `${name} (${copy})` : name);

/** @param {Omit<Item, "at" | "copy" | "fingerprint">} scored @returns {Item} */
export function add(scored) {
  const twins = items.filter(({ name, model }) => name === scored.name && model === scored.model);
  const copy = 1 + Math.max(0, ...twins.map(({ copy }) => copy));
  const fingerprint = modelOf(scored.model)?.fingerprint;
  const item = { ...scored, copy, at: Date.now(), fingerprint };
  items.splice(items.findLastIndex(({ id }) => id < item.id) + 1, 0, item);
  keep(item);
  while (items.length > LIMIT) remove(items[0]);
  changed();
  return item;
}

/** @param {Item} item */
export function remove(item) {
  items.splice(items.indexOf(item), 1);
  table("readwrite")?.delete([tab, item.id]);
  changed();
}

/** Forget all; told of once it is, so that none comes back if the page is left then. */
export async function clear() {
  items.length = 0;
  const kept = table("readwrite");
  kept?.delete(IDBKeyRange.bound([tab], [tab, []]));
  const done = kept?.transaction;
  if (done) await new Promise((resolve) => (done.oncomplete = done.onabort = resolve));
  emit("history");
}

/** @param {Item} item @returns {"failed" | "flagged" | "normal"} */
export const verdictOf = (item) =>
  item.error ? "failed" : item.raw > limitOf(item) ? "flagged" : "normal";

/** The threshold that an image is held against. @param {Item} item */
export const limitOf = (item) => (modelOf(item.model) ? thresholdOf(item.model) : item.limit);

/** @param {ImageBitmap} bitmap @param {number} side */
async function reduced(bitmap, side) {
  const scale = Math.min(1, side / Math.max(bitmap.width, bitmap.height));
  const canvas = new OffscreenCanvas(
    Math.max(1, Math.round(bitmap.width * scale)),
    Math.max(1, Math.round(bitmap.height * scale)),
  );
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return canvas.convertToBlob({ type: "image/webp", quality: 0.85 });
}

/**
 * Small copies of an image file, or none where the browser cannot read it.
 * @param {Blob} file
 * @returns {Promise<{thumb: Blob | null, preview: Blob | null, whole: boolean}>}
 */
export async function pictures(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    return { thumb: null, preview: null, whole: false };
  }
  const tiny = file.size < SMALL && Math.max(bitmap.width, bitmap.height) <= 256;
  const thumb = tiny ? file : await reduced(bitmap, 256);
  const whole = file.size < SMALL;
  const preview = whole ? file : await reduced(bitmap, 1200);
  bitmap.close();
  return { thumb, preview, whole };
}

/** The history as a CSV file. */
export function csv() {
  const quoted = (/** @type {string | number} */ value) =>
    /[",\r\n]/.test(String(value)) ? `"${String(value).replaceAll('"', '""')}"` : String(value);
  const rows = items.map((item) => {
    const scores = item.error
      ? ["", "", "", ""]
      : [item.score, item.raw, limitOf(item), Number(verdictOf(item) === "flagged")];
    const told = [item.remark ?? "", item.error ?? ""];
    return [called(item), ...scores, item.model, new Date(item.at).toISOString(), ...told];
  });
  const header = [
    "image_path",
    "pred_score",
    "raw_score",
    "threshold",
    "pred_label",
    "model",
    "scored_at",
    "remark",
    "error",
  ];
  const lines = [header, ...rows].map((row) => row.map(quoted).join(","));
  return new Blob([lines.join("\r\n") + "\r\n"], { type: "text/csv" });
}

/** Tell what was scored by an earlier model from that of the model that has its name now. */
function part() {
  for (const item of items) {
    const model = modelOf(item.model);
    if (!model || model.fingerprint === item.fingerprint) continue;
    item.model += " (earlier)";
    keep(item);
  }
  changed();
}

on("models", part);
