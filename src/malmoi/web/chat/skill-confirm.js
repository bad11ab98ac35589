/** The question before a call that changes something: what it will do, in plain words, and two buttons. */
import { useEffect, useRef } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { explain } from '../shell/api.js';
import { Icon } from '../shell/icons.js';
import { announcement } from '../shell/notices.js';
import { seenCards } from './runs.js';
import { operationTitle, skillName } from './skills.js';
import { Arguments } from './skill-trace.js';

/** @typedef {import('./runs.js').Call} Call */

const LASTS = 15 * 60 * 1000; // as long as the server waits

/** The card on the page that a call is about: it has a button with the same identifier. @param {Call} call */
export function cardOf(call) {
  const ids = Object.entries(call.arguments).filter(([name, value]) => /(^|_)id$/.test(name) && typeof value === 'string');
  if (!ids.length) return null;
  return seenCards().find(({ skill, card }) => skill === call.skill
    && card.actions.some((/** @type {any} */ action) => ids.every(([name, value]) => action.arguments[name] === value)))?.card ?? null;
}

/**
 * @param {{call: Call, takesFocus: boolean, onApprove: () => Promise<void>, onDeny: () => Promise<void>}} props
 */
export function ConfirmCard({ call, takesFocus, onApprove, onDeny }) {
  const box = useRef(/** @type {HTMLElement|null} */ (null));
  const busy = useSignal('');
  const failure = useSignal(/** @type {{text: string, fix: string}|null} */ (null));
  const since = Date.parse(call.confirm.at ?? '') || Date.now();
  const late = useSignal(Date.now() - since > LASTS);
  const waits = !late.value;
  useEffect(() => {
    if (late.value) return undefined;
    const timer = setTimeout(() => { late.value = true; }, Math.max(0, since + LASTS - Date.now()));
    return () => clearTimeout(timer);
  }, [since]);
  const title = operationTitle(call.skill, call.operation, call.title);
  useEffect(() => {
    if (!waits || !takesFocus) return;
    // Whoever is writing keeps the box, and hears of the question; everybody else is led to it.
    const writing = document.activeElement instanceof HTMLTextAreaElement && document.activeElement.value;
    if (writing) setTimeout(() => { announcement.value = t('skills.confirm_waits', { title }); }, 100);
    else box.current?.focus({ preventScroll: true });
  }, []);
  /** @param {'yes'|'no'} answer @param {() => Promise<void>} act */
  const once = async (answer, act) => {
    if (busy.peek()) return;
    busy.value = answer;
    failure.value = null;
    try { await act(); } catch (error) {
      failure.value = explain(error, t);
      busy.value = '';
    }
  };
  const final = call.confirm.final === true; // it cannot be undone
  const about = cardOf(call);
  const id = `confirm-${call.id}`;
  return html`
    <section ref=${box} class=${`confirm ${final ? 'final' : ''} ${waits ? '' : 'over'}`} role=${waits ? 'alertdialog' : 'group'} tabindex="-1"
      aria-labelledby=${`${id}-title`} aria-describedby=${`${id}-what`}>
      <header><${Icon} name=${final ? 'alert' : 'shield'} /><div><h3 id=${`${id}-title`}>${t('skills.confirm_title', { title })}</h3><p class="quiet">${skillName(call.skill)}</p></div></header>
      <div id=${`${id}-what`} class="confirm-what">
        ${about && html`<p class="confirm-about"><strong>${about.title}</strong>${about.subtitle && html`<span class="quiet">${about.subtitle}</span>`}</p>`}
        <${Arguments} skill=${call.skill} operation=${call.operation} given=${call.arguments} />
        ${waits && html`<p class="confirm-note">${final ? t('skills.confirm_final') : t('skills.confirm_note')}</p>`}
      </div>
      ${failure.value && html`<p class="field-error" role="alert">${failure.value.text} ${failure.value.fix}</p>`}
      ${waits ? html`<div class="confirm-actions">
        <button type="button" class="button" aria-disabled=${busy.value ? 'true' : undefined} onClick=${() => once('no', onDeny)}>${t('skills.deny')}</button>
        <button type="button" class=${`button ${final ? 'danger' : 'primary'}`} aria-disabled=${busy.value ? 'true' : undefined} onClick=${() => once('yes', onApprove)}>
          ${busy.value === 'yes' && html`<span class="spinner" aria-hidden="true"></span>`}${t('skills.approve', { title })}</button></div>`
        : html`<p class="confirm-state" role="status">${t('skills.expired')}</p>`}
    </section>`;
}
