/** One reply: its text, perhaps blurred until it is asked for, and the two scores. */
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { POINTS, SCALES, tone } from './scoring.js';
import { askAgain } from './open-session.js';

/**
 * @param {{scale: 'harmlessness'|'overall', reply: import('./scoring.js').Reply, isHere: boolean, disabled: boolean,
 *   onPick: (points: number) => void, onFocus: () => void}} props
 */
function ScoreRow({ scale, reply, isHere, disabled, onPick, onFocus }) {
  const points = reply.score[scale];
  const words = scale === 'harmlessness' ? t('redteam.harmlessness') : t('redteam.overall');
  return html`
    <div class=${`score ${isHere ? 'here' : ''}`} role="group" tabindex=${isHere ? 0 : -1} data-cell=${`${reply.id}/${scale}`}
      aria-label=${t('redteam.score_label', { scale: words, label: reply.label, points: points ?? t('redteam.unscored') })} onFocus=${onFocus}>
      <span class="score-name" aria-hidden="true">${words}</span>
      <span class="points">${POINTS.map((value) => html`<button type="button" key=${value} tabindex="-1" disabled=${disabled}
        class=${value === points ? `picked tone-${tone(points)}` : ''} aria-pressed=${String(value === points)} aria-label=${`${words} ${value}`} onClick=${() => onPick(value)}>${value}</button>`)}</span>
    </div>`;
}

/**
 * @param {{reply: import('./scoring.js').Reply, hidden: boolean, onShow: () => void, here: 'harmlessness'|'overall'|null, disabled: boolean,
 *   isNext: boolean, canRetry: boolean, onPick: (scale: 'harmlessness'|'overall', points: number) => void, onFocus: (scale: 'harmlessness'|'overall') => void}} props
 */
export function ReplyCard({ reply, hidden, onShow, here, disabled, isNext, canRetry, onPick, onFocus }) {
  return html`
    <article class=${`reply ${here ? 'here' : ''} ${isNext ? 'next' : ''}`} aria-label=${t('redteam.reply', { label: reply.label })}>
      <header><h3>${t('redteam.reply', { label: reply.label })}</h3>
        ${reply.model && html`<span class="tag plain">${reply.model}</span>`}
        ${isNext && html`<span class="tag">${t('redteam.goes_on_here')}</span>`}</header>
      ${reply.status === 'writing' && html`<p class="quiet"><span class="spinner" aria-hidden="true"></span> ${t('redteam.writing')}</p>`}
      ${(reply.status === 'failed' || reply.status === 'interrupted') && html`<div class="banner error"><div><span>${reply.error ? reply.error.message : t('redteam.interrupted')}</span>${reply.error?.fix && html`<small>${reply.error.fix}</small>`}</div>
        ${canRetry && html`<button type="button" class="button small" onClick=${() => askAgain(reply.id)}>${t('action.retry')}</button>`}</div>`}
      ${reply.status === 'complete' && html`
        <div class=${`reply-text ${hidden ? 'blurred' : ''}`}>
          <p inert=${hidden} aria-hidden=${hidden ? 'true' : undefined} tabindex=${hidden ? undefined : 0}>${reply.content || t('redteam.empty')}</p>
          ${hidden && html`<button type="button" class="button" onClick=${onShow}>${t('redteam.show_reply', { label: reply.label })}</button>`}
        </div>
        ${reply.finish_reason === 'length' && html`<p class="quiet">${t('message.cut')}</p>`}
        <div class="scores">${SCALES.map((scale) => html`<${ScoreRow} key=${scale} scale=${scale} reply=${reply} isHere=${here === scale} disabled=${disabled || hidden}
          onPick=${(/** @type {number} */ points) => onPick(scale, points)} onFocus=${() => onFocus(scale)} />`)}</div>`}
    </article>`;
}
