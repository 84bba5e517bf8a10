// @ts-check
/** Starts the page, and leads what is dropped, pasted or picked to the view in front. */

import { original } from "./answers.js";
import { onRenewal, Problem } from "./api.js";
import * as camera from "./camera.js";
import { $, say } from "./dom.js";
import { fromList, fromTransfer } from "./files.js";
import * as gallery from "./gallery.js";
import { items, load } from "./history.js";
import * as lesson from "./lesson.js";
import * as models from "./models.js";
import * as scoring from "./scoring.js";
import * as stage from "./stage.js";
import { on, state } from "./state.js";
import * as station from "./station.js";
import * as threshold from "./threshold.js";
import * as training from "./training.js";

const teaching = () => location.hash === "#teach";

/** @param {import("./files.js").Picked[]} picked */
function receive(picked) {
  say($("banner"), picked.length ? null : "There are no pictures among these files.");
  if (!picked.length) return;
  if (camera.isOpen()) camera.leave();
  if (teaching()) lesson.gather(picked);
  else if (!state.model) say($("banner"), "There is no model yet. Teach it what is normal first.");
  else scoring.score(picked);
}

/** Show the view that the address names. */
function route() {
  for (const name of ["inspect", "teach"]) {
    const here = (name === "teach") === teaching();
    $(name).hidden = !here;
    if (here) $(`to-${name}`).setAttribute("aria-current", "page");
    else $(`to-${name}`).removeAttribute("aria-current");
  }
  say($("banner"), null);
  if (teaching() && camera.isOpen()) camera.leave();
  if (!teaching()) lesson.closeFilm();
  if (teaching()) training.poll();
}

/** Either the first words or the picture. */
function furnish() {
  const busy = items.length > 0 || camera.isOpen();
  $("bench").hidden = !busy;
  $("empty").hidden = busy;
  $("empty-ready").hidden = !state.models.length;
  $("empty-untaught").hidden = state.models.length > 0;
}

function drops() {
  let depth = 0;
  const veil = (/** @type {boolean} */ on) => {
    $("veil").hidden = !on;
    $("veil-text").textContent = teaching() ? "Drop to teach" : "Drop to score";
  };
  addEventListener("dragenter", (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    depth++;
    veil(true);
  });
  addEventListener("dragleave", () => {
    depth = Math.max(0, depth - 1);
    if (!depth) veil(false);
  });
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", async (event) => {
    event.preventDefault();
    depth = 0;
    veil(false);
    if (event.dataTransfer) receive(await fromTransfer(event.dataTransfer));
  });
  addEventListener("paste", async (event) => {
    if (event.clipboardData?.files.length) receive(await fromTransfer(event.clipboardData));
  });
}

function pickers() {
  for (const button of document.querySelectorAll("[data-pick]")) {
    const picker = $(`pick-${/** @type {HTMLElement} */ (button).dataset.pick}`);
    button.addEventListener("click", () => {
      picker.onchange = () => {
        receive(fromList(picker.files));
        picker.value = "";
      };
      picker.click();
    });
  }
}

function theme() {
  const root = document.documentElement;
  $("theme").addEventListener("click", () => {
    const dark = root.dataset.theme
      ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    localStorage.setItem("adacl-theme", root.dataset.theme);
  });
}

async function refresh() {
  try {
    await models.refresh();
    await training.poll();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    say($("banner"), error.message);
  }
}

async function start() {
  theme();
  for (const part of [threshold, stage, gallery, scoring, models, station, camera, training, lesson])
    part.start();
  stage.onAgain((item) => {
    const file = original(item);
    if (file) scoring.score([{ file, name: item.name }]);
  });
  drops();
  pickers();
  $("skip").addEventListener("click", (/** @type {Event} */ event) => {
    event.preventDefault(); // the address names the view
    $("main").focus();
  });
  for (const name of ["history", "models", "camera"]) on(name, furnish);
  addEventListener("hashchange", route);
  addEventListener("beforeunload", (event) => {
    if (scoring.isBusy() || lesson.isSending()) event.preventDefault();
  });
  onRenewal(refresh);
  route();
  await load();
  await refresh();
  furnish();
  if (items.length) stage.show(items[items.length - 1]);
  document.documentElement.dataset.ready = "";
}

start();
