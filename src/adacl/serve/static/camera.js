// @ts-check
/** Cameras: opening one, and grabbing its pictures; and the camera of the view "Inspect". */

import { ask, scored } from "./answers.js";
import { $, make, say } from "./dom.js";
import { items } from "./history.js";
import { score } from "./scoring.js";
import { frame, overlay, show, shown, verdict } from "./stage.js";
import { emit, state } from "./state.js";

/** @typedef {import("./history.js").Item} Item */

/**
 * Open a camera and show it.
 * @param {HTMLVideoElement} video
 * @param {() => void} lost Called when it is unplugged.
 * @returns {Promise<() => void>} Closes it.
 */
export async function open(video, lost) {
  if (!navigator.mediaDevices)
    throw new Error("The browser gives the camera only to pages from https or from localhost.");
  const wish = { video: { facingMode: "environment", width: { ideal: 1280 } }, audio: false };
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia(wish);
  } catch (error) {
    const why = /** @type {Error} */ (error);
    const reasons = {
      NotAllowedError: "The camera was not allowed.",
      NotFoundError: "There is no camera.",
    };
    throw new Error(
      reasons[/** @type {keyof typeof reasons} */ (why.name)] ??
        `The camera does not start: ${why.message}`,
    );
  }
  for (const track of stream.getTracks()) track.addEventListener("ended", lost);
  video.srcObject = stream;
  await video.play();
  return () => {
    for (const track of stream.getTracks()) track.stop();
    video.srcObject = null;
  };
}

/**
 * What the camera sees now, as a file.
 * @param {HTMLVideoElement} video
 * @param {boolean} [square] Only the largest square in the middle.
 * @returns {Promise<Blob>}
 */
export async function grab(video, square = false) {
  const side = Math.min(video.videoWidth, video.videoHeight);
  const [width, height] = square ? [side, side] : [video.videoWidth, video.videoHeight];
  const canvas = make("canvas", { width, height });
  canvas
    .getContext("2d")
    .drawImage(video, (width - video.videoWidth) / 2, (height - video.videoHeight) / 2);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.92));
}

/** The name of a picture taken now, by the clock on the wall. */
export function stamped() {
  const now = new Date();
  const local = new Date(now.getTime() - 60_000 * now.getTimezoneOffset());
  return `camera-${local.toISOString().slice(0, 23).replace(/[:.]/g, "-")}.jpg`;
}

export const UNPLUGGED = "The camera was unplugged, or another program took it.";

const PAUSE = 30;

/** @type {(() => void) | null} */
let close = null;
let opening = false;
/** Ends what is live. @type {AbortController | null} */
let live = null;
/** What comes into view after the camera. @type {Item | null} */
let before = null;

export const isOpen = () => close !== null;

async function begin() {
  if (close || opening) return;
  opening = true;
  try {
    close = await open($("video"), () => {
      leave();
      say($("banner"), UNPLUGGED);
    });
    say($("banner"), null);
  } catch (error) {
    say($("banner"), /** @type {Error} */ (error).message);
    return;
  } finally {
    opening = false;
  }
  if ($("inspect").hidden) return end();
  before = shown();
  await show(null);
  look(true);
  emit("camera");
  $("shoot").focus({ preventScroll: true });
  $("field").scrollIntoView({ block: "nearest" });
}

/** Show the camera on the stage, or the picture again. @param {boolean} on */
function look(on) {
  $("video").hidden = !on;
  $("picture").hidden = on;
  $("camera-controls").hidden = !on;
  $("controls").hidden = on;
  $("unshown").hidden = true;
  emit("shown");
  overlay(null);
  if (on) crop();
}

function crop() {
  const video = $("video");
  const square = $("square").checked;
  frame(square ? 1 : video.videoWidth, square ? 1 : video.videoHeight);
  video.classList.toggle("square", square);
}

export function end() {
  close?.();
  close = null;
  setLive(false);
  look(false);
  emit("camera");
}

/** Close the camera, and show a picture again. */
export function leave() {
  end();
  show(before && items.includes(before) ? before : (items.at(-1) ?? null));
}

/** Show a picture, or keep it until the camera is closed. @param {Item} item @param {boolean} aloud */
export function present(item, aloud) {
  if (close) before = item;
  else show(item, aloud);
}

async function shoot() {
  const file = await grab($("video"), $("square").checked);
  leave();
  score([{ file, name: stamped() }]);
}

/** @param {boolean} on */
function setLive(on) {
  live?.abort();
  live = on ? new AbortController() : null;
  $("live").setAttribute("aria-pressed", String(on));
  say($("rate"), null);
  if (live) loop(live.signal);
}

/** Score what the camera sees, one picture after another, while somebody looks. @param {AbortSignal} signal */
async function loop(signal) {
  let last = performance.now();
  while (!signal.aborted && state.model) {
    const name = "Live picture";
    const job = {
      file: await grab($("video"), $("square").checked),
      name,
      model: state.model.name,
      id: 0,
    };
    try {
      const answer = await ask([job], true, { signal });
      if (signal.aborted) return;
      const found = scored(job, answer.results[0], answer.threshold);
      const item = { ...found, at: 0, thumb: null, preview: null, whole: false, file: undefined };
      await overlay(item);
      if (signal.aborted) return;
      verdict(item);
      const now = performance.now();
      say($("rate"), `${(1000 / (now - last)).toFixed(1)} pictures a second`);
      last = now;
      await new Promise((resolve) => setTimeout(resolve, PAUSE));
    } catch (error) {
      if (signal.aborted) return;
      say($("rate"), /** @type {Error} */ (error).message);
      await new Promise((resolve) => setTimeout(resolve, 2000));
    }
  }
}

export function start() {
  for (const button of document.querySelectorAll("[data-camera]"))
    button.addEventListener("click", begin);
  $("shoot").addEventListener("click", shoot);
  $("live").addEventListener("click", () => setLive(!live));
  $("square").addEventListener("change", crop);
  $("camera-close").addEventListener("click", leave);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) setLive(false);
  });
}
