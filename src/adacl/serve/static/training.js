// @ts-check
/** The trainings of the service: how far they are, and what came out. */

import { json, Problem } from "./api.js";
import { curves } from "./curves.js";
import { $, announce, counted, duration, make, percent } from "./dom.js";
import { downloads, refresh } from "./models.js";
import { modelOf, on, selectModel, state } from "./state.js";

/** @typedef {import("./api.js").Training} Training */

const PAUSE = 1000;
const ACTIVE = ["queued", "running"];

/** @type {Training[]} */
let trainings = [];
/** @type {number | undefined} */
let timer;
let turn = 0;

/** Ask how the trainings are, again and again while one is at work. */
export async function poll() {
  clearTimeout(timer);
  const mine = ++turn;
  try {
    const answer = await json("/v1/trainings", { patient: true });
    if (mine !== turn) return;
    const before = new Map(trainings.map(({ id, state }) => [id, state]));
    /** @type {Training[]} */
    const found = answer.trainings;
    const ended = found.filter(
      ({ id, state }) => ACTIVE.includes(before.get(id) ?? "") && !ACTIVE.includes(state),
    );
    if (ended.some(({ state }) => state === "finished")) await refresh();
    if (mine !== turn) return;
    trainings = found;
    for (const { name, state } of ended) announce(`Training of ${name}: ${state}.`);
    render();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (mine !== turn || error.status === 401) return;
  }
  if (trainings.some(({ state }) => ACTIVE.includes(state))) timer = setTimeout(poll, PAUSE);
}

function render() {
  $("trainings-none").hidden = trainings.length > 0;
  const order = [...trainings].sort((a, b) => b.created.localeCompare(a.created));
  const old = new Map([...$("trainings").children].map((card) => [card.dataset.id, card]));
  const cards = order.map((training) => {
    const key = JSON.stringify([
      training,
      Boolean(training.model && modelOf(training.model)),
      state.model?.name,
    ]);
    const kept = old.get(training.id);
    if (kept?.dataset.key === key) return kept;
    const renewed = card(training, key);
    renewed
      .querySelector("details")
      ?.toggleAttribute("open", Boolean(kept?.querySelector("details")?.open));
    return renewed;
  });
  const held = document.activeElement;
  const label = held?.getAttribute("aria-label");
  for (const card of old.values()) if (!cards.includes(card)) card.remove();
  for (const [i, card] of cards.entries()) {
    const there = $("trainings").children[i] ?? null;
    if (there !== card) $("trainings").insertBefore(card, there);
  }
  if (label && held !== document.activeElement)
    $("trainings")
      .querySelector(`[aria-label="${CSS.escape(label)}"]`)
      ?.focus();
  const running = trainings.find(({ state }) => state === "running");
  $("teach-state").hidden = !running;
  if (running) $("teach-state").textContent = percent(running.progress, 0);
}

/** @param {Training} training */
function progress(training) {
  if (training.state === "queued")
    return training.position ? `Number ${training.position} in the queue` : "Next in the queue";
  if (!training.history.length) return "Starting";
  const spent = training.history.reduce((sum, { seconds }) => sum + seconds, 0);
  const left =
    training.progress > 0.02
      ? `, about ${duration((spent * (1 - training.progress)) / training.progress)} left`
      : "";
  const { stage } = training.history[training.history.length - 1];
  const epoch = training.history.filter((one) => one.stage === stage).length;
  return `${percent(training.progress, 0)}${left} · ${stage}, epoch ${epoch} of ${training.epochs}`;
}

/** @param {Training} training @param {string} key */
function card(training, key) {
  const active = ACTIVE.includes(training.state);
  const model = training.model ? modelOf(training.model) : undefined;
  const parts = [
    make(
      "div",
      { class: "row" },
      make("h3", {}, training.name),
      make("span", { class: `state ${training.state}` }, training.state),
    ),
  ];
  if (active) {
    const text = progress(training);
    parts.push(
      make("progress", {
        max: 1,
        value: training.progress,
        "aria-label": `Progress of ${training.name}`,
      }),
    );
    parts.push(make("p", { class: "soft" }, text));
  }
  const chart = curves(training.history, training.epochs, model?.kept_epoch);
  if (chart) parts.push(chart);
  if (training.error) parts.push(make("p", { class: "wrong" }, training.error));
  parts.push(
    make(
      "p",
      { class: "soft" },
      `${counted(training.images, "picture")}, ${counted(training.epochs, "epoch")}, ${new Date(training.created).toLocaleString()}`,
    ),
  );
  const notes = plain(training.notes);
  const verdict = notes.find((note) => note.startsWith("verdict: "));
  if (verdict) parts.push(make("p", { class: "judged" }, verdict));
  const steps = notes.filter((note) => note.startsWith("next: "));
  parts.push(...steps.map((step) => make("p", { class: "judged next" }, step)));
  const others = notes
    .filter((note) => note !== verdict && !steps.includes(note))
    .map((note) => make("li", {}, note));
  if (others.length) parts.push(make("ul", { class: "notes" }, ...others));
  if (training.skipped.length) parts.push(skipped(training.skipped));
  const actions = make("p", { class: "actions" });
  if (model) {
    const used = model.name === state.model?.name;
    const use = () => (selectModel(model.name), (location.hash = "#inspect"));
    actions.append(
      make(
        "button",
        { type: "button", class: "primary", onclick: use, "aria-label": `Use ${model.name}` },
        used ? "In use: inspect" : "Use it",
      ),
    );
    actions.append(...downloads(model));
  }
  const lost = `Cancel the training of ${training.name}? What it has learnt and its pictures on the server are lost.`;
  const end = async () => {
    if (active && !confirm(lost)) return;
    await json(`/v1/trainings/${encodeURIComponent(training.id)}`, { method: "DELETE" }).catch(
      () => {},
    );
    poll();
  };
  const word = active ? "Cancel" : "Remove from the list";
  actions.append(
    make(
      "button",
      { type: "button", class: "link", onclick: end, "aria-label": `${word}: ${training.name}` },
      word,
    ),
  );
  parts.push(actions);
  const article = make(
    "article",
    { class: "card training", "aria-label": `Training of ${training.name}` },
    ...parts,
  );
  Object.assign(article.dataset, { id: training.id, key });
  return article;
}

/**
 * Notes without the commands that they name, which are of no use to somebody with a mouse.
 * @param {string[]} notes
 */
const plain = (notes) =>
  notes
    .map((note) =>
      note
        .replace(/\s*\([^()]*(?:\badacl |--)[^()]*\)/g, "")
        .split("; ")
        .filter((clause) => !/\badacl |(^|\s)--/.test(clause))
        .join("; "),
    )
    .filter(Boolean);

/** @param {Training["skipped"]} files */
function skipped(files) {
  const list = files.map(({ name, detail }) =>
    make("li", {}, detail.includes(name) ? detail : `${name}: ${detail}`),
  );
  return make(
    "details",
    { class: "more" },
    make("summary", {}, `${counted(files.length, "file")} left out`),
    make("ul", { class: "notes" }, ...list),
  );
}

export function start() {
  on("model", render);
}
