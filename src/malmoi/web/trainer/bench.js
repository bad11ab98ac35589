/** The workbench's state: the run under way, the row that is open, edits that the server has not taken yet. */
import { batch, computed, signal } from '@preact/signals';
import { ApiError, get, patch, post, remove } from '../shell/api.js';
import { complain } from '../shell/notices.js';
import { navigate } from '../shell/router.js';
import { emptyRun, follow, here } from './running.js';
import { path, refresh, together } from './store.js';

/** @typedef {import('./store.js').Row} Row @typedef {import('./store.js').Stages} Stages @typedef {import('./store.js').Step} Step */
/** @typedef {number|null} At Which call of a row: one of the steps before, or (null) its own. */

export const query = signal('');
/** Skills that are on for the next run. */
export const on = signal(/** @type {string[]} */ ([]));
/** Whether runs are shown the set's rows. */
export const shown = signal(true);
export const model = signal('');
export const live = signal(/** @type {import('./running.js').Run|null} */ (null));
/** The set of what is open here. */
export const openIn = signal('');
export const row = signal(/** @type {Row|null} */ (null));
export const edits = signal(/** @type {Partial<Stages>} */ ({}));
export const fault = signal(/** @type {{field: string, text: string}|null} */ (null));
export const stages = computed(() => /** @type {Stages} */ ({ ...row.value?.stages, ...edits.value }));
export const isEdited = computed(() => Object.keys(edits.value).length > 0);
/** A call that is being made with the row's arguments, or waits for a yes. */
export const call = signal(/** @type {import('./running.js').Run|null} */ (null));
/** Of which step it is. */
export const callAt = signal(/** @type {At} */ (null));
/** The same query once more. */
export const again = signal(/** @type {{run: import('./running.js').Run, done: boolean, failed: unknown}|null} */ (null));

let stopping = new AbortController();
/** Counts calls: what still comes of one that was answered with no is not shown. */
let turn = 0;
/** @type {Promise<unknown>} */
let queue = Promise.resolve();

/** Nothing is open. */
export function clear() {
  stopping.abort();
  batch(() => { row.value = null; edits.value = {}; fault.value = null; call.value = null; again.value = null; live.value = null; });
}

/** @param {Row} one */
const address = (one, /** @type {string} */ set) => path(set, `/rows/${encodeURIComponent(one.id)}`);

/** @param {string} set @param {string} id */
export async function open(set, id) {
  if (row.value?.id === id) return;
  clear();
  openIn.value = set;
  const found = await get(path(set, `/rows/${encodeURIComponent(id)}`));
  row.value = found;
}

/** Run a query, and make a draft of what came of it. @param {string} set */
export async function run(set) {
  const asked = query.value.trim();
  if (!asked || live.value) return;
  clear();
  openIn.value = set;
  stopping = new AbortController();
  const { signal: stop } = stopping;
  live.value = emptyRun();
  try {
    const done = await follow(path(set, '/runs'), { query: asked, skills: on.value, shown: shown.value, model: model.value, ...here() }, (now) => { if (!stop.aborted) live.value = now; }, stop);
    if (stop.aborted) return;
    const made = await post(path(set, '/rows'), { run_id: done.runId });
    batch(() => { row.value = made; live.value = null; query.value = ''; });
    navigate(`/trainer/${set}/bench?row=${made.id}`, { replace: true });
    await refresh(set);
  } catch (error) {
    if (!stop.aborted) { live.value = null; complain(error); }
  }
}

export function stop() {
  stopping.abort();
  live.value = null;
}

/** @param {unknown} error */
function noteFault(error) {
  if (error instanceof ApiError && error.field?.startsWith('stages')) fault.value = { field: error.field, text: error.message };
  else complain(error);
}

/** @param {string} set @param {Record<string, unknown>} more */
async function send(set, more) {
  const now = row.value;
  const sent = edits.value;
  if (!now || !(Object.keys(sent).length || Object.keys(more).length)) return false;
  try {
    const answer = await patch(address(now, set), { ...more, ...(Object.keys(sent).length ? { stages: sent } : {}) });
    if (row.value?.id !== now.id) return false;
    batch(() => {
      row.value = answer;
      // What was written meanwhile stays.
      edits.value = Object.fromEntries(Object.entries(edits.value).filter(([name, value]) => sent[/** @type {keyof Stages} */ (name)] !== value));
      fault.value = null;
    });
    return true;
  } catch (error) {
    if (row.value?.id === now.id) noteFault(error);
    return false;
  }
}

/** Do things with the row one after another. @template T @param {() => Promise<T>} work @returns {Promise<T>} */
function inTurn(work) {
  const next = queue.then(work);
  queue = next.catch(() => {});
  return next;
}

/** Change some stages; the server is told at once, and says what does not fit. @param {string} set @param {Partial<Stages>} changes */
export function edit(set, changes) {
  edits.value = { ...edits.value, ...changes };
  again.value = null;
  return inTurn(() => send(set, {}));
}

/** @type {Step} */
const EMPTY = { clause: '', skill: '', operation: '', arguments: {}, result: '', said: '' };
/** The steps before the row's own call. @param {Stages} [of] @returns {Step[]} */
export const steps = (of = stages.value) => of.steps ?? [];
/** A call with its stages. @param {At} at @returns {Step} */
export const stepAt = (at) => (at === null ? stages.value : steps()[at] ?? EMPTY);
/** The same call of what the run had done. @param {Row} one @param {At} at @returns {Step|null} */
export const originalAt = (one, at) => (one.original ? (at === null ? one.original.stages : steps(one.original.stages)[at] ?? null) : null);

/** Change a step, or (null) the row's own stages. @param {string} set @param {At} at @param {Partial<Stages>} changes */
export function editAt(set, at, changes) {
  if (at === null) return edit(set, changes);
  const { answer: _, asked: __, ...own } = changes;
  return edit(set, { steps: steps().map((one, place) => (place === at ? { ...one, ...own } : one)) });
}

/** Put an empty step before the row's own call. @param {string} set */
export function addStep(set) {
  return edit(set, { steps: [...steps(), EMPTY] });
}

/** Take a step out; where it is the row's own call, the one before takes its place. @param {string} set @param {At} at */
export function dropStep(set, at) {
  turn += 1;
  call.value = null;
  const known = steps();
  if (at !== null) return edit(set, { steps: known.filter((_, place) => place !== at) });
  const last = known[known.length - 1];
  return edit(set, { clause: '', ...last, asked: '', steps: known.slice(0, -1) });
}

/** Save the row, or (`draft`) make it a draft again. @param {string} set @param {Partial<Row>} changes */
export async function change(set, changes) {
  const done = await inTurn(() => send(set, changes));
  if (done) await refresh(set);
  return done;
}

/** Take back what was not taken, or else the last edit. @param {string} set */
export async function undo(set) {
  if (isEdited.value) {
    batch(() => { edits.value = {}; fault.value = null; });
    return;
  }
  await inTurn(async () => {
    const now = row.value;
    if (now) row.value = await post(`${address(now, set)}/undo`);
  });
  await refresh(set);
}

/** @param {string} set @param {Row} one */
export async function drop(set, one) {
  await remove(address(one, set));
  if (row.value?.id === one.id) clear();
  await refresh(set);
}

/** Put a deleted row back. @param {string} set @param {Row} one */
export async function putBack(set, one) {
  const { turns, language, zone, said_at, part, status, stages: kept } = one;
  const made = await post(path(set, '/rows'), { query: one.query, turns, language, zone, said_at, part, status, stages: kept });
  await refresh(set);
  return made;
}

/** Take what a call has brought into the row. @param {string} set @param {import('./running.js').Run} done */
function take(set, done) {
  const seen = done.observed;
  if (!seen || seen.is_error) return;
  call.value = null;
  // The answer to several steps is not that of one call.
  editAt(set, callAt.value, { result: seen.text, said: seen.said, ...(steps().length ? {} : { answer: done.text || seen.said }) });
}

/** Make a call of the row; one that changes something comes back as a question. @param {string} set @param {At} at */
export async function makeCall(set, at) {
  const { skill, operation, arguments: given } = stepAt(at);
  const mine = ++turn;
  callAt.value = at;
  const now = row.value;
  if (!now) return;
  stopping = new AbortController();
  const body = { query: now.query, skills: [skill], direct: { skill, operation, arguments: given }, model: model.value, ...here() };
  const done = await follow(path(set, '/runs'), body, (seen) => { if (turn === mine) call.value = seen; }, stopping.signal);
  if (row.value?.id === now.id && turn === mine) take(set, done);
}

/** Say yes to the call that waits. @param {string} set */
export async function approve(set) {
  const waits = call.value?.confirm;
  const now = row.value;
  if (!waits || !call.value || !now) return;
  const mine = ++turn;
  const { call_id, arguments_hash } = waits;
  const to = `/skills/runs/${encodeURIComponent(call.value.runId)}/approve`;
  const done = await follow(to, { call_id, arguments_hash }, (seen) => { if (turn === mine) call.value = seen; }, stopping.signal);
  if (row.value?.id === now.id && turn === mine) take(set, done);
}

/** Say no to it. */
export async function deny() {
  const waiting = call.value;
  turn += 1;
  call.value = null;
  if (waiting?.confirm) await post(`/skills/runs/${encodeURIComponent(waiting.runId)}/deny`, { call_id: waiting.confirm.call_id });
}

/** Ask the same once more, with the set's rows. @param {string} set */
export async function tryAgain(set) {
  const now = row.value;
  if (!now) return;
  again.value = { run: emptyRun(), done: false, failed: null };
  stopping = new AbortController();
  const turns = now.turns.map(({ role, content }) => ({ role, content }));
  try {
    const skills = together([...steps(now.stages).map((one) => one.skill), now.stages.skill, ...on.value]);
    const done = await follow(path(set, '/runs'), { query: now.query, skills, shown: true, model: model.value, turns, ...here() }, (seen) => {
      if (row.value?.id === now.id) again.value = { run: seen, done: false, failed: null };
    }, stopping.signal);
    if (row.value?.id === now.id) again.value = { run: done, done: true, failed: null };
  } catch (error) {
    if (row.value?.id === now.id) { again.value = null; complain(error); }
  }
}
