/** What the whole app knows: the session, the preferences, the models. */
import { computed, signal } from '@preact/signals';
import { get, put, remove, post, useCsrf, whenSignedOut } from './api.js';
import { chooseLanguage, language, useLanguage } from './i18n.js';

/**
 * @typedef {object} Model
 * @property {string} name
 * @property {string} title
 * @property {string} description
 * @property {string} license
 * @property {boolean} base
 * @property {number} size_bytes
 * @property {number|null} context_length
 * @property {'ready'|'loading'|'installed'|'downloading'|'available'|'failed'} state
 * @property {boolean} default
 * @property {string[]} capabilities
 * @property {string[]} languages
 * @property {{code: string, message: string, fix: string}|null} error why it could not be opened
 * @property {{stage: string, done_bytes: number, total_bytes: number, bytes_per_second: number,
 *   error: {code: string, message: string, fix: string}|null}|null} download
 */

export const session = signal(/** @type {any} */ (null));
export const preferences = signal(/** @type {any} */ (defaultPreferences()));
export const models = signal(/** @type {Model[]|null} */ (null));
export const drawerOpen = signal(false);
const narrowWindow = matchMedia('(max-width: 800px)');
/** Whether the side is a drawer, because the window is narrow. */
export const isNarrow = signal(narrowWindow.matches);
narrowWindow.addEventListener('change', () => { isNarrow.value = narrowWindow.matches; });

export const mustSignIn = computed(() => session.value && session.value.login_required && !session.value.signed_in);
/** Whether this account has a right. @param {string} right */
export const may = (right) => Boolean(session.value?.scopes?.includes(right));
export const isAdmin = computed(() => ['owner', 'admin'].includes(session.value?.account?.role));
export const defaultModel = computed(() => models.value?.find((model) => model.default) ?? models.value?.[0] ?? null);

const RUNNABLE = new Set(['ready', 'loading', 'installed']);
/** Whether a model can answer, perhaps after loading. @param {Model} model */
export const runnable = (model) => RUNNABLE.has(model.state);

function defaultPreferences() {
  return { language: null, theme: 'system', send_on_enter: true, model: null, persona_id: null, sampling: {} };
}

/** Ask who we are, then load what that account may see. */
export async function loadSession() {
  session.value = await get('/session');
  useCsrf(session.value.csrf ?? '');
  whenSignedOut(() => { session.value = { ...session.value, signed_in: false, login_required: true, account: null }; });
  if (!mustSignIn.value) preferences.value = { ...defaultPreferences(), ...await get('/preferences') };
  const wanted = chooseLanguage(preferences.value.language ?? session.value.language);
  if (document.documentElement.dataset.ready !== 'true' || wanted !== language.value) await useLanguage(wanted);
  document.documentElement.dataset.ready = 'true';
  applyTheme();
}

/** @param {string} name @param {string} password */
export async function signIn(name, password) {
  await post('/session', { name, password });
  await loadSession();
}

export async function signOut() {
  await remove('/session');
  location.assign('/');
}

/** Change some preferences here at once and on the server. @param {Record<string, unknown>} changes */
export async function savePreferences(changes) {
  preferences.value = { ...preferences.value, ...changes };
  if ('language' in changes) await useLanguage(chooseLanguage(preferences.value.language));
  if ('theme' in changes) applyTheme();
  await put('/preferences', preferences.value);
}

function applyTheme() {
  document.documentElement.dataset.theme = preferences.value.theme;
}

let polling = 0;
/**
 * Whether a model can hold a conversation: not the sentence encoders that come with the server.
 * What is not open yet may not have told what it can do.
 * @param {Model} model
 */
const converses = ({ capabilities }) => !capabilities?.length
  || capabilities.includes('chat') || capabilities.includes('generate');

/** Fetch the models; while one of them downloads or loads, keep them fresh. */
export async function loadModels() {
  clearTimeout(polling);
  let busy = models.value?.some((model) => model.state === 'loading' || model.state === 'downloading') ?? true;
  try {
    models.value = (await get('/models')).items.filter(converses);
    busy = models.value.some((model) => model.state === 'loading' || model.state === 'downloading');
  } finally {
    if (busy && !mustSignIn.value) polling = setTimeout(() => loadModels().catch(() => {}), 800);
  }
}

/** @param {string} name */
export async function downloadModel(name) {
  await post(`/models/${encodeURIComponent(name)}/download`);
  await loadModels();
}

/** @param {string} name */
export async function cancelDownload(name) {
  await remove(`/models/${encodeURIComponent(name)}/download`);
  await loadModels();
}
