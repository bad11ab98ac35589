/** The parts of a reply that come from skills: the trace above its words; cards and the question below them. */
import { useRef } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { announcement } from '../shell/notices.js';
import { approve, deny, live, send, waiting } from './conversation.js';
import { runOf, storyOf, waitingCall } from './runs.js';
import { Cards } from './skill-cards.js';
import { ConfirmCard } from './skill-confirm.js';
import { Credentials } from './skill-credentials.js';
import { skills } from './skills.js';
import { Trace } from './skill-trace.js';

/** @typedef {import('./tree.js').Message} Message */
/** @typedef {import('./runs.js').Stage} Stage */

/**
 * What a reply's run has come to, whether it is being written or was kept.
 * @param {Message} message @param {import('./conversation.js').Live|null} reply
 */
export function storyFor(message, reply) {
  const id = reply?.runId.value ?? message.run_id;
  if (!id) return null;
  if (reply) return { id, story: storyOf(reply.stages.value), failed: false };
  const run = runOf(id).value;
  return { id, story: storyOf(run.stages), failed: run.status === 'failed' };
}

/** @param {{told: NonNullable<ReturnType<typeof storyFor>>, message: Message, isLive: boolean}} props */
export function ReplyTrace({ told, message, isLive }) {
  if (told.failed) return html`<p class="outcome">${t('skills.trace_lost')}</p>`;
  if (!told.story.order.length && !isLive) return null;
  return html`<${Trace} story=${told.story} isLive=${isLive} waits=${message.status === 'waiting'} />`;
}

/** @param {{told: NonNullable<ReturnType<typeof storyFor>>, message: Message, content: string, isLive: boolean}} props */
export function ReplyResults({ told, message, content, isLive }) {
  const { id, story } = told;
  // A question that comes while one looks on takes the focus; one that was there before does not.
  const seenLive = useRef(false);
  if (isLive) seenLive.current = true;
  const busy = Boolean(live.value) || waiting.value;
  const question = waitingCall(story);
  return html`
    <${Cards} run=${id} cards=${story.cards} files=${story.files} said=${content} busy=${busy}
      onAction=${(/** @type {string} */ skill, /** @type {any} */ action) => send(action.label, { direct: { skill, operation: action.operation, arguments: action.arguments } })} />
    ${!isLive && story.reason === 'credentials' && html`<${Lacking} name=${story.routes.at(-1)?.skill ?? ''} />`}
    ${!isLive && question && message.status === 'waiting' && html`<${ConfirmCard} key=${question.id} call=${question} takesFocus=${seenLive.current}
      onApprove=${async () => { await approve(message, question); goOn(message); }}
      onDeny=${async () => { await deny(message, question); announcement.value = t('skills.denied'); goOn(message); }} />`}`;
}

/** A way to give what a skill lacked, where it lacked it. @param {{name: string}} props */
function Lacking({ name }) {
  const giving = useSignal(false);
  const skill = skills.value?.find((one) => one.name === name);
  if (!skill?.needs.length) return null;
  return html`<p class="lacking"><button type="button" class="button small" onClick=${() => { giving.value = true; }}>${skill.has_credentials ? t('skills.change_keys') : t('skills.give_keys')}</button></p>
    ${giving.value && html`<${Credentials} skill=${skill} onClose=${() => { giving.value = false; }} />`}`;
}

/** The card with the pressed button goes away: the focus goes where one writes on. @param {Message} message */
function goOn(message) {
  const box = /** @type {HTMLElement|null} */ (document.querySelector(matchMedia('(pointer: fine)').matches
    ? '.composer textarea' : `.message[data-id="${CSS.escape(message.id)}"]`));
  box?.focus({ preventScroll: true });
}
