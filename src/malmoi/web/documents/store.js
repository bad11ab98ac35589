/** What the page of documents knows: the collections, the documents of the open one, and what is on its way. */
import { computed, signal } from '@preact/signals';
import { get, patch, post, remove, upload } from '../shell/api.js';
import { complain } from '../shell/notices.js';
import { navigate, route } from '../shell/router.js';

/**
 * @typedef {{id: string, name: string, description: string, everybody: boolean, right: 'read'|'write'|'own', owner: string,
 *   documents: number, unfinished: number}} Collection
 * @typedef {{id: string, collection_id: string, name: string, title: string, version: number, format: string, size: number,
 *   pages: number|null, length: number, status: 'waiting'|'parsing'|'indexing'|'ready'|'failed', progress: number,
 *   error: {message: string, fix: string, reason?: string}|null, remarks: string[], created_at: string}} Document
 * @typedef {{id: number, name: string, share: number, error: unknown, stop: AbortController}} Upload
 * @typedef {{document_id: string, collection_id: string, title: string, name: string, start: number, end: number, headings: string[],
 *   page: number|null, place: string, text: string, matches: [number, number][], score: number}} Hit
 */

const POLL = 1000; // ms between looks at documents that are being indexed
const AT_ONCE = 2; // files that are sent side by side

export const collections = signal(/** @type {Collection[]|null} */ (null));
export const documents = signal(/** @type {Document[]} */ ([]));
export const cursor = signal(/** @type {string|null} */ (null));
export const uploads = signal(/** @type {Upload[]} */ ([]));
/** The collection that is open: that of the address, else the first one. */
export const collection = computed(() => collections.value?.find((item) => item.id === route.value.id) ?? (route.value.id ? null : collections.value?.[0] ?? null));
export const mayWrite = computed(() => Boolean(collection.value) && collection.value?.right !== 'read');

let polling = 0;
let count = 0;
/** @type {{file: File, to: string, entry: Upload}[]} */
const waiting = [];
let sending = 0;

export async function loadCollections() {
  collections.value = (await get('/documents/collections')).items;
}

/** @param {string} id */
const files = (id) => `/documents/collections/${encodeURIComponent(id)}/files`;
/** @param {string} id */
export const file = (id) => `/documents/files/${encodeURIComponent(id)}`;

/** Load the first documents of the open collection, or (`more`) those behind them. */
export async function loadDocuments({ more = false } = {}) {
  const open = collection.value;
  if (!open) { documents.value = []; cursor.value = null; return; }
  const page = await get(`${files(open.id)}?limit=50${more && cursor.value ? `&cursor=${encodeURIComponent(cursor.value)}` : ''}`);
  if (collection.value?.id !== open.id) return; // somebody has gone on
  documents.value = more ? [...documents.value, ...page.items] : page.items;
  cursor.value = page.next_cursor;
  follow();
}

/** Keep looking at documents that are not ready. */
function follow() {
  clearTimeout(polling);
  const open = collection.value;
  if (!open || !documents.value.some(isUnfinished)) return;
  polling = setTimeout(async () => {
    try {
      const page = await get(`${files(open.id)}?unfinished=true&limit=200`);
      if (collection.value?.id !== open.id) return;
      const busy = new Map(page.items.map((/** @type {Document} */ item) => [item.id, item]));
      const ended = documents.value.filter((item) => isUnfinished(item) && !busy.has(item.id));
      const known = await Promise.all(ended.map((item) => get(file(item.id)).catch(() => null)));
      const done = new Map(ended.map((item, place) => [item.id, known[place]]));
      documents.value = documents.value.flatMap((item) => {
        const now = done.has(item.id) ? done.get(item.id) : busy.get(item.id) ?? item;
        return now ? [now] : [];
      });
      // What has become ready took the place of an older file with its name.
      const ready = new Map(known.flatMap((item) => (item?.status === 'ready' ? [[item.name, item.id]] : [])));
      documents.value = documents.value.filter((item) => !ready.has(item.name) || ready.get(item.name) === item.id || isUnfinished(item));
      if (ended.length) await loadCollections();
    } catch { /* the next look will tell */ }
    follow();
  }, POLL);
}

/** @param {Document} item */
export const isUnfinished = (item) => ['waiting', 'parsing', 'indexing'].includes(item.status);

/** The page is left. */
export function rest() {
  clearTimeout(polling);
}

/** @param {string} name @param {string} description */
export async function createCollection(name, description) {
  const made = await post('/documents/collections', { name, description });
  await loadCollections();
  navigate(`/documents/${made.id}`);
}

/** @param {string} id @param {Record<string, unknown>} changes */
export async function changeCollection(id, changes) {
  await patch(`/documents/collections/${encodeURIComponent(id)}`, changes);
  await loadCollections();
}

/** @param {string} id */
export async function deleteCollection(id) {
  await remove(`/documents/collections/${encodeURIComponent(id)}`);
  await loadCollections();
  navigate('/documents');
}

/** @param {string} id */
export async function deleteDocument(id) {
  await remove(file(id));
  documents.value = documents.value.filter((item) => item.id !== id);
  await loadCollections();
}

/** Read and index a document once more. @param {string} id */
export async function retry(id) {
  const now = await post(`${file(id)}/retry`);
  documents.value = documents.value.map((item) => (item.id === id ? now : item));
  follow();
}

/** Send files into the open collection, a few at a time. @param {File[]} chosen */
export function send(chosen) {
  const to = collection.value?.id;
  if (!to) return;
  for (const each of chosen) {
    const entry = { id: ++count, name: each.webkitRelativePath || each.name, share: 0, error: null, stop: new AbortController() };
    uploads.value = [...uploads.value, entry];
    waiting.push({ file: each, to, entry });
  }
  next();
}

/** @param {number} id @param {Partial<Upload>} changes */
const note = (id, changes) => { uploads.value = uploads.value.map((item) => (item.id === id ? { ...item, ...changes } : item)); };
/** Take an upload out of the list, and stop it if it runs. @param {Upload} entry */
export function dismiss(entry) {
  entry.stop.abort();
  uploads.value = uploads.value.filter((item) => item.id !== entry.id);
}

function next() {
  while (sending < AT_ONCE && waiting.length) {
    const item = /** @type {{file: File, to: string, entry: Upload}} */ (waiting.shift());
    if (!item.entry.stop.signal.aborted) { sending += 1; sendOne(item); }
  }
}

/** @param {{file: File, to: string, entry: Upload}} item */
async function sendOne({ file: content, to, entry }) {
  try {
    await upload(`${files(to)}?name=${encodeURIComponent(entry.name)}`, content, {
      signal: entry.stop.signal, onProgress: (share) => note(entry.id, { share }),
    });
    uploads.value = uploads.value.filter((item) => item.id !== entry.id);
  } catch (error) {
    if (!entry.stop.signal.aborted) note(entry.id, { error });
  } finally {
    sending -= 1;
    next();
  }
  if (!sending && !waiting.length) {
    try {
      await Promise.all([loadCollections(), loadDocuments()]);
    } catch (error) { complain(error); }
  }
}

/** @param {string} query @param {string|null} within a collection's id @returns {Promise<Hit[]>} */
export async function search(query, within) {
  return (await post('/documents/search', { query, collections: within ? [within] : [], limit: 20 })).items;
}
