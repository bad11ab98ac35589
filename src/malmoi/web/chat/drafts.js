/** What people have typed and not sent, kept per account and conversation in this browser until the server has it. */
import { session } from '../shell/state.js';

/** @param {string|null} conversationId */
const key = (conversationId) => `malmoi.draft.${session.value?.account?.id ?? ''}.${conversationId ?? 'new'}`;

/** @param {string|null} conversationId @returns {string} */
export function readDraft(conversationId) {
  try { return localStorage.getItem(key(conversationId)) ?? ''; } catch { return ''; }
}

/** @param {string|null} conversationId @param {string} text */
export function writeDraft(conversationId, text) {
  try {
    if (text) localStorage.setItem(key(conversationId), text);
    else localStorage.removeItem(key(conversationId));
  } catch {
    // Storage is full or forbidden: the text is still in the box.
  }
}
