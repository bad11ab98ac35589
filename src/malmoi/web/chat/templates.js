/** Conversations that begin from a template: what is filled in, and how they begin. */
import { post } from '../shell/api.js';
import { language } from '../shell/i18n.js';
import { navigate } from '../shell/router.js';
import { choices, fresh, noteConversation } from './store.js';

/**
 * @typedef {{ko: string, en: string}} Said
 * @typedef {object} Field
 * @property {string} id
 * @property {Said} label
 * @property {Said|null} hint
 * @property {'line'|'text'|'number'|'choice'} kind
 * @property {{value: string, label: Said}[]} choices
 * @property {string} default
 * @property {boolean} required
 * @property {number} length
 * @property {number} lowest
 * @property {number} highest
 */
/**
 * @typedef {object} Template
 * @property {string} id
 * @property {'persona'|'template'} kind
 * @property {Said} name
 * @property {Said} description
 * @property {Said[]} starters
 * @property {Field[]} fields
 * @property {{name: string, installed: boolean}[]} skills
 * @property {string|null} flow
 */

/** Begin a conversation from a template, and open it. @param {Template} template @param {Record<string, string>} values */
export async function begin(template, values) {
  const { folder_id, sampling } = fresh.value;
  const conversation = await post('/chat/conversations', {
    persona_id: template.id, folder_id, sampling, model: choices.value.model,
    form: { language: language.value, values },
  });
  noteConversation(conversation);
  navigate(`/chat/${conversation.id}`);
}
