/** Says that a message was not sent, and offers to send it again; after 429 it counts down first. */
import { useEffect } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { Icon } from '../shell/icons.js';
import { sendFailure } from './conversation.js';

/** @param {{onRetry: () => void}} props */
export function SendFailure({ onRetry }) {
  const failure = sendFailure.value;
  const left = useSignal(0);
  useEffect(() => {
    left.value = failure?.retryAfter ?? 0;
    if (!left.value) return undefined;
    const timer = setInterval(() => { left.value = Math.max(0, left.value - 1); }, 1000);
    return () => clearInterval(timer);
  }, [failure]);
  if (!failure) return html`<div role="alert"></div>`;
  const retry = () => {
    if (failure.draft) onRetry();
    failure.retry();
  };
  return html`
    <div class="banner error" role="alert">
      <${Icon} name="alert" />
      <div><strong>${failure.text}</strong>${failure.fix && html`<span>${failure.fix}</span>`}
        ${failure.draft && html`<span>${t('error.draft_kept')}</span>`}</div>
      <button type="button" class="button small" disabled=${left.value > 0} onClick=${retry}>
        ${left.value > 0 ? t('error.retry_in', { n: left.value }) : t('action.retry')}</button>
    </div>`;
}
