/** The files in what was dropped, pasted or chosen; folders with all that lies in them. */

const MOST = 2000; // files of one drop

/** @param {FileSystemEntry} entry @param {string} folder @param {File[]} found */
async function walk(entry, folder, found) {
  if (found.length >= MOST || entry.name.startsWith('.')) return;
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => { /** @type {FileSystemFileEntry} */ (entry).file(resolve, reject); });
    found.push(folder ? new File([file], `${folder}${file.name}`, { type: file.type }) : file);
    return;
  }
  const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
  for (;;) {
    // A reader gives a hundred entries at a time, and none at the end.
    const entries = await new Promise((resolve, reject) => { reader.readEntries(resolve, reject); });
    if (!entries.length) return;
    for (const each of entries) await walk(each, `${folder}${entry.name}/`, found);
  }
}

/** @param {DataTransfer|null} transfer @returns {Promise<File[]>} */
export async function filesOf(transfer) {
  if (!transfer) return [];
  // The list of a transfer is empty as soon as its event is over: entries are taken before anything waits.
  const entries = [...transfer.items].map((item) => (item.kind === 'file' ? item.webkitGetAsEntry?.() : null)).filter(Boolean);
  const plain = [...transfer.files];
  if (!entries.some((entry) => entry?.isDirectory)) return plain;
  /** @type {File[]} */
  const found = [];
  for (const entry of entries) await walk(/** @type {FileSystemEntry} */ (entry), '', found);
  return found;
}

/** Whether something that is dragged brings files. @param {DragEvent} event */
export const bringsFiles = (event) => Boolean(event.dataTransfer?.types.includes('Files'));
