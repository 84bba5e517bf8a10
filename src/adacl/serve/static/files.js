// @ts-check
/** Image files from whatever the user drops, pastes or picks. */

/** @typedef {{file: Blob, name: string}} Picked */

const NOT_IMAGES =
  /(^|\/)(\.[^/]*|thumbs\.db|desktop\.ini)$|\.(csv|json|jsonl|html?|md|pdf|toml|txt|xml|zip)$/i;

/** @param {FileSystemEntry} entry @returns {AsyncGenerator<Picked>} */
async function* walk(entry) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) =>
      /** @type {any} */ (entry).file(resolve, reject),
    );
    yield { file, name: entry.fullPath.replace(/^\//, "") };
    return;
  }
  const reader = /** @type {any} */ (entry).createReader();
  for (;;) {
    const entries = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!entries.length) return;
    for (const child of entries) yield* walk(child);
  }
}

/** Leave out what folders hold beside images. @param {Picked[]} found */
const cleared = (found) =>
  found.length === 1 ? found : found.filter(({ name }) => !NOT_IMAGES.test(name)).sort(byName);

/** @param {Picked} a @param {Picked} b */
const byName = (a, b) => a.name.localeCompare(b.name, "en", { numeric: true });

/**
 * Files and, from folders, all files below.
 * @param {DataTransfer} transfer Of a drop or a paste.
 * @returns {Promise<Picked[]>}
 */
export async function fromTransfer(transfer) {
  // Entries are gone once the event is over: take them before the first wait.
  const entries = [...transfer.items]
    .filter(({ kind }) => kind === "file")
    .map((item) => item.webkitGetAsEntry?.());
  if (!entries.length || entries.some((entry) => !entry)) return fromList(transfer.files);
  const found = [];
  for (const entry of entries)
    if (entry) for await (const picked of walk(entry)) found.push(picked);
  return cleared(found);
}

/** Whether a file has changed or is gone since it was chosen: browsers no longer read it then. @param {Blob} file */
export const isStale = (file) =>
  file
    .slice(0, 1)
    .arrayBuffer()
    .then(
      () => false,
      () => true,
    );

/** @param {FileList} list @returns {Picked[]} */
export const fromList = (list) =>
  cleared(
    [...list].map((file) => ({ file, name: file.webkitRelativePath || file.name || "pasted.png" })),
  );
