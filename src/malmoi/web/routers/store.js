/** What the page of routers knows: the routers, and what of the open one is written here and not saved yet. */
import { computed, signal } from '@preact/signals';
import { ApiError, get, patch, post, remove } from '../shell/api.js';
import { t } from '../shell/i18n.js';
import { navigate, route } from '../shell/router.js';

/**
 * @typedef {{name: string, description: string, examples: string[]}} Topic
 * @typedef {{domains: Topic[], blocked: Topic[], others: string[], usual_others: boolean, safety: boolean}} Content
 * @typedef {{id: string, name: string, description: string, versions: number}} Router
 * @typedef {{key: number, name: string, description: string, lines: string, isNew?: boolean}} Card A topic as it is written: an example a line.
 * @typedef {{domains: Card[], blocked: Card[], others: string, usual_others: boolean, safety: boolean}} Draft
 * @typedef {'domains'|'blocked'} Part
 * @typedef {{count: number, total: number, low: number, high: number}} Share
 * @typedef {{threshold: number, found: Share, left_alone: Share, topics: Record<string, Share>,
 *   misses: {text: string, topic: string, taken_for: string}[]}} PartFigures
 * @typedef {{domains: PartFigures|null, blocked: PartFigures|null}} Figures
 * @typedef {{number: number, content_hash: string, figures: Figures, created_at: string}} Version
 * @typedef {{name: string, margin: number, found: boolean, nearest: string}} Score
 * @typedef {{domain: string, blocked: string[], safety: string[], domains: Score[], filters: Score[], figures: Figures, safety_checked: boolean}} Trace
 */

export const routers = signal(/** @type {Router[]|null} */ (null));
/** The router that is open: that of the address, else the first one. */
export const current = computed(() => routers.value?.find((one) => one.id === route.value.id) ?? (route.value.id ? null : routers.value?.[0] ?? null));
/** By router: what the server has, and what is written here. */
const saved = signal(/** @type {Record<string, Content>} */ ({}));
const drafts = signal(/** @type {Record<string, Draft>} */ ({}));
/** What is wrong with the draft: at a card, or (no key) somewhere. */
export const fault = signal(/** @type {{router: string, key: number|null, text: string}|null} */ (null));

/** @param {string} id @param {string} [rest] */
export const path = (id, rest = '') => `/routers/${encodeURIComponent(id)}${rest}`;
/** @param {string} text */
export const linesOf = (text) => text.split('\n').map((line) => line.trim()).filter(Boolean);

let keys = 0;
/** @param {Partial<Topic>} [topic] @returns {Card} */
export const newCard = ({ name = '', description = '', examples = [] } = {}) => ({ key: ++keys, name, description, lines: examples.join('\n') });
/** @param {Content} content @returns {Draft} */
function draftOf(content) {
  const cards = (/** @type {Topic[]} */ topics) => topics.map((one) => newCard(one));
  const isEmpty = !content.domains.length && !content.blocked.length;
  return { ...content, domains: isEmpty ? [newCard()] : cards(content.domains), blocked: cards(content.blocked), others: content.others.join('\n') };
}
/** A card that nobody has written on. @param {Card} card */
const isBlank = (card) => !card.name.trim() && !card.description.trim() && !linesOf(card.lines).length;
/** @param {Draft} draft @returns {Content} */
export function contentOf(draft) {
  const topics = (/** @type {Card[]} */ cards) => cards.filter((card) => !isBlank(card)).map(({ name, description, lines }) => ({ name: name.trim(), description: description.trim(), examples: linesOf(lines) }));
  return { domains: topics(draft.domains), blocked: topics(draft.blocked), others: linesOf(draft.others), usual_others: draft.usual_others, safety: draft.safety };
}

/** @param {string} id @returns {Draft|null} */
export const draft = (id) => drafts.value[id] ?? null;
/** @param {string} id @returns {Content|null} */
export const savedContent = (id) => saved.value[id] ?? null;
/** @param {string} id */
export const isChanged = (id) => Boolean(drafts.value[id]) && JSON.stringify(contentOf(drafts.value[id])) !== JSON.stringify(saved.value[id]);
/** @param {string} id @param {Partial<Draft>} changes */
export function write(id, changes) {
  drafts.value = { ...drafts.value, [id]: { ...drafts.value[id], ...changes } };
  if (fault.value?.router === id) fault.value = null;
}
/** Show other content as if it had been written. @param {string} id @param {Content} content */
export const writeAll = (id, content) => write(id, draftOf(content));

/** The server has this content now. @param {string} id @param {Content} content @param {boolean} keeps whether what is written stays */
function note(id, content, keeps) {
  saved.value = { ...saved.value, [id]: content };
  if (!keeps || !drafts.value[id]) drafts.value = { ...drafts.value, [id]: draftOf(content) };
}

export async function loadRouters() {
  routers.value = (await get('/routers')).routers;
}

/** @param {string} id */
export async function loadContent(id) {
  const { content } = await get(path(id));
  note(id, content, isChanged(id)); // what was written while it came stays, too
}

/** @param {Router & {content: Content}} made */
function added({ content, ...router }) {
  routers.value = [...(routers.value ?? []), router].sort((one, other) => one.name.localeCompare(other.name));
  note(router.id, content, false);
  navigate(`/routers/${router.id}`);
}

/** @param {string} name @param {string} description */
export async function createRouter(name, description) {
  added(await post('/routers', { name, description }));
}

/** @param {string} id @param {{name: string, description: string}} about */
export async function describe(id, about) {
  const { content: _, ...router } = await patch(path(id), about);
  routers.value = (routers.value ?? []).map((one) => (one.id === id ? router : one));
}

/** @param {string} id */
export async function refresh(id) {
  const { content: _, ...router } = await get(path(id));
  routers.value = (routers.value ?? []).map((one) => (one.id === id ? router : one));
}

/** @param {string} id */
export async function deleteRouter(id) {
  await remove(path(id));
  const { [id]: _, ...left } = drafts.value;
  drafts.value = left;
  routers.value = (routers.value ?? []).filter((one) => one.id !== id);
  navigate('/routers', { replace: true });
}

/** What the server would refuse of a draft, said at its card. @param {Draft} known */
function faultIn(known) {
  for (const card of [...known.domains, ...known.blocked]) {
    if (isBlank(card)) continue;
    if (!card.name.trim()) return { key: card.key, text: t('routers.needs_name') };
    if (linesOf(card.lines).length < 2) return { key: card.key, text: t('routers.needs_examples') };
  }
  return null;
}

/** Send what is written. Whether it was taken; what is wrong with it is in `fault`. @param {string} id @returns {Promise<boolean>} */
export async function save(id) {
  const known = drafts.value[id];
  if (!known) return false;
  const wrong = faultIn(known);
  if (wrong) {
    fault.value = { router: id, ...wrong };
    return false;
  }
  try {
    const content = contentOf(known);
    const answer = await patch(path(id), { content });
    fault.value = null;
    // What was written meanwhile stays; names and lines that the server has trimmed are shown as it keeps them.
    note(id, answer.content, JSON.stringify(contentOf(drafts.value[id])) !== JSON.stringify(content));
    return true;
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 400) throw error;
    const [, part, number] = /^content\.(domains|blocked)\.(\d+)/.exec(error.field ?? '') ?? [];
    const card = part && known[/** @type {Part} */ (part)].filter((one) => !isBlank(one))[Number(number)];
    fault.value = { router: id, key: card ? card.key : null, text: error.message };
    return false;
  }
}

/** @param {string} id */
export function discard(id) {
  fault.value = null;
  const content = saved.value[id];
  if (content) note(id, content, false);
}

/**
 * Make a query an example of one topic, or (`null`) of none, and of nothing else; it is saved at once.
 * @param {string} id @param {string} query @param {{part: Part, key: number}|null} where
 */
export async function teach(id, query, where) {
  const known = drafts.value[id];
  if (!known) return false;
  const line = query.split(/\s*\n\s*/).join(' ').trim();
  const without = (/** @type {string} */ text) => linesOf(text).filter((one) => one.toLowerCase() !== line.toLowerCase());
  const put = (/** @type {Part} */ part) => known[part].map((card) => {
    // A query is for one domain alone; about blocked subjects it may be as well, and about several.
    if (where?.part === part && where.key === card.key) return { ...card, lines: [...without(card.lines), line].join('\n') };
    return part === 'domains' && where?.part !== 'blocked' ? { ...card, lines: without(card.lines).join('\n') } : card;
  });
  write(id, { domains: put('domains'), blocked: put('blocked'), others: (where ? without(known.others) : [...without(known.others), line]).join('\n') });
  return save(id);
}

/** Make a router of a file; a name that is taken gets a number, and a file without one its own. @param {File} file */
export async function importRouter(file) {
  const text = await file.text();
  const own = file.name.replace(/\.\w+$/, '').slice(0, 50);
  /** @type {string|undefined} */
  let name;
  for (let turn = 1; ; turn += 1) {
    try {
      added(await post('/routers/import', { text, ...(name ? { name } : {}) }));
      return;
    } catch (error) {
      const isTaken = error instanceof ApiError && error.status === 409 && (routers.value?.length ?? 0) < 50 && turn < 9;
      if (error instanceof ApiError && error.field === 'name' && !name) name = own;
      else if (isTaken) name = `${own} ${turn + 1}`;
      else throw error;
    }
  }
}
