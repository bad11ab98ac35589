/** The chat's lists: conversations, folders, personas; and the choices for the next conversation. */
import { computed, signal } from '@preact/signals';
import { get, patch, post, remove } from '../shell/api.js';
import { defaultModel, models, preferences } from '../shell/state.js';
import { navigate } from '../shell/router.js';
import { attempt, notify } from '../shell/notices.js';
import { t } from '../shell/i18n.js';

/**
 * @typedef {object} Conversation
 * @property {string} id
 * @property {string} title
 * @property {string|null} folder_id
 * @property {string|null} model
 * @property {string|null} persona_id
 * @property {Record<string, number|null>} sampling
 * @property {{collections: string[], documents: string[]}|null} documents in which replies are looked up
 * @property {boolean} pinned
 * @property {string|null} active_leaf_id
 * @property {string} created_at
 * @property {string} updated_at
 */

export const conversations = signal(/** @type {Conversation[]} */ ([]));
export const nextCursor = signal(/** @type {string|null} */ (null));
export const folders = signal(/** @type {{id: string, name: string, position: number}[]} */ ([]));
export const personas = signal(/** @type {any[]} */ ([]));
/** What a conversation can begin from. */
export const templates = signal(/** @type {import('./templates.js').Template[]} */ ([]));
/** The conversation on the screen. */
export const current = signal(/** @type {import('./conversation.js').Open|null} */ (null));
/** Choices made before the first message of a new conversation. */
export const fresh = signal(/** @type {{model: string|null, persona_id: string|null, sampling: Record<string, number|null>, folder_id: string|null, documents: Conversation['documents']}} */ (
  { model: null, persona_id: null, sampling: {}, folder_id: null, documents: null }));

/** The choices that hold now: the open conversation's, or the next one's. */
export const choices = computed(() => {
  const from = current.value?.conversation ?? fresh.value;
  return {
    model: from.model ?? preferences.value.model ?? defaultModel.value?.name ?? null,
    persona_id: from.persona_id ?? null,
    sampling: from.sampling ?? {},
    documents: from.documents ?? null,
  };
});
export const chosenModel = computed(() =>
  models.value?.find((model) => model.name === choices.value.model) ?? defaultModel.value);
export const chosenPersona = computed(() =>
  personas.value.find((persona) => persona.id === choices.value.persona_id) ?? null);

export function resetFresh(folderId = null) {
  const { persona_id = null, sampling = {} } = preferences.value;
  fresh.value = { model: null, persona_id, sampling: { ...sampling }, folder_id: folderId, documents: null };
}

/** @param {string|null} [folderId] */
export function startNew(folderId = null) {
  resetFresh(folderId);
  navigate('/chat');
  queueMicrotask(() => document.querySelector('.composer textarea')?.focus());
}

/** Change choices where they belong. @param {Partial<{model: string, persona_id: string|null, sampling: object, documents: Conversation['documents']}>} changes */
export async function choose(changes) {
  const open = current.value;
  if (!open?.conversation) fresh.value = { ...fresh.value, ...changes };
  else await attempt(() => change(open.id, changes));
}

/** @param {any[]} lists */
function withoutDoubles(lists) {
  const found = new Map();
  for (const item of lists) if (!found.has(item.id)) found.set(item.id, item);
  return [...found.values()].sort((a, b) => (a.updated_at < b.updated_at ? 1 : -1));
}

export async function loadLists() {
  const [page, folderPage, personaPage, templatePage] = await Promise.all([
    get('/chat/conversations?limit=60'), get('/chat/folders'), get('/chat/personas'), get('/chat/templates')]);
  conversations.value = page.items;
  nextCursor.value = page.next_cursor;
  folders.value = itemsOf(folderPage);
  personas.value = itemsOf(personaPage);
  templates.value = itemsOf(templatePage);
}

/** @param {any} answer @returns {any[]} */
const itemsOf = (answer) => (Array.isArray(answer) ? answer : answer.items);

export async function refreshConversations() {
  const page = await get('/chat/conversations?limit=60');
  conversations.value = page.items;
  nextCursor.value = page.next_cursor;
}

export async function loadMore() {
  if (!nextCursor.value) return;
  const page = await get(`/chat/conversations?limit=60&cursor=${encodeURIComponent(nextCursor.value)}`);
  conversations.value = withoutDoubles([...conversations.value, ...page.items]);
  nextCursor.value = page.next_cursor;
}

/** Older conversations of a folder, which the first pages may not hold. @param {string} folderId */
export async function loadFolder(folderId) {
  const page = await get(`/chat/conversations?limit=200&folder_id=${encodeURIComponent(folderId)}`);
  conversations.value = withoutDoubles([...conversations.value, ...page.items]);
}

/** Put a conversation's new state into the list and the open page. @param {Conversation} conversation */
export function noteConversation(conversation) {
  conversations.value = withoutDoubles([conversation, ...conversations.value.filter((old) => old.id !== conversation.id)]);
  if (current.value?.id === conversation.id) current.value = { ...current.value, conversation };
}

/** The newest change of each conversation that the server has not answered yet. @type {Map<string, Promise<any>>} */
const underWay = new Map();

/**
 * Changes of one conversation go out one after another, so that the answer to an older one never undoes a newer one.
 * @param {string} id @param {() => Promise<any>} send
 * @returns {Promise<{answer: any, isNewest: boolean}>}
 */
async function inTurn(id, send) {
  const turn = (underWay.get(id) ?? Promise.resolve()).catch(() => {}).then(send);
  underWay.set(id, turn);
  try {
    const answer = await turn;
    return { answer, isNewest: underWay.get(id) === turn };
  } finally {
    if (underWay.get(id) === turn) underWay.delete(id);
  }
}

/** @param {string} id @param {Partial<Conversation>} changes */
export async function change(id, changes) {
  const old = conversations.value.find((item) => item.id === id) ?? current.value?.conversation;
  if (old) noteConversation({ ...old, ...changes });
  try {
    const { answer, isNewest } = await inTurn(id, () => patch(`/chat/conversations/${id}`, changes));
    if (isNewest) noteConversation(answer);
  } catch (error) {
    if (old) noteConversation(old);
    throw error;
  }
}

/** @param {Conversation} conversation */
export async function deleteConversation(conversation) {
  const { id } = conversation;
  await inTurn(id, () => remove(`/chat/conversations/${id}`));
  conversations.value = conversations.value.filter((item) => item.id !== id);
  if (current.value?.id === id) startNew();
  notify(t('conversation.deleted'), { action: { label: t('action.undo'), run: () => attempt(async () => {
    await post(`/chat/conversations/${id}/restore`);
    await refreshConversations();
  }) } });
}

/** @param {string} name */
export async function createFolder(name) {
  const folder = await post('/chat/folders', { name });
  folders.value = [...folders.value, folder];
  return folder;
}

/** @param {string} id @param {string} name */
export async function renameFolder(id, name) {
  const folder = await patch(`/chat/folders/${id}`, { name });
  folders.value = folders.value.map((old) => (old.id === id ? folder : old));
}

/** @param {string} id */
export async function deleteFolder(id) {
  await remove(`/chat/folders/${id}`);
  folders.value = folders.value.filter((folder) => folder.id !== id);
  await refreshConversations();
}

/** @param {any} persona */
export async function savePersona(persona) {
  const { id, builtin: _builtin, ...fields } = persona;
  const saved = id ? await patch(`/chat/personas/${id}`, fields) : await post('/chat/personas', fields);
  personas.value = id ? personas.value.map((old) => (old.id === id ? saved : old)) : [...personas.value, saved];
  return saved;
}

/** @param {string} id */
export async function deletePersona(id) {
  await remove(`/chat/personas/${id}`);
  personas.value = personas.value.filter((persona) => persona.id !== id);
  if (choices.value.persona_id === id) await choose({ persona_id: null });
}
