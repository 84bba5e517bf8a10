// @ts-check
/** The history as a grid: filtered, sorted, gone through with the arrow keys. */

import { end, isOpen } from "./camera.js";
import { $, icon, make, save } from "./dom.js";
import { called, clear, csv, items, verdictOf } from "./history.js";
import { rounded, show, shown, WORDS } from "./stage.js";
import { on } from "./state.js";

/** @typedef {import("./history.js").Item} Item */

/** @type {Map<number, HTMLLIElement>} */
const tiles = new Map();
let filter = "all";

/** @type {Record<string, (a: Item, b: Item) => number>} */
const ORDERS = {
  new: (a, b) => b.batch - a.batch || a.id - b.id,
  high: (a, b) => rank(b) - rank(a),
  low: (a, b) => rank(a) - rank(b),
  name: (a, b) => a.name.localeCompare(b.name, "en", { numeric: true }),
};
/** @param {Item} item */
const rank = (item) => (item.error ? -1e9 : item.raw);

/** @param {Item} item */
function tile(item) {
  let picture;
  if (item.thumb) {
    picture = make("img", {
      alt: "",
      src: URL.createObjectURL(item.thumb),
      loading: "lazy",
      decoding: "async",
      draggable: false,
    });
    picture.classList.toggle("coarse", Math.max(item.width, item.height) <= 128);
  } else picture = make("span", { class: "blank" }, icon("images"));
  const label = make("span", { class: "label" });
  const [, folder, name] = /** @type {string[]} */ (/([^/]*\/)?([^/]*)$/.exec(called(item)));
  const button = make("button", {
    type: "button",
    class: "thumb",
    title: called(item),
    onclick: () => look(item),
  });
  const where = folder ? make("i", {}, folder) : null;
  button.append(picture, label, make("span", { class: "name" }, where, make("span", {}, name)));
  return make("li", {}, button);
}

/** @param {Item} item */
function look(item) {
  if (isOpen()) end();
  show(item, true);
  $("field").scrollIntoView({ block: "nearest" });
}

/** @param {Item} item */
function label(item) {
  const button = /** @type {HTMLElement} */ (tiles.get(item.id)?.firstElementChild);
  const kind = verdictOf(item);
  if (button.dataset.kind === kind) return;
  button.dataset.kind = kind;
  button.className = `thumb is-${kind}`;
  const { word, symbol } = WORDS[kind];
  const text = item.error ? word : rounded(item.score);
  button.children[1].replaceChildren(
    icon(symbol),
    text,
    make("span", { class: "unseen" }, `, ${word}`),
  );
}

function render() {
  for (const [id, element] of tiles)
    if (!items.length || id < items[0].id) {
      const picture = element.querySelector("img");
      if (picture) URL.revokeObjectURL(picture.src);
      tiles.delete(id);
    }
  /** @type {Record<string, number>} */
  const counts = { all: items.length, flagged: 0, normal: 0, failed: 0 };
  for (const item of items) {
    if (!tiles.has(item.id)) tiles.set(item.id, tile(item));
    label(item);
    counts[verdictOf(item)]++;
  }
  const listed = items.filter((item) => filter === "all" || verdictOf(item) === filter);
  listed.sort(ORDERS[$("sort").value]);
  const order = listed.map((item) => /** @type {HTMLLIElement} */ (tiles.get(item.id)));
  const held = document.activeElement;
  if (
    order.length !== $("gallery").children.length ||
    order.some((li, i) => $("gallery").children[i] !== li)
  ) {
    $("gallery").replaceChildren(...order);
    if (held instanceof HTMLElement && $("gallery").contains(held))
      held.focus({ preventScroll: true });
  }
  for (const button of $("filter").children) {
    const name = button.dataset.filter;
    button.setAttribute("aria-pressed", String(name === filter));
    const word = name[0].toUpperCase() + name.slice(1);
    button.replaceChildren(word, make("i", {}, counts[name].toLocaleString("en")));
  }
  $("filter").querySelector("[data-filter=failed]").hidden = !counts.failed && filter !== "failed";
  $("gallery-none").hidden = listed.length > 0 || !items.length;
  $("history").hidden = !items.length;
  current();
}

/** Mark the picture in view; it is where the Tab key enters the grid. */
function current() {
  const id = shown()?.id ?? -1;
  let entry = /** @type {any} */ (null);
  for (const li of $("gallery").children) {
    const button = li.firstElementChild;
    const is = tiles.get(id) === li;
    button.setAttribute("aria-current", String(is));
    button.tabIndex = is ? 0 : -1;
    if (is) entry = button;
  }
  const all = [...$("gallery").children];
  if (!entry && all.length) all[0].firstElementChild.tabIndex = 0;
  const at = all.indexOf(entry?.parentElement);
  $("previous").disabled = at < 1;
  $("next").disabled = at < 0 || at === all.length - 1;
}

/** Go to the picture beside the one in view. @param {-1 | 1} step */
function beside(step) {
  const all = [...$("gallery").children];
  const at = all.indexOf(/** @type {any} */ (tiles.get(shown()?.id ?? -1)));
  all[at + step]?.firstElementChild.click();
}

/** @param {KeyboardEvent} event */
function keys(event) {
  const all = [...$("gallery").children].map((li) => li.firstElementChild);
  const at = all.indexOf(document.activeElement);
  if (at < 0) return;
  const columns = getComputedStyle($("gallery")).gridTemplateColumns.split(" ").length;
  const to = {
    ArrowLeft: at - 1,
    ArrowRight: at + 1,
    ArrowUp: at - columns,
    ArrowDown: at + columns,
    Home: 0,
    End: all.length - 1,
  }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  const next = all[to];
  next?.focus();
  next?.click();
}

export function start() {
  $("gallery").addEventListener("keydown", keys);
  $("previous").addEventListener("click", () => beside(-1));
  $("next").addEventListener("click", () => beside(1));
  $("sort").addEventListener("change", render);
  $("filter").addEventListener("click", (/** @type {any} */ event) => {
    filter = event.target.closest("button")?.dataset.filter ?? filter;
    render();
  });
  $("csv").addEventListener("click", () => save(csv(), "adacl-history.csv"));
  $("clear").addEventListener("click", () => {
    const all = items.length > 1 ? `all ${items.length.toLocaleString("en")} results` : "the result";
    if (confirm(`Remove ${all} from this page? To keep the scores, save them as CSV first.`)) clear();
  });
  let due = 0;
  const soon = () => (due ||= requestAnimationFrame(() => ((due = 0), render())));
  on("threshold", soon);
  for (const name of ["history", "models"]) on(name, render);
  on("shown", current);
}
