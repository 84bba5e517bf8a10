// The list of all images, and the larger view.

const PAGE = 25;
const list = { order: [], shown: [], page: 0, key: "raw", down: true };
const collator = new Intl.Collator("en", { numeric: true });

const sortList = () => {
  const every = Array.from(rows.names.keys());
  const value = {
    raw: row => row < kept ? rows.raw[row] : -Infinity,
    label: row => row < kept ? rows.labels[row] : -1,
  }[list.key];
  const sign = list.down ? -1 : 1;
  list.order = every.sort(list.key === "name"
    ? (a, b) => sign * collator.compare(rows.names[a], rows.names[b]) || a - b
    : (a, b) => sign * (value(a) - value(b) || 0) || a - b);
  for (const head of document.querySelectorAll("th[data-sort]"))
    if (head.dataset.sort === list.key) head.setAttribute("aria-sort", list.down ? "descending" : "ascending");
    else head.removeAttribute("aria-sort");
};

const wanted = {
  all: () => true,
  flagged: row => row < kept && isFlagged(row),
  passed: row => row < kept && !isFlagged(row),
  normal: row => labelOf(row) === "normal",
  anomalous: row => labelOf(row) === "anomalous",
  missed: row => labelOf(row) === "anomalous" && !isFlagged(row),
  alarms: row => labelOf(row) === "normal" && isFlagged(row),
  skipped: row => row >= kept,
};
let lowered = null;

const filterList = () => {
  const words = $("text").value.toLowerCase(), want = wanted[$("which").value];
  if (words) lowered ??= rows.names.map(name => name.toLowerCase());
  list.shown = list.order.filter(row => want(row) && (!words || lowered[row].includes(words)));
  list.page = Math.min(list.page, Math.max(0, Math.ceil(list.shown.length / PAGE) - 1));
};

const showList = () => {
  const start = list.page * PAGE, some = list.shown.slice(start, start + PAGE);
  $("rows").replaceChildren(...some.map(row => {
    const name = make("button", { type: "button" }, rows.names[row]);
    name.addEventListener("click", () => view(list.shown, row));
    const notes = [
      row >= kept ? reasonOf(row) : remarkOf(row),
      seen.has(row) ? "was used in fitting" : null,
      rows.tiles[row] ? `worst tile at row ${rows.tiles[row][0]}, column ${rows.tiles[row][1]}` : null,
    ].filter(Boolean);
    const cells = [
      make("td", { className: "picture" }, data.pictures[row] ? image(data.pictures[row], "", "") : make("span")),
      make("td", { className: "wide" }, name, ...notes.map(note => make("small", {}, note)),
        ...(labelOf(row) ? [make("small", { className: "label-note" }, `labelled ${labelOf(row)}`)] : [])),
      make("td", { className: "number" }, row < kept ? clipped(rows.raw[row]) : "–"),
    ];
    if (rows.labels) cells.push(make("td", { className: "label" }, labelOf(row) ?? "–"));
    return make("tr", {}, ...cells, make("td", {}, mark(row, false)));
  }));
  const end = start + some.length;
  $("place").textContent = some.length
    ? `${whole(start + 1)}–${whole(end)} of ${whole(list.shown.length)}` : "none";
  $("previous").disabled = !list.page;
  $("next").disabled = end >= list.shown.length;
};

const refreshList = resort => {
  if (!$("rows")) return;
  if (resort) sortList();
  filterList();
  showList();
};

const startList = () => {
  if (!$("rows")) return;
  $("folder").textContent = rows.folder ? `All in ${rows.folder}` : "";
  const change = () => { list.page = 0; refreshList(false); };
  $("text").addEventListener("input", change);
  $("which").addEventListener("change", change);
  const turn = by => { list.page += by; showList(); };
  $("previous").addEventListener("click", () => turn(-1));
  $("next").addEventListener("click", () => turn(1));
  for (const head of document.querySelectorAll("th[data-sort]"))
    head.querySelector("button").addEventListener("click", () => {
      const key = head.dataset.sort;
      list.down = list.key === key ? !list.down : key !== "name";
      list.key = key;
      list.page = 0;
      refreshList(true);
    });
  refreshList(true);
};

// The larger view moves through the images it was opened from.
const viewer = { rows: [], at: 0 };
const view = (some, row) => {
  viewer.rows = some;
  viewer.at = some.indexOf(row);
  showView();
  if (!$("viewer").open) $("viewer").showModal();
};
const showView = () => {
  const row = viewer.rows[viewer.at], large = previews.get(row), name = fullName(row);
  $("viewer-name").textContent = caption(row);
  const plain = large?.plain ?? data.pictures[row];
  const pictures = large?.heat ? [image(plain, caption(row), ""), image(large.heat, `${caption(row)}, heat map`, "")]
    : plain ? [image(plain, caption(row), "")]
      : [make("p", { className: "soft" }, row < kept ? "This report holds no picture of it." : reasonOf(row))];
  $("viewer-pictures").replaceChildren(...pictures);
  const words = [name];
  if (row < kept) {
    words.push(`raw score ${rows.raw[row].toFixed(4)}`);
    if (labelOf(row)) words.push(`labelled ${labelOf(row)}`);
    if (rows.tiles[row]) words.push(`worst tile at row ${rows.tiles[row][0]}, column ${rows.tiles[row][1]}`);
    if (seen.has(row)) words.push("was used in fitting");
    if (remarkOf(row)) words.push(remarkOf(row));
  }
  $("viewer-words").replaceChildren(mark(row), " · " + words.join(" · "));
  $("before").disabled = viewer.at === 0;
  $("after").disabled = viewer.at === viewer.rows.length - 1;
};
const startViewer = () => {
  const move = by => {
    const next = viewer.at + by;
    if (next >= 0 && next < viewer.rows.length) { viewer.at = next; showView(); }
  };
  $("before").addEventListener("click", () => move(-1));
  $("after").addEventListener("click", () => move(1));
  $("close").addEventListener("click", () => $("viewer").close());
  $("viewer").addEventListener("click", event => { if (event.target === $("viewer")) $("viewer").close(); });
  $("viewer").addEventListener("keydown", event => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by) { event.preventDefault(); move(by); }
  });
};
