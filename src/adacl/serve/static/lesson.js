// @ts-check
/** What a new model is to learn from: normal pictures, gathered here and sent at once. */

import { json, Problem, upload } from "./api.js";
import { grab, open, stamped, UNPLUGGED } from "./camera.js";
import { $, announce, counted, duration, make, percent, say } from "./dom.js";
import { isStale } from "./files.js";
import { on, state } from "./state.js";
import { poll } from "./training.js";

/** @typedef {import("./files.js").Picked} Picked */

const SHOWN = 24;
const KIND = 100;
const SHUTTER = 250;
/** Time without a further choice, after which the server is asked how long it will take. */
const PATIENCE = 500;
/** Shorter side in pixels, up to which `adacl fit` too takes the whole picture to be normal or not. */
const THUMBNAIL = 64;

/** @type {Picked[]} */
let gathered = [];
/** @type {(() => void) | null} */
let closeCamera = null;
let opening = false;
/** Stops the sending. @type {AbortController | null} */
let sending = null;
/** Whether the user said what may be wrong. */
let told = false;

export const isSending = () => sending !== null;

/** What tells a file from others; uncompressed pictures of one camera have one size. @param {Picked} picked */
const identity = ({ file, name }) =>
  `${name} ${file.size} ${/** @type {Partial<File>} */ (file).lastModified}`;

/** @param {Picked[]} picked */
export function gather(picked) {
  if (sending) {
    say($("banner"), "Not added: other pictures are being sent. Add these once that is done.");
    return;
  }
  const known = new Set(gathered.map(identity));
  const fresh = picked.filter((one) => !known.has(identity(one)));
  gathered.push(...fresh);
  const room = SHOWN - $("pile").children.length;
  for (const { file } of fresh.slice(0, Math.max(0, room))) {
    const image = make("img", { alt: "" });
    image.onload = image.onerror = () => {
      URL.revokeObjectURL(image.src);
      suggest();
      estimate();
    };
    image.src = URL.createObjectURL(file);
    $("pile").append(make("li", {}, image));
  }
  render();
}

function forget() {
  gathered = [];
  $("pile").replaceChildren();
  say($("look-why"), null);
  render();
}

/** What is in the way of a training. @returns {string | null} */
function refusal() {
  const { min_images: min, max_images: max } = state.training;
  if (gathered.length < min)
    return `At least ${counted(min, "picture")} are needed: ${min - gathered.length} more.`;
  if (max && gathered.length > max)
    return `At most ${counted(max, "picture")} can be sent; you chose ${gathered.length.toLocaleString("en")}.`;
  return null;
}

/** @returns {string | null} */
function advice() {
  if (gathered.length < KIND)
    return `With ${KIND} or more, the model gets better. ${gathered.length} will do for a first try, but the threshold will be a rough guess.`;
  return gathered.length < 299
    ? "A good start. With 299 or more, the threshold can keep false alarms to 1 % with 95 % confidence."
    : null;
}

function render() {
  const off = !state.training.available;
  say(
    $("lesson-off"),
    off ? `This server cannot train: ${state.training.reason ?? "training is switched off"}` : null,
  );
  $("lesson-form").hidden = off;
  const count = gathered.length;
  $("lesson-count").textContent = count
    ? counted(count, "normal picture")
    : "Drop normal pictures here";
  $("lesson-clear").hidden = !count;
  const no = count ? refusal() : null;
  say($("lesson-advice"), count ? (no ?? advice()) : null);
  $("lesson-advice").classList.toggle("refused", Boolean(no));
  $("lesson-start").disabled = isSending() || !count || Boolean(no);
  estimate();
}

/** @param {string} name @returns {string} */
const chosen = (name) =>
  /** @type {any} */ (document.querySelector(`[name=${name}]:checked`)).value;

/** What was chosen for the training, as parts of a query. */
function wishes() {
  const look = chosen("look");
  const size = { "": $("lesson-size").value, tile: $("lesson-tile").value }[look] ?? look;
  return [size, chosen("course")].filter(Boolean);
}

/** @type {number | undefined} */
let due;
let asked = "";
let asking = new AbortController();

/** Ask the server how long the training will take, once choices have settled. */
function estimate() {
  const first = /** @type {HTMLImageElement | null} */ ($("pile").querySelector("img"));
  const count = gathered.length;
  const known = count && !refusal() && first?.naturalWidth;
  const { naturalWidth: width, naturalHeight: height } = first ?? {};
  const query = known
    ? [`images=${count}`, `height=${height}`, `width=${width}`, ...wishes()].join("&")
    : "";
  if (query === asked) return;
  asked = query;
  clearTimeout(due);
  asking.abort();
  say($("lesson-time"), query ? "Measuring how fast this server learns …" : null);
  if (query) due = setTimeout(measure, PATIENCE);
}

async function measure() {
  asking = new AbortController();
  const { signal } = asking;
  try {
    const onBusy = () =>
      say($("lesson-time"), "The server is measuring for another user first …");
    const options = { method: "POST", signal, patient: true, onBusy };
    const found = await json(`/v1/estimate?${asked}`, options);
    say($("lesson-time"), inWords(found));
  } catch (error) {
    if (signal.aborted) return;
    if (!(error instanceof Problem)) throw error;
    say($("lesson-time"), "The page shows how long it takes after the first epoch.");
  }
}

/** @param {{seconds: number, epoch_seconds: number, epochs: number, networks: number}} found */
function inWords({ seconds, epoch_seconds, epochs, networks }) {
  const each = `${counted(epochs, "epoch")} of ${duration(epoch_seconds)}`;
  const also =
    networks > 1 ? ` for the model, and as many for ${networks > 2 ? `each of ${networks - 1} helper networks that set` : "a helper network that sets"} its threshold` : "";
  return `About ${duration(seconds)}, measured on this server just now: ${each}${also}. Other work on the server makes it slower.`;
}

/** Choose what may be wrong by the sizes of the pictures shown, as `adacl fit` does. */
function suggest() {
  const images = [...$("pile").querySelectorAll("img")];
  if (told || images.some(({ complete }) => !complete)) return;
  const sides = images
    .map(({ naturalWidth, naturalHeight }) => Math.min(naturalWidth, naturalHeight))
    .filter(Boolean)
    .sort((a, b) => a - b);
  if (!sides.length) return;
  const middle = (sides.length - 1) / 2;
  const side = (sides[Math.floor(middle)] + sides[Math.ceil(middle)]) / 2;
  $(side <= THUMBNAIL ? "look-whole" : "look-small").checked = true;
  say($("look-why"), `Chosen for pictures of ${side} pixels on the shorter side.`);
  offer();
}

/** Leave what may be wrong as the user said. */
function keepChoice() {
  told = true;
  say($("look-why"), null);
}

/** Offer what goes with what may be wrong. */
function offer() {
  const look = chosen("look");
  $("entry-size").hidden = look !== "";
  $("entry-tile").hidden = look !== "tile";
  const whole = look === "";
  $("course-accurate").hidden = !whole;
  if (!whole && chosen("course") === "preset=accurate")
    /** @type {any} */ (document.querySelector("[value='epochs=10']")).checked = true;
  estimate();
}

/** @param {Event} event */
async function submit(event) {
  event.preventDefault();
  setRecording(false);
  say($("lesson-wrong"), null);
  const name = $("lesson-name").value.trim();
  const body = new FormData();
  for (const { file, name } of gathered) body.append("files", file, name);
  sending = new AbortController();
  const { signal } = sending;
  render();
  $("upload").hidden = false;
  try {
    await upload(
      `/v1/trainings?${["name=" + encodeURIComponent(name), ...wishes()].join("&")}`,
      body,
      (share) => {
        $("upload-bar").value = share;
        $("upload-text").textContent =
          share < 1 ? `Sending the pictures, ${percent(share, 0)}` : "The server checks the pictures";
      },
      signal,
    );
    forget();
    told = false;
    $("lesson-name").value = "";
    announce(`The training of ${name} is in the queue.`);
  } catch (error) {
    if (signal.aborted) return;
    if (!(error instanceof Problem)) throw error;
    say($("lesson-wrong"), (error.status === 0 && (await stale())) || error.message);
  } finally {
    sending = null;
    $("upload").hidden = true;
    render();
  }
  await poll();
  $("trainings").firstElementChild?.scrollIntoView({ block: "nearest" });
}

/** Leave out files that have changed or are gone, and say so. @returns {Promise<string | null>} */
async function stale() {
  const gone = await Promise.all(gathered.map(({ file }) => isStale(file)));
  const names = gathered.filter((_, i) => gone[i]).map(({ name }) => name);
  gathered = gathered.filter((_, i) => !gone[i]);
  return names.length
    ? `${counted(names.length, "picture")} changed or went after you chose them, and are left out now, such as ${names[0]}. Start again, or choose them anew.`
    : null;
}

async function film() {
  if (closeCamera || opening) return;
  opening = true;
  try {
    closeCamera = await open($("lesson-video"), () => {
      closeFilm();
      say($("lesson-wrong"), UNPLUGGED);
    });
    say($("lesson-wrong"), null);
  } catch (error) {
    say($("lesson-wrong"), /** @type {Error} */ (error).message);
    return;
  } finally {
    opening = false;
  }
  if ($("teach").hidden) return closeFilm();
  $("filming").hidden = false;
  $("record").focus();
}

export function closeFilm() {
  closeCamera?.();
  closeCamera = null;
  setRecording(false);
  $("filming").hidden = true;
}

let recording = 0;
/** @param {boolean} on */
function setRecording(on) {
  $("record").setAttribute("aria-pressed", String(on));
  $("record").textContent = on ? "Stop recording" : "Record";
  clearInterval(recording);
  if (!on) return;
  recording = setInterval(
    async () => gather([{ file: await grab($("lesson-video")), name: stamped() }]),
    SHUTTER,
  );
}

export function start() {
  $("lesson").addEventListener("submit", submit);
  $("lesson-clear").addEventListener("click", () => {
    const all = counted(gathered.length, "picture");
    if (confirm(`Start over without the ${all}? Recorded ones are kept nowhere else.`)) forget();
  });
  for (const choice of document.querySelectorAll(
    "[name=look], [name=course], #lesson-size, #lesson-tile",
  ))
    choice.addEventListener("change", offer);
  for (const choice of document.querySelectorAll(
    "[name=look], [value='preset=accurate'], #lesson-size",
  ))
    choice.addEventListener("change", keepChoice);
  offer();
  $("upload-stop").addEventListener("click", () => sending?.abort());
  $("film").addEventListener("click", film);
  $("film-close").addEventListener("click", closeFilm);
  $("record").addEventListener("click", () =>
    setRecording($("record").getAttribute("aria-pressed") !== "true"),
  );
  document.addEventListener("visibilitychange", () => setRecording(false));
  on("models", render);
}
