// The data of the page, and what follows from a threshold.

const $ = id => document.getElementById(id);
const make = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};
const data = JSON.parse($("data").textContent);
const whole = count => count.toLocaleString("en");
const percent = share => (100 * share).toFixed(1) + " %";
const clipped = raw => Math.min(1, Math.max(0, raw)).toFixed(4);

const groups = new Map(data.groups.map(group => {
  const above = new Float64Array(group.steps.length + 1);
  for (let i = group.steps.length - 1; i >= 0; i--) above[i] = above[i + 1] + group.counts[i];
  return [group.name, { ...group, unit: data.steps, above, total: above[0] }];
}));
const normal = groups.get("normal"), anomalous = groups.get("anomalous"), made = groups.get("made");
const all = [...groups.values()].filter(group => group !== made);
const total = all.reduce((sum, group) => sum + group.total, 0);

let limit = data.threshold;

// A threshold is one of the two given, or a whole number of steps: there the counts are exact.
const exact = value => value === data.threshold || value === data.own
  ? value : Math.round(value * data.steps) / data.steps;

const aboveStep = (group, step) => {
  let low = 0, high = group.steps.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (group.steps[middle] < step) low = middle + 1; else high = middle;
  }
  return group.above[low];
};
const flaggedOf = (group, value) => {
  if (value === data.threshold) return group.flagged[0];
  if (value === data.own) return group.flagged[1];
  return aboveStep(group, Math.round(value * data.steps));
};

// The share of held-out normals above a value, between the points of the model's curve.
const expected = value => {
  if (!data.curve) return null;
  const curve = data.curve, last = curve.length - 1;
  if (value < curve[0][0]) return 1;
  if (value >= curve[last][0]) return curve[last][1];
  let i = 0;
  while (curve[i + 1][0] <= value) i++;
  const [x0, y0] = curve[i], [x1, y1] = curve[i + 1];
  return y0 + (y1 - y0) * (value - x0) / (x1 - x0);
};

const outcome = value => {
  const flagged = all.reduce((sum, group) => sum + flaggedOf(group, value), 0);
  const tested = anomalous ?? made;
  const measured = normal ? flaggedOf(normal, value) / normal.total : null;
  return {
    flagged,
    fpr: measured ?? expected(value),
    fprNote: normal ? `of ${whole(normal.total)} normal images`
      : data.curve ? `of ${data.held_out} score higher${value === data.threshold ? data.promise : ""}`
        : "no held-out normal images to tell from",
    tpr: tested ? flaggedOf(tested, value) / tested.total : null,
  };
};

// Points of the ROC (false positives, true positives) and of precision over recall.
const curves = () => {
  const steps = [...new Set([...normal.steps, ...anomalous.steps])].sort((a, b) => b - a);
  const roc = [[0, 0]], precision = [];
  for (const step of steps) {
    const wrong = aboveStep(normal, step), right = aboveStep(anomalous, step);
    roc.push([wrong / normal.total, right / anomalous.total]);
    if (right + wrong) precision.push([right / anomalous.total, right / (right + wrong)]);
  }
  return { roc, precision };
};
const rows = data.rows, kept = rows.raw.length, seen = new Set(rows.seen);
const isFlagged = row => rows.raw[row] > limit;
const labelOf = row => rows.labels ? ["normal", "anomalous"][rows.labels[row]] : null;
const fullName = row => rows.folder ? rows.folder + "/" + rows.names[row] : rows.names[row];
const folders = new Set(rows.names.slice(0, kept).map(name => name.slice(0, Math.max(0, name.lastIndexOf("/")))));
const caption = row => fullName(row).split("/").slice(folders.size > 1 ? -2 : -1).join("/");
const remarkOf = row => rows.remarks[row] ? `score may be wrong: ${rows.remarks[row]}` : null;
const reasonOf = row => rows.reasons[row - kept];

// The mark of a row is text and shape, not colour alone.
const mark = (row, score = true) => row >= kept
  ? make("span", { className: "mark broken" }, "could not be read")
  : make("span", { className: "mark " + (isFlagged(row) ? "flagged" : "passed") },
    (score ? clipped(rows.raw[row]) + " " : "") + (isFlagged(row) ? "flagged" : "normal"));

const crisp = picture => picture.classList.toggle("crisp", picture.naturalWidth <= 128);
const image = (source, words, kind) => {
  const picture = make("img", { alt: words, className: kind, src: source });
  picture.addEventListener("load", () => crisp(picture), { once: true });
  return picture;
};
