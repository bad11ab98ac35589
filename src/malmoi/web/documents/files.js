/** The files in what was dropped, pasted or chosen; folders with all that lies in them. */

const MOST = 2000; // files of one drop
// Of folders, files of these formats are taken, as by the command line; one file is always tried.
const KNOWN = /\.(?:txt|text|log|md|markdown|mdx|html|htm|xhtml|csv|tsv|tab|pdf|docx|docm|xlsx|xlsm|pptx|pptm|hwpx|hwp|eml|png|jpg|jpeg|webp|gif|bmp|tif|tiff|ipynb)$/i;

/** @typedef {{files: File[], left: number}} Found `left`: files of a folder that are of no known format */

/** @param {FileSystemEntry} entry @param {string} folder @param {Found} found */
async function walk(entry, folder, found) {
  if (found.files.length >= MOST || entry.name.startsWith('.')) return;
  if (entry.isFile) {
    if (folder && !KNOWN.test(entry.name)) { found.left += 1; return; }
    const file = await new Promise((resolve, reject) => { /** @type {FileSystemFileEntry} */ (entry).file(resolve, reject); });
    found.files.push(folder ? new File([file], `${folder}${file.name}`, { type: file.type }) : file);
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

/** @param {DataTransfer|null} transfer @returns {Promise<Found>} */
export async function filesOf(transfer) {
  if (!transfer) return { files: [], left: 0 };
  // The list of a transfer is empty as soon as its event is over: entries are taken before anything waits.
  const entries = [...transfer.items].map((item) => (item.kind === 'file' ? item.webkitGetAsEntry?.() : null)).filter(Boolean);
  const plain = [...transfer.files];
  if (!entries.some((entry) => entry?.isDirectory)) return { files: plain, left: 0 };
  const found = { files: [], left: 0 };
  for (const entry of entries) await walk(/** @type {FileSystemEntry} */ (entry), '', found);
  return found;
}

/** The files of a folder that was chosen, without hidden ones. @param {File[]} files @returns {Found} */
export function ofFolder(files) {
  const seen = files.filter((file) => !file.webkitRelativePath.split('/').some((part) => part.startsWith('.')));
  const known = seen.filter((file) => KNOWN.test(file.name));
  return { files: known.slice(0, MOST), left: seen.length - known.length };
}

/** Whether something that is dragged brings files. @param {DragEvent} event */
export const bringsFiles = (event) => Boolean(event.dataTransfer?.types.includes('Files'));
