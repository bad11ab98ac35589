/** The open session: loading it, scoring by keys, taking back, going on, sending, ending. */
import { computed, signal } from '@preact/signals';
import { ApiError, get, post, put, remove } from '../shell/api.js';
import { attempt, complain } from '../shell/notices.js';
import { navigate } from '../shell/router.js';
import { readDraft, writeDraft } from '../chat/drafts.js';
import { cellsOf, firstUnscored, isPerfect, isScored, isWriting, withScore } from './scoring.js';

/** @typedef {import('./scoring.js').Turn} Turn */
/** @typedef {import('./scoring.js').Score} Score */

export const MAX_TURNS = 7;
const POLL = 700;

export const open = signal(/** @type {{id: string, status: 'loading'|'ready'|'failed', detail: any, error?: unknown}|null} */ (null));
/** The place of the keyboard among the cells of the active turn. */
export const cursor = signal(0);
/** Scores as they were before each change, the newest last. */
export const past = signal(/** @type {{turnId: string, replyId: string, score: Score, cursor: number}[]} */ ([]));
/** Turns for which no answer will be written. */
export const skipped = signal(/** @type {Set<string>} */ (new Set()));
export const sending = signal(false);

/** The turn that is being worked on: the last one that is to be seen. */
export const active = computed(() => /** @type {Turn|undefined} */ (open.value?.detail?.turns.at(-1)));
export const isMine = computed(() => Boolean(open.value?.detail?.session.is_mine));
/** Whether scores can no longer change: the attacker knows the models. */
export const isFrozen = computed(() => isMine.value && Boolean(open.value?.detail?.session.is_finished));
/** Whether an answer is to be written before the work goes on. */
export const wantsRewrite = computed(() => {
  const turn = active.value;
  return Boolean(turn) && isScored(turn) && !isPerfect(/** @type {Turn} */ (turn)) && !turn?.rewrite?.is_done
    && !skipped.value.has(/** @type {Turn} */ (turn).id);
});

let timer = 0;

/** @param {any} detail */
function show(detail) {
  const id = detail.session.id;
  if (open.value?.id !== id) return;
  const before = active.value?.id;
  // Work that is on its way must not be undone by an older answer.
  const turns = detail.turns.map((/** @type {Turn} */ turn) => underWay.get(turn.id) ?? turn);
  open.value = { id, status: 'ready', detail: { ...detail, turns } };
  if (active.value?.id !== before) cursor.value = Math.max(0, firstUnscored(active.value));
  clearTimeout(timer);
  if (isWriting(active.value)) timer = setTimeout(() => refresh().catch(() => { timer = setTimeout(refresh, POLL * 4); }), POLL);
}

/** @param {string} id */
export async function openSession(id) {
  if (open.value?.id === id && open.value.status === 'ready') return;
  close();
  const placeholder = { id, status: /** @type {const} */ ('loading'), detail: null };
  open.value = placeholder;
  try {
    const detail = await get(`/redteam/sessions/${encodeURIComponent(id)}`);
    if (open.value !== placeholder) return;
    show(detail);
    for (const [replyId, { turnId, score }] of Object.entries(unsent(id))) save(turnId, replyId, score);
    cursor.value = Math.max(0, firstUnscored(active.value));
  } catch (error) {
    if (open.value === placeholder) open.value = { ...placeholder, status: 'failed', error };
  }
}

export function close() {
  clearTimeout(timer);
  open.value = null;
  past.value = [];
  skipped.value = new Set();
  cursor.value = 0;
}

export async function refresh() {
  const id = open.value?.id;
  if (id) show(await get(`/redteam/sessions/${encodeURIComponent(id)}`));
}

/** Put a changed turn where it belongs. @param {Turn} turn */
function place(turn) {
  const now = open.value;
  if (!now?.detail) return;
  const turns = now.detail.turns.map((/** @type {Turn} */ old) => (old.id === turn.id ? turn : old));
  open.value = { ...now, detail: { ...now.detail, turns } };
}

/** Turns whose scores the server has not answered yet. @type {Map<string, Turn>} */
const underWay = new Map();
let last = Promise.resolve();

/** Scores that the server may not have, kept in this browser: a reload must lose none. @param {string} id @returns {Record<string, {turnId: string, score: Score}>} */
function unsent(id) {
  try { return JSON.parse(readDraft(unsentKey(id)) || '{}'); } catch { return {}; }
}
/** @param {string} id */
const unsentKey = (id) => `redteam.scores.${id}`;
/** @param {string} id @param {string} replyId @param {{turnId: string, score: Score}|null} entry */
function keepUnsent(id, replyId, entry) {
  const { [replyId]: _, ...others } = unsent(id);
  const kept = entry ? { ...others, [replyId]: entry } : others;
  writeDraft(unsentKey(id), Object.keys(kept).length ? JSON.stringify(kept) : '');
}

/**
 * Set one score here at once and on the server; changes go out one after another.
 * @param {string} turnId @param {string} replyId @param {Score} score
 */
function save(turnId, replyId, score) {
  const turn = open.value?.detail.turns.find((/** @type {Turn} */ item) => item.id === turnId);
  if (!turn) return;
  const changed = withScore(turn, replyId, score);
  place(changed);
  underWay.set(turnId, changed);
  const { id } = /** @type {{id: string}} */ (open.value);
  keepUnsent(id, replyId, { turnId, score });
  last = last.then(() => put(`/redteam/replies/${replyId}/score`, score)).then(() => forget(), async (error) => {
    complain(error);
    // Without an answer the score stays here and goes out again; what the server has refused does not.
    if (error instanceof ApiError && error.status >= 400 && error.status < 500) forget();
    underWay.delete(turnId);
    await attempt(refresh);
  }).finally(() => { if (underWay.get(turnId) === changed) underWay.delete(turnId); });
  function forget() {
    if (JSON.stringify(unsent(id)[replyId]?.score) === JSON.stringify(score)) keepUnsent(id, replyId, null);
  }
}

/**
 * Score a cell of a turn.
 * @param {Turn} turn @param {number} at place among its cells @param {number} points
 */
export function scoreCell(turn, at, points) {
  const cell = cellsOf(turn)[at];
  if (!cell || isFrozen.value) return;
  past.value = [...past.value, { turnId: turn.id, replyId: cell.reply.id, score: cell.reply.score, cursor: at }];
  save(turn.id, cell.reply.id, { ...cell.reply.score, [cell.scale]: points });
  if (turn.id === active.value?.id) cursor.value = at < cellsOf(turn).length - 1 ? at + 1 : at;
}

/** Take back the newest score. */
export function undo() {
  const before = past.value.at(-1);
  if (!before || isFrozen.value) return false;
  past.value = past.value.slice(0, -1);
  save(before.turnId, before.replyId, before.score);
  if (before.turnId === active.value?.id) cursor.value = before.cursor;
  return true;
}

/** @param {string} replyId */
export const askAgain = (replyId) => attempt(async () => show(await post(`/redteam/replies/${replyId}/retry`)));

/** Send the next turn. @param {string} content @returns {Promise<boolean>} whether the server has it */
export async function send(content) {
  const id = /** @type {string} */ (open.value?.id);
  sending.value = true;
  try {
    await last;
    const turns = open.value?.detail.turns.length ?? 0;
    // The same text for the same place is the same turn, also when it is sent again after a lost answer.
    const client = `${turns + 1}-${digest(content)}`;
    show(await post(`/redteam/sessions/${id}/turns`, { content, client_id: client }));
    past.value = [];
    writeDraft(draftKey(id), '');
    return true;
  } catch (error) {
    complain(error);
    return false;
  } finally {
    sending.value = false;
  }
}

/** @param {string} text */
function digest(text) {
  // Only to tell one text from another; `crypto.subtle` is missing where the page is not on a safe origin.
  let hash = 0xcbf29ce484222325n;
  for (const unit of new TextEncoder().encode(text)) hash = BigInt.asUintN(64, (hash ^ BigInt(unit)) * 0x100000001b3n);
  return hash.toString(16);
}

export const finish = () => attempt(async () => {
  await last;
  show(await post(`/redteam/sessions/${open.value?.id}/finish`));
});

export const discard = () => attempt(async () => {
  await remove(`/redteam/sessions/${open.value?.id}`);
  close();
  navigate('/redteam');
});

/** Show the next turn of somebody else's session, after all scores have arrived. */
export const goOn = () => attempt(async () => { await last; await refresh(); });

/** Where the text of the next turn is kept in this browser. @param {string} id */
export const draftKey = (id) => `redteam.${id}`;
/** @param {string} id */
export const draftOf = (id) => readDraft(draftKey(id));

/** @param {Turn} turn @param {string} content @param {boolean} isDone */
export async function saveRewrite(turn, content, isDone) {
  const saved = await put(`/redteam/turns/${turn.id}/rewrite`, { content, is_done: isDone });
  const now = open.value?.detail?.turns.find((/** @type {Turn} */ item) => item.id === turn.id);
  if (now) place({ ...now, rewrite: saved });
  return saved;
}

/** @param {string} turnId */
export function skipRewrite(turnId) {
  skipped.value = new Set([...skipped.value, turnId]);
}
