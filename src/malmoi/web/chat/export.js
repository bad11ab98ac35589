/** Files out and in: a conversation as JSON or Markdown, all of them as JSON, and what other programs exported. */
import { post, request } from '../shell/api.js';
import { saveFile } from '../shell/save-file.js';
import { refreshConversations } from './store.js';

/** A title as a file name on any system. @param {string} title */
export const fileName = (title) =>
  title.normalize('NFC').replace(/[\u0000-\u001f<>:"/\\|?*]+/g, ' ').trim().replace(/^\.+/, '').slice(0, 60).trim() || 'malmoi';

/** @param {{id: string, title: string}} conversation @param {'json'|'md'} format */
export async function exportConversation({ id, title }, format) {
  const response = await request('GET', `/chat/conversations/${id}/export?format=${format}`);
  saveFile(await response.blob(), `${fileName(title || 'malmoi')}.${format}`);
}

export async function exportAll() {
  const response = await request('GET', '/chat/export');
  saveFile(await response.blob(), `malmoi-${new Date().toISOString().slice(0, 10)}.json`);
}

/**
 * Import a file of ours, of ChatGPT or of Open WebUI.
 * @param {File} file
 * @returns {Promise<{imported: number, skipped: {index: number, title: string, reason: string}[]}>}
 */
export async function importFile(file) {
  const report = await post('/chat/import', JSON.parse(await file.text()));
  await refreshConversations();
  return report;
}
