/** The open conversation: loading it, sending, regenerating, stopping, switching branches, following a stream. */
import { signal } from '@preact/signals';
import { ApiError, explain, get, patch, post, stream } from '../shell/api.js';
import { announcement, attempt, complain, notify } from '../shell/notices.js';
import { navigate } from '../shell/router.js';
import { t } from '../shell/i18n.js';
import { choices, conversations, current, fresh, noteConversation, refreshConversations } from './store.js';
import { newestLeaf, pathTo } from './tree.js';
import { writeDraft } from './drafts.js';
import { skillName } from './skills.js';
import { noteRun, refetchRun, stagesSeen, withStage } from './runs.js';

/** @typedef {import('./tree.js').Message} Message */
/**
 * @typedef {object} Open
 * @property {string} id
 * @property {'loading'|'ready'|'failed'} status
 * @property {import('./store.js').Conversation|null} conversation
 * @property {Map<string, Message>} messages
 * @property {string|null} leaf
 * @property {unknown} [error]
 */
/**
 * A reply that is being written. Its text lives apart from the message, so that a token redraws one reply only.
 * @typedef {{replyId: string, conversationId: string, content: import('@preact/signals').Signal<string>,
 *   reasoning: import('@preact/signals').Signal<string>, lost: import('@preact/signals').Signal<boolean>,
 *   grounds: import('@preact/signals').Signal<import('./citations.js').Grounds|null>,
 *   runId: import('@preact/signals').Signal<string|null>, stages: import('@preact/signals').Signal<import('./runs.js').Stage[]>}} Live
 */

export const live = signal(/** @type {Live|null} */ (null));
/** Whether a request to write has been sent and its reply has not begun. */
export const waiting = signal(false);
/** Why the last message was not sent, with the text and the way to send it again. */
export const sendFailure = signal(/** @type {{text: string, fix: string, retryAfter: number|null, retry: () => void, draft: string|null, conversationId: string|null}|null} */ (null));

/** The conversation that the box itself has just begun; its text is on its way and no draft to be shown again. */
export const begunHere = signal(/** @type {string|null} */ (null));

/** @type {AbortController|null} */
let following = null;
const RETRIES = [300, 700, 1500, 3000, 6000, 10_000];

/** @param {string} id */
export async function openConversation(id) {
  if (current.value?.id === id && current.value.status !== 'failed') return;
  leave();
  const placeholder = { id, status: /** @type {const} */ ('loading'), conversation: null, messages: new Map(), leaf: null };
  current.value = placeholder;
  try {
    const answer = await get(`/chat/conversations/${encodeURIComponent(id)}`);
    if (current.value !== placeholder) return;
    const messages = new Map(answer.messages.map((/** @type {Message} */ message) => [message.id, message]));
    const active = answer.conversation.active_leaf_id;
    const leaf = newestLeaf(messages, messages.has(active) ? active : null);
    current.value = { id, status: 'ready', conversation: answer.conversation, messages, leaf };
    const streaming = answer.messages.findLast((/** @type {Message} */ message) => message.status === 'streaming');
    if (streaming) follow(id, streaming);
  } catch (error) {
    if (current.value === placeholder) current.value = { ...placeholder, status: 'failed', error };
  }
}

/** Stop following the open conversation; the server goes on writing. */
export function leave() {
  following?.abort();
  following = null;
  live.value = null;
  waiting.value = false;
  sendFailure.value = null;
  current.value = null;
}

/** @param {Message[]} messages @param {string} [leaf] */
function put(messages, leaf) {
  const open = current.value;
  if (!open) return;
  const next = new Map(open.messages);
  for (const message of messages) next.set(message.id, message);
  current.value = { ...open, messages: next, leaf: leaf ?? open.leaf };
}

/** @param {string} id @param {string|null} leaf */
function drop(id, leaf) {
  const open = current.value;
  if (!open?.messages.has(id)) return;
  const next = new Map(open.messages);
  next.delete(id);
  current.value = { ...open, messages: next, leaf };
}

/**
 * Send a message at the end of the open branch, or beside another one (`parentId` given: an edit).
 * @param {string} text
 * A card's button names the call that it is for: `direct`.
 * @param {{parentId?: string|null, clientId?: string, direct?: {skill: string, operation: string, arguments: Record<string, any>}}} [options]
 */
export async function send(text, { parentId, clientId = crypto.randomUUID(), direct } = {}) {
  if (waiting.value || live.value) return;
  waiting.value = true;
  sendFailure.value = null;
  const isEdit = parentId !== undefined;
  const draftOf = current.value?.id ?? null;
  let conversationId = draftOf;
  let leaf = current.value?.leaf ?? null;
  const pendingId = `pending-${clientId}`;
  try {
    if (!conversationId) {
      const { folder_id, persona_id, sampling, documents } = fresh.value;
      const conversation = await post('/chat/conversations', { folder_id, persona_id, sampling, documents, model: choices.value.model });
      conversationId = conversation.id;
      begunHere.value = conversation.id;
      current.value = { id: conversation.id, status: 'ready', conversation, messages: new Map(), leaf: null };
      writeDraft(conversation.id, text);
      writeDraft(null, '');
      navigate(`/chat/${conversation.id}`, { replace: true });
      noteConversation(conversation);
    }
    const parent = isEdit ? parentId : leaf;
    put([pendingMessage(pendingId, /** @type {string} */ (conversationId), parent ?? null, text)], pendingId);
    const body = { content: text, parent_id: parent ?? null, client_id: clientId, zone: zone(), ...(direct ? { direct } : {}) };
    await run(/** @type {string} */ (conversationId), `/chat/conversations/${conversationId}/messages`, body, () => drop(pendingId, null));
    if (!isEdit && !direct) writeDraft(conversationId, '');
  } catch (error) {
    if (isAbort(error)) return;
    drop(pendingId, leaf);
    if (current.value && current.value.id !== conversationId) return;
    sendFailure.value = {
      ...explain(error, t), draft: isEdit || direct ? null : text, conversationId,
      retry: () => send(text, { parentId, clientId, direct }),
    };
  } finally {
    if (current.value?.id === conversationId) waiting.value = false;
  }
}

/** The zone of the person's clock: skills count "tomorrow" from there. */
const zone = () => Intl.DateTimeFormat().resolvedOptions().timeZone ?? '';

/** @param {unknown} error */
const isAbort = (error) => error instanceof DOMException && error.name === 'AbortError';

/** @param {string} id @param {string} conversationId @param {string|null} parentId @param {string} content @returns {Message} */
function pendingMessage(id, conversationId, parentId, content) {
  return { id, conversation_id: conversationId, parent_id: parentId, role: 'user', content, reasoning: '', status: 'pending',
    finish_reason: null, error: null, model: null, usage: null, created_at: new Date().toISOString() };
}

/** Write another reply to the same message. @param {Message} reply */
export async function regenerate(reply) {
  if (waiting.value || live.value) return;
  waiting.value = true;
  sendFailure.value = null;
  const { id } = /** @type {Open} */ (current.value);
  try {
    await run(id, `/chat/messages/${reply.id}/regenerate`, { zone: zone() }, () => {});
  } catch (error) {
    if (!isAbort(error)) sendFailure.value = { ...explain(error, t), draft: null, conversationId: id, retry: () => regenerate(reply) };
  } finally {
    if (current.value?.id === id) waiting.value = false;
  }
}

/**
 * Post a request that is answered by a reply, and follow the reply to its end in the background.
 * Resolves when the server has taken the message.
 * @param {string} conversationId @param {string} path @param {any} body @param {() => void} begun
 * @param {boolean} [goesOn] whether it is a reply that the page has already
 */
function run(conversationId, path, body, begun, goesOn = false) {
  following?.abort();
  const control = new AbortController();
  following = control;
  return new Promise((resolve, reject) => {
    let taken = false;
    const onTaken = (/** @type {any} */ data) => {
      taken = true;
      begun();
      const left = [...(current.value?.messages.values() ?? [])].filter((message) => message.status === 'waiting' && message.id !== data.reply.id);
      if (left.length) catchUp(conversationId, left);
      // A reply that goes on after a yes may have others after it: the branch stays as it is.
      put([data.user, data.reply].filter(Boolean), data.user || !goesOn ? data.reply.id : undefined);
      begin(conversationId, data.reply);
      touch(conversationId);
      resolve(undefined);
    };
    consume(stream('POST', path, body, control.signal), control, onTaken).then(
      (ended) => {
        if (!taken) reject(new ApiError(0, { code: 'offline' }));
        else if (!ended) followAgain(control);
      },
      (error) => {
        if (!taken) reject(error);
        else if (!control.signal.aborted) followAgain(control);
      });
  });
}

/** @param {string} conversationId @param {Message} reply */
function begin(conversationId, reply) {
  waiting.value = false;
  live.value = { replyId: reply.id, conversationId, content: signal(reply.content ?? ''), reasoning: signal(reply.reasoning ?? ''), lost: signal(false), grounds: signal(reply.grounds ?? null),
    runId: signal(reply.run_id ?? null), stages: signal(stagesSeen(reply.run_id)) };
}

/** Whoever says something else does not say yes: replies that waited are over. @param {string} conversationId @param {Message[]} left */
function catchUp(conversationId, left) {
  get(`/chat/conversations/${encodeURIComponent(conversationId)}`).then((answer) => {
    if (current.value?.id !== conversationId) return;
    put(answer.messages.filter((/** @type {Message} */ message) => left.some((one) => one.id === message.id)));
    for (const message of left) if (message.run_id) refetchRun(message.run_id);
  }, () => {});
}

/** @param {string} conversationId */
function touch(conversationId) {
  const known = conversations.value.find((item) => item.id === conversationId);
  if (known) noteConversation({ ...known, updated_at: new Date().toISOString() });
}

/** Attach to a reply that is being written, as after a reload. @param {string} conversationId @param {Message} reply */
function follow(conversationId, reply) {
  const control = new AbortController();
  following = control;
  begin(conversationId, reply);
  followAgain(control, 0);
}

/** Take a stream up again where it was cut, a few times. @param {AbortController} control @param {number} [attemptNumber] */
async function followAgain(control, attemptNumber = 0) {
  const reply = live.value;
  if (!reply || control.signal.aborted) return;
  if (attemptNumber > 0) {
    reply.lost.value = true;
    await new Promise((resolve) => { setTimeout(resolve, RETRIES[attemptNumber - 1]); });
    if (control.signal.aborted) return;
  }
  let ended = false;
  const began = performance.now();
  try {
    ended = await consume(stream('GET', `/chat/messages/${reply.replyId}/events`, undefined, control.signal), control, () => {});
  } catch (error) {
    if (control.signal.aborted) return;
    if (error instanceof ApiError && error.status >= 400 && error.status < 500 && error.status !== 429) { await reload(); return; }
  }
  if (ended || control.signal.aborted) return;
  // A stream that held for a while starts the count of attempts anew.
  const next = performance.now() - began > 5000 ? 1 : attemptNumber + 1;
  if (next <= RETRIES.length) followAgain(control, next);
}

/** Load the open conversation again from the server. */
export async function reload() {
  const id = current.value?.id;
  if (!id) return;
  leave();
  await openConversation(id);
}

/**
 * Read events into the page until the reply has ended.
 * Text is gathered and shown once per frame, or by a timer where the page is hidden and has no frames.
 * @param {AsyncGenerator<import('../shell/sse.js').ServerEvent>} events
 * @param {AbortController} control
 * @param {(data: any) => void} onMessage
 * @returns {Promise<boolean>} whether the reply has ended; false: the stream was cut
 */
async function consume(events, control, onMessage) {
  let text = '';
  let thought = '';
  let scheduled = false;
  let ended = false;
  const flush = () => {
    scheduled = false;
    const reply = live.value;
    if (!reply || control.signal.aborted) return;
    if (text) reply.content.value += text;
    if (thought) reply.reasoning.value += thought;
    text = '';
    thought = '';
  };
  for await (const { event, data } of events) {
    if (control.signal.aborted) return true;
    if (ended) continue;
    const reply = live.value;
    if (event === 'message') onMessage(data);
    else if (event === 'snapshot' && reply) {
      text = '';
      thought = '';
      reply.content.value = data.content ?? '';
      reply.reasoning.value = data.reasoning ?? '';
      reply.lost.value = false;
      for (const stage of data.stages ?? []) takeStage(reply, stage, true);
    } else if (event === 'stage' && reply) {
      flush(); // stages and words keep their order
      reply.lost.value = false;
      takeStage(reply, data, false);
    } else if (event === 'token') {
      text += data.text ?? '';
      thought += data.reasoning ?? '';
      if (reply?.lost.value) reply.lost.value = false;
      if (!scheduled) {
        scheduled = true;
        if (document.hidden) setTimeout(flush, 100);
        else requestAnimationFrame(flush);
      }
    } else if (event === 'sources' && reply) {
      reply.grounds.value = { citations: [], unsupported: [], ...data };
    } else if (event === 'citation' && reply?.grounds.value) {
      flush(); // the words that it supports come first
      reply.grounds.value = { ...reply.grounds.value, citations: [...reply.grounds.value.citations, data] };
    } else if (event === 'title') {
      const known = current.value?.conversation;
      if (known) noteConversation({ ...known, title: data.title });
    } else if (event === 'done' || event === 'error') {
      if (!data.message && reply) { await reload(); return true; }
      finish(data.message);
      ended = true; // the server closes the stream; leaving it to do so keeps the connection
    }
  }
  if (!ended) flush();
  return ended;
}

/**
 * Put a stage where it belongs. A snapshot's pieces of the answer are whole: they replace what had come before.
 * @param {Live} reply @param {any} stage @param {boolean} isWhole
 */
function takeStage(reply, { run_id: runId, number, kind, data }, isWhole) {
  if (runId) reply.runId.value = runId;
  if (kind === 'left_out') {
    if (!isWhole) notify(t('skills.left_out', { name: skillName(data.skill) }), { kind: 'error', fix: data.message });
    return;
  }
  if (kind === 'run') { reply.runId.value = data?.run_id ?? reply.runId.value; return; }
  if (isWhole && kind === 'text') reply.stages.value = reply.stages.value.filter((one) => one.number !== number);
  reply.stages.value = withStage(reply.stages.value, { number, kind, data });
}

/** @param {Message} message */
function finish(message) {
  const reply = live.value;
  const runId = message.run_id ?? reply?.runId.value;
  if (runId && reply?.stages.value.length) noteRun(runId, reply.stages.value);
  put([message]);
  live.value = null;
  waiting.value = false;
  announcement.value = '';
  setTimeout(() => {
    // A question is told by the card that takes the focus.
    if (message.status !== 'waiting') announcement.value = message.status === 'failed' ? t('message.failed') : t('message.finished');
  }, 50);
  if (!conversations.value.some((item) => item.id === message.conversation_id)) refreshConversations().catch(complain);
}

/** End the reply that is being written; what has been written stays. */
export async function stop() {
  const reply = live.value;
  if (!reply) return;
  await attempt(async () => {
    const message = await post(`/chat/messages/${reply.replyId}/stop`);
    // The stream normally brings the end itself; without it the answer to this call does.
    setTimeout(() => { if (live.value === reply) { following?.abort(); finish(message); } }, 500);
  });
}

/** Calls to which an answer is on its way or has been given: a second click sends nothing. @type {Set<string>} */
const answered = new Set();

/**
 * Say yes to a call that waits; the reply goes on where it stopped.
 * @param {Message} reply @param {import('./runs.js').Call} call
 */
export async function approve(reply, call) {
  if (waiting.value || live.value || answered.has(call.id)) return;
  answered.add(call.id);
  const { id } = /** @type {Open} */ (current.value);
  waiting.value = true;
  try {
    await run(id, `/chat/messages/${reply.id}/approve`, { call_id: call.id, arguments_hash: call.confirm.arguments_hash }, () => {}, true);
  } catch (error) {
    answered.delete(call.id);
    if (isAbort(error)) return;
    if (reply.run_id && error instanceof ApiError && error.status === 409) refetchRun(reply.run_id);
    throw error;
  } finally {
    if (current.value?.id === id) waiting.value = false;
  }
}

/** Say no to a call that waits. @param {Message} reply @param {import('./runs.js').Call} call */
export async function deny(reply, call) {
  if (answered.has(call.id)) return;
  answered.add(call.id);
  try {
    const message = await post(`/chat/messages/${reply.id}/deny`, { call_id: call.id });
    put([message]);
  } catch (error) {
    answered.delete(call.id);
    throw error;
  } finally {
    if (reply.run_id) refetchRun(reply.run_id);
  }
}

/** Show the newest branch through a message. @param {string} messageId */
export function showBranch(messageId) {
  const open = current.value;
  if (!open || live.value) return;
  const leaf = newestLeaf(open.messages, messageId);
  current.value = { ...open, leaf };
  patch(`/chat/conversations/${open.id}`, { active_leaf_id: leaf }).catch(complain);
}

/** Show a message wherever it is in the tree. @param {string} messageId @returns {boolean} */
export function reveal(messageId) {
  const open = current.value;
  if (!open?.messages.has(messageId)) return false;
  if (!pathTo(open.messages, open.leaf).some((message) => message.id === messageId)) {
    current.value = { ...open, leaf: newestLeaf(open.messages, messageId) };
  }
  return true;
}
