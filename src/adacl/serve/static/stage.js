// @ts-check
/** The picture in view: its heat map, its peak, its verdict. */

import { explain, original } from "./answers.js";
import { Problem } from "./api.js";
import { $, announce, icon, make, say } from "./dom.js";
import { called, items, keep, limitOf, verdictOf } from "./history.js";
import { decode, paint } from "./heat.js";
import { emit, on, state } from "./state.js";
import { question } from "./station.js";
import { span } from "./threshold.js";

/** @typedef {import("./history.js").Item} Item */

const COARSE = 128;

export const WORDS = {
  normal: { word: "Normal", symbol: "check" },
  flagged: { word: "Anomalous", symbol: "alert" },
  failed: { word: "Not scored", symbol: "error" },
};

/** @type {Item | null} */
let current = null;
let looking = new AbortController();
let hot = false;
/** What the verdict is on: the picture in view, or what the camera sees. @type {Item | null} */
let judged = null;
/** What the map in view is of. @type {Item | null} */
let laid = null;

export const shown = () => current;

/** @param {number} score */
export const rounded = (score) => score.toFixed(3);

/**
 * Show an image of the history, or nothing.
 * @param {Item | null} item
 * @param {boolean} [aloud] Whether screen readers are told.
 */
export async function show(item, aloud = false) {
  current = item;
  looking.abort();
  looking = new AbortController();
  emit("shown");
  verdict(item);
  say($("map-text"), null);
  if (!item) return;
  const picture = $("picture");
  URL.revokeObjectURL(picture.src);
  const source = item.preview && (item.file ?? item.preview);
  picture.hidden = !source;
  const why = item.error
    ? "There is no picture to show."
    : "This browser cannot show this kind of file. Score and heat map are those of the file.";
  say($("unshown"), source ? null : why);
  if (source) {
    picture.src = URL.createObjectURL(source);
    picture.alt = called(item);
    await picture.decode().catch(() => {});
    if (current !== item) return;
  }
  const [width, height] = source
    ? [picture.naturalWidth, picture.naturalHeight]
    : [item.width, item.height];
  frame(width || 1, height || 1);
  picture.classList.toggle("coarse", Math.max(width, height) <= COARSE);
  if (aloud) announce(sentence(item));
  await overlay(item);
  if (!item.map && !item.error) await addMap(item, looking.signal);
}

/** Ask for a heat map that is not there yet. @param {Item} item @param {AbortSignal} signal */
async function addMap(item, signal) {
  say($("map-text"), "Looking closer …");
  try {
    const found = await explain(item, signal);
    if (found && items.includes(item)) keep(item);
    if (current !== item) return;
    say($("map-text"), found ? null : "No heat map: the original or its model is no longer there.");
    await overlay(item);
  } catch (error) {
    if (signal.aborted) return;
    if (!(error instanceof Problem)) throw error;
    say($("map-text"), `No heat map: ${error.message}`);
  }
}

/** Give the frame the form of the picture. @param {number} width @param {number} height */
export function frame(width, height) {
  $("frame").style.setProperty("--ratio", String(width / height));
}

/** Lay the heat map over the picture. @param {Item | null} item */
export async function overlay(item) {
  laid = item;
  $("legend").hidden = !item?.map;
  if (item?.map) say($("map-text"), null);
  const grey = item?.map ? await decode(item.map) : null;
  if (laid !== item) return;
  hot = paint($("heat"), grey, item ? outline(item) : Infinity);
  const [row, column] = item?.peak ?? [0, 0];
  $("peak").style.setProperty("top", `${100 * row}%`);
  $("peak").style.setProperty("left", `${100 * column}%`);
  mark();
}

/** The level of its map above which a place is outlined. @param {Item} item */
function outline(item) {
  if (!item.range || verdictOf(item) !== "flagged") return Infinity;
  const [low, high] = item.range;
  if (limitOf(item) <= low) return Infinity;
  return (255 * (limitOf(item) - low)) / (high - low);
}

function mark() {
  const strength = $("strength").valueAsNumber;
  $("strength-text").textContent = `${strength} %`;
  $("heat").style.opacity = String(strength / 100);
  $("frame").classList.toggle("hot", hot && strength > 0);
  $("peak").hidden =
    !hot || !laid || verdictOf(laid) !== "flagged" || !$("show-peak").checked;
}

/** @param {Item} item */
function sentence(item) {
  const { word } = WORDS[verdictOf(item)];
  return item.error
    ? `${called(item)}: ${word}. ${item.error}`
    : `${called(item)}: ${word}, score ${rounded(item.score)}. ${doubt(item)}`.trimEnd();
}

/** Why the score of an image may be wrong. @param {Item} item */
const doubt = ({ remark }) => (remark ? `The score may be wrong: ${remark}.` : "");

/** @type {(item: Item) => void} */
let again = () => {};
/** @param {(item: Item) => void} then Scores an image anew, with the model in use. */
export function onAgain(then) {
  again = then;
}

/** Show the verdict on an image, in the card beside it. @param {Item | null} [item] */
export function verdict(item = judged) {
  judged = item;
  const card = $("verdict");
  card.hidden = !item;
  if (!item) return;
  const kind = verdictOf(item);
  const { word, symbol } = WORDS[kind];
  card.className = `card verdict is-${kind}`;
  const parts = [make("p", { class: "badge" }, icon(symbol), word)];
  if (item.error) parts.push(make("p", {}, item.error));
  else
    parts.push(make("p", { class: "score" }, rounded(item.score), beyond(item.raw)), gauge(item));
  if (item.remark) parts.push(make("p", { class: "notice" }, doubt(item)));
  parts.push(facts(item));
  if (state.model && item.model !== state.model.name && original(item)) {
    const label = `Score it with ${state.model.name}`;
    parts.push(
      make("button", { type: "button", class: "small", onclick: () => again(item) }, label),
    );
  }
  const asked = question(item, () => {
    const seen = judged === item;
    if (seen) verdict();
    return seen;
  });
  if (asked) parts.push(asked);
  card.replaceChildren(...parts);
}

/** @param {number} raw */
function beyond(raw) {
  const saturated = raw < 0 || raw > 1;
  return make("small", {}, saturated ? `${rounded(raw)} unclipped` : "of 1");
}

/** @param {Item} item */
function gauge(item) {
  const limit = limitOf(item);
  const [low, high] = span(item.model);
  const at = (/** @type {number} */ score) =>
    String(Math.min(1, Math.max(0, (score - low) / (high - low))));
  const bar = make("i");
  const marker = make("b");
  const label = make("span", {}, `threshold ${rounded(limit)}`);
  bar.style.setProperty("--at", at(item.raw));
  for (const part of [marker, label]) part.style.setProperty("--at", at(limit));
  const text = `Score ${rounded(item.score)} of 1, threshold ${rounded(limit)}`;
  const title = `From ${rounded(low)} to ${rounded(high)}, where the scores of this model lie`;
  return make("div", { class: "gauge", role: "img", title, "aria-label": text }, bar, marker, label);
}

/** @param {Item} item */
function facts(item) {
  const rows = [["Picture", called(item)]];
  if (item.width) rows.push(["Size", `${item.width} × ${item.height}`]);
  if (item.tile) rows.push(["Worst tile", `row ${item.tile[0]}, column ${item.tile[1]}`]);
  if (state.models.length > 1 || item.model !== state.model?.name) rows.push(["Model", item.model]);
  const cells = rows.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]);
  return make("dl", { class: "facts" }, ...cells);
}

export function start() {
  const bare = (/** @type {boolean} */ on) => $("frame").classList.toggle("bare", on);
  for (const holder of [$("compare"), $("frame")]) {
    holder.addEventListener("pointerdown", () => bare(true));
    for (const name of ["pointerup", "pointercancel", "pointerleave"])
      holder.addEventListener(name, () => bare(false));
  }
  $("compare").addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    if (event.key === " " || event.key === "Enter") bare(true);
  });
  for (const name of ["keyup", "blur"]) $("compare").addEventListener(name, () => bare(false));
  $("strength").addEventListener("input", mark);
  $("show-peak").addEventListener("change", mark);
  on("threshold", () => {
    verdict();
    overlay(laid);
  });
  on("model", () => verdict());
  on("history", () => {
    if (current && !items.includes(current)) show(items.at(-1) ?? null);
  });
}
