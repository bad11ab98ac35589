/** One message: what was said, which version of it, and what can be done with it. */
import { useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { said, t } from '../shell/i18n.js';
import { number } from '../shell/format.js';
import { models } from '../shell/state.js';
import { Icon, Mark } from '../shell/icons.js';
import { notify } from '../shell/notices.js';
import { live, regenerate, reload, send, showBranch, waiting } from './conversation.js';
import { chosenModel, chosenPersona } from './store.js';
import { Markdown } from './markdown-view.js';
import { Extract, Sources } from './sources.js';
import { Reasoning } from './reasoning.js';
import { EditBox } from './edit-box.js';
import { ReplyResults, ReplyTrace, storyFor } from './skilled-reply.js';

/** @typedef {import('./tree.js').Message} Message */

/** @param {{ids: string[], index: number}} props */
function Versions({ ids, index }) {
  if (ids.length < 2) return null;
  const busy = Boolean(live.value);
  return html`
    <div class="versions" role="group" aria-label=${t('message.versions')}>
      <button type="button" class="icon-button small" aria-label=${t('message.previous')} disabled=${index === 0 || busy} onClick=${() => showBranch(ids[index - 1])}><${Icon} name="left" /></button>
      <span>${index + 1}/${ids.length}</span>
      <button type="button" class="icon-button small" aria-label=${t('message.next')} disabled=${index === ids.length - 1 || busy} onClick=${() => showBranch(ids[index + 1])}><${Icon} name="right" /></button>
    </div>`;
}

/** @param {{text: string}} props */
function CopyButton({ text }) {
  const copied = useSignal(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    copied.value = true;
    setTimeout(() => { copied.value = false; }, 1500);
  };
  const label = copied.value ? t('message.copied') : t('message.copy');
  return html`<button type="button" class="icon-button small" aria-label=${label} title=${label}
    onClick=${() => copy().catch(() => notify(t('error.clipboard'), { kind: 'error' }))}><${Icon} name=${copied.value ? 'check' : 'copy'} /></button>`;
}

/** @param {{message: Message, versions: {ids: string[], index: number}}} props */
export function UserMessage({ message, versions }) {
  const editing = useSignal(false);
  if (editing.value) {
    return html`<article class="message user editing" data-id=${message.id} aria-label=${t('message.yours')}>
      <${EditBox} text=${message.content} onCancel=${() => { editing.value = false; }}
        onSend=${(/** @type {string} */ text) => { editing.value = false; send(text, { parentId: message.parent_id ?? null }); }} /></article>`;
  }
  const busy = Boolean(live.value) || waiting.value;
  return html`
    <article class=${`message user ${message.status}`} data-id=${message.id} aria-label=${t('message.yours')}>
      <div class="bubble">${message.content}</div>
      ${message.status !== 'pending' && html`
        <footer class="message-foot">
          <${Versions} ...${versions} />
          <${CopyButton} text=${message.content} />
          <button type="button" class="icon-button small" aria-label=${t('message.edit')} title=${t('message.edit')} disabled=${busy}
            onClick=${() => { editing.value = true; }}><${Icon} name="edit" /></button>
        </footer>`}
    </article>`;
}

/** @param {{usage: any}} props */
function Figures({ usage }) {
  if (!usage) return null;
  const parts = [];
  if (usage.tokens_per_second) parts.push(t('message.speed', { n: number(usage.tokens_per_second, 1) }));
  if (usage.first_token_seconds != null) parts.push(t('message.first_token', { n: number(usage.first_token_seconds, 2) }));
  if (usage.completion_tokens) parts.push(t('message.tokens', { n: number(usage.completion_tokens) }));
  return html`<span class="figures">${parts.join(' · ')}</span>`;
}

/** @param {{message: Message}} props */
function Outcome({ message }) {
  if (message.status === 'failed') {
    return html`<div class="banner error" role="alert"><${Icon} name="alert" />
      <div><strong>${message.error?.message ?? t('message.failed')}</strong>${message.error?.fix && html`<span>${message.error.fix}</span>`}</div>
      <button type="button" class="button small" onClick=${() => regenerate(message)}>${t('action.retry')}</button></div>`;
  }
  const key = { stopped: 'message.stopped', interrupted: 'message.interrupted' }[message.status]
    ?? (message.finish_reason === 'length' ? 'message.cut' : null);
  return key && html`<p class="outcome">${t(key)}</p>`;
}

/** @param {{message: Message, versions: {ids: string[], index: number}}} props */
export function Reply({ message, versions }) {
  const reply = live.value?.replyId === message.id ? live.value : null;
  const content = reply ? reply.content.value : message.content;
  const reasoning = reply ? reply.reasoning.value : message.reasoning;
  const grounds = reply ? reply.grounds.value : message.grounds ?? null;
  const told = storyFor(message, reply);
  const busy = Boolean(live.value) || waiting.value;
  // A reply learns at its end which model wrote it; until then it is the chosen one.
  const name = message.model ?? (reply ? chosenModel.value?.name : null);
  const model = models.value?.find((item) => item.name === name)?.title ?? name;
  // What a template says first, and what its flow says by itself, no model has written.
  const isOpening = message.finish_reason === 'opening';
  return html`
    <article class=${`message reply ${reply ? 'streaming' : message.status}`} tabindex="-1" data-id=${message.id} aria-label=${t('message.reply')}>
      <div class="author"><${Mark} /><span>${model ?? (said(chosenPersona.value?.name) || t('app.name'))}</span></div>
      ${told && html`<${ReplyTrace} told=${told} message=${message} isLive=${Boolean(reply)} />`}
      ${reasoning && html`<${Reasoning} text=${reasoning} streaming=${Boolean(reply) && !content} />`}
      ${(content || (!reply && !told)) && html`<${Markdown} text=${content} streaming=${Boolean(reply)} citations=${grounds?.citations} />`}
      ${reply && !content && grounds && html`<${Extract} extract=${grounds.extract} />`}
      ${told && html`<${ReplyResults} told=${told} message=${message} content=${content} isLive=${Boolean(reply)} />`}
      ${reply && !content && !reasoning && (!told || told.story.reason === 'none') && html`<div class="thinking" role="img" aria-label=${t('message.writing')}><i></i><i></i><i></i></div>`}
      ${reply?.lost.value && html`<div class="banner error"><${Icon} name="alert" /><div>${t('error.stream_lost')}</div>
        <button type="button" class="button small" onClick=${reload}>${t('action.reload')}</button></div>`}
      ${!reply && html`
        <${Outcome} message=${message} />
        ${grounds && html`<${Sources} grounds=${grounds} />`}
        <footer class="message-foot">
          <${Versions} ...${versions} />
          <${CopyButton} text=${content} />
          ${!isOpening && html`<button type="button" class="icon-button small" aria-label=${t('message.regenerate')} title=${t('message.regenerate')} disabled=${busy}
            onClick=${() => regenerate(message)}><${Icon} name="again" /></button>`}
          <${Figures} usage=${message.usage} />
        </footer>`}
    </article>`;
}
