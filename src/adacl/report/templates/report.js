// What happens on the page: the threshold, the galleries, the theme.

const SHOWN = 12;
const previews = new Map();
const galleries = [...document.querySelectorAll("[data-gallery]")];

for (const card of document.querySelectorAll(".gallery li")) {
  const plain = card.querySelector(".plain"), heat = card.querySelector(".heat");
  if (plain?.src) previews.set(Number(card.dataset.row), { plain: plain.src, heat: heat.src });
}

// A few rows with the smallest values, in rising order.
const closest = (some, value) => {
  const best = [];
  for (const row of some) {
    const key = value(row);
    if (best.length === SHOWN && key >= best[SHOWN - 1][0]) continue;
    let at = best.length;
    while (at && best[at - 1][0] > key) at--;
    best.splice(at, 0, [key, row]);
    if (best.length > SHOWN) best.pop();
  }
  return best.map(pair => pair[1]);
};
const scored = Array.from(rows.raw.keys());
const worst = closest(scored, row => -rows.raw[row]);
const others = scored.filter(row => !worst.includes(row));
const members = {
  worst: () => worst,
  borderline: () => closest(others, row => Math.abs(rows.raw[row] - limit)),
  missed: () => closest(scored.filter(wanted.missed), row => rows.raw[row]),
  alarms: () => closest(scored.filter(wanted.alarms), row => -rows.raw[row]),
};

const card = row => {
  const large = previews.get(row), small = data.pictures[row], name = caption(row);
  const button = make("button", { type: "button" });
  const plain = large?.plain ?? small, heat = large?.heat;
  button.append(
    plain ? image(plain, name, "plain") : make("span", { className: "none plain" }, "no picture here"),
    heat ? image(heat, `${name}, heat map`, "heat") : make("span", { className: "none heat" }, "no heat map here"));
  const item = make("li", {}, button, make("span", { className: "name" }, name), mark(row));
  item.dataset.row = row;
  return item;
};
const fillGalleries = () => {
  for (const gallery of galleries) {
    const some = members[gallery.dataset.gallery]();
    const now = [...gallery.children].map(item => Number(item.dataset.row));
    if (now.length === some.length && some.every((row, i) => row === now[i]))
      for (const item of gallery.children) item.querySelector(".mark").replaceWith(mark(Number(item.dataset.row)));
    else gallery.replaceChildren(...some.map(card));
    gallery.nextElementSibling.hidden = some.length > 0;
  }
};

const sides = anomalous ? [["normal", normal, "normal"], ["anomalous", anomalous, "anomalous"]]
  : made ? [["normal, learned from", groups.get("trained on"), "normal"], ["anomalies made from them", made, "anomalous"]]
    : [["images", groups.get("image"), "normal"]];
const ends = [...groups.values()].flatMap(group => [group.steps[0], group.steps.at(-1) + 1])
  .map(step => Math.min(1.5, Math.max(-0.5, step / data.steps)));
const range = zoomed([data.threshold, data.own, ...ends]);
const points = anomalous ? curves() : null;

const drawScores = () => {
  const now = outcome(limit);
  histogram($("histogram"), sides.filter(side => side[1]).map(([title, group, kind]) => ({ ...group, title, kind })),
    range, limit, `Histogram of the scores, with the threshold at ${limit.toFixed(4)}`);
  if (!points) return;
  square($("roc"), "ROC", ["false-positive rate", "true-positive rate"], points.roc, [now.fpr, now.tpr], [[0, 0], [1, 1]],
    `ROC curve; at the threshold ${percent(now.tpr)} of the anomalies are found at ${percent(now.fpr)} false alarms`);
  const base = anomalous.total / total, right = flaggedOf(anomalous, limit);
  const precision = now.flagged ? right / now.flagged : null;
  square($("precision"), "Precision and recall", ["recall (anomalies found)", "precision"], points.precision,
    precision === null ? null : [now.tpr, precision], [[0, base], [1, base]],
    `Precision over recall; at the threshold ${precision === null ? "nothing is flagged" : percent(precision) + " of what is flagged is anomalous"}`);
};
const drawTraining = () => {
  const epochs = data.history.epochs, best = data.history.best_epoch;
  lines($("loss"), [{ name: "loss", values: epochs.map(e => e.loss) }], best,
    `Loss over ${epochs.length} epochs, from ${epochs[0].loss.toFixed(4)} to ${epochs.at(-1).loss.toFixed(4)}`);
  const kinds = Object.keys(epochs[best].kind_auroc);
  lines($("areas"), [{ name: "all kinds", values: epochs.map(e => e.validation_auroc) },
    ...kinds.map(kind => ({ name: kind, values: epochs.map(e => e.kind_auroc[kind] ?? NaN) }))], best,
  `AUROC against made anomalies over the epochs; in the one kept ${epochs[best].validation_auroc.toFixed(4)}`);
};

const put = (id, value, note) => {
  if (!$(id)) return;
  $(id).textContent = value;
  if (note !== undefined) $(id + "-note").textContent = note;
};
let speaking = 0;
const speak = words => {
  clearTimeout(speaking);
  speaking = setTimeout(() => { $("spoken").textContent = words; }, 400);
};
const showThreshold = from => {
  const now = outcome(limit);
  $("slider").setAttribute("aria-valuetext", limit.toFixed(4));
  if (from !== "slider") $("slider").value = limit;
  if (from !== "value") $("value").value = limit.toFixed(4);
  $("reset").disabled = limit === data.own;
  put("flagged", whole(now.flagged), `of ${whole(total)} images, above ${limit.toFixed(4)}`);
  put("fpr", now.fpr === null ? "not known" : percent(now.fpr), now.fprNote);
  if (now.tpr !== null) put("tpr", percent(now.tpr));
  const parts = [];
  if (!made) parts.push(`${whole(now.flagged)} of ${whole(total)} flagged`);
  if (now.tpr !== null) parts.push(`${percent(now.tpr)} of the ${anomalous ? "" : "made "}anomalies found`);
  parts.push(now.fpr === null ? "false alarms not known"
    : `${percent(now.fpr)} false alarms${normal ? "" : ` (of ${data.held_out})`}`);
  $("outcome").textContent = parts.join(" · ");
  $("again").textContent = data.again + (limit === data.own ? "" : ` --threshold ${shortest(limit)}`);
  speak(`Threshold ${limit.toFixed(4)}: ${parts.join(", ")}`);
  drawScores();
  fillGalleries();
  refreshList(false);
};
const shortest = value => Math.round(value * data.steps) / data.steps === value ? value.toFixed(4) : String(value);
let asked = 0;
const setThreshold = (value, from) => {
  if (!Number.isFinite(value)) return;
  limit = exact(Math.min(10, Math.max(-10, value)));
  cancelAnimationFrame(asked);
  asked = requestAnimationFrame(() => showThreshold(from));
};

const startThreshold = () => {
  const step = range[1] - range[0] > 0.3 ? 0.001 : 1 / data.steps;
  Object.assign($("slider"), { min: range[0], max: range[1], step });
  $("value").step = step;
  $("slider").addEventListener("input", () => setThreshold(Number($("slider").value), "slider"));
  $("value").addEventListener("input", () => setThreshold($("value").valueAsNumber, "value"));
  $("value").addEventListener("change", () => showThreshold());
  $("reset").addEventListener("click", () => setThreshold(data.own));
  $("copy").addEventListener("click", async () => {
    getSelection().selectAllChildren($("again"));
    try { await navigator.clipboard.writeText($("again").textContent); } catch { document.execCommand("copy"); }
    $("copy").textContent = "Copied";
    setTimeout(() => { $("copy").textContent = "Copy"; }, 1500);
  });
  new IntersectionObserver(([entry]) => {
    document.querySelector(".control").classList.toggle("stuck", !entry.isIntersecting);
  }).observe($("scores"));
};

const startTheme = () => {
  const root = document.documentElement, system = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => root.dataset.theme ? root.dataset.theme === "dark" : system.matches;
  const name = () => { $("theme").textContent = dark() ? "Light" : "Dark"; };
  $("theme").addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; name(); });
  system.addEventListener("change", name);
  name();
};

document.documentElement.classList.add("script");
for (const picture of document.querySelectorAll(".gallery img"))
  if (picture.complete) crisp(picture); else picture.addEventListener("load", () => crisp(picture), { once: true });
for (const gallery of galleries)
  gallery.addEventListener("click", event => {
    const item = event.target.closest("li");
    if (item) view([...gallery.children].map(other => Number(other.dataset.row)), Number(item.dataset.row));
  });
for (const choice of document.querySelectorAll("[name=view]"))
  choice.addEventListener("change", () => { $("images").className = "view-" + choice.value; });
startTheme();
startThreshold();
startList();
startViewer();
showThreshold();
drawTraining();
$("spoken").textContent = "";
clearTimeout(speaking);
let width = innerWidth;
addEventListener("resize", () => {
  if (innerWidth === width) return;
  width = innerWidth;
  drawScores();
  drawTraining();
});
document.documentElement.dataset.ready = "yes";
