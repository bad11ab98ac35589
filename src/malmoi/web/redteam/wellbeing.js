/** What looks after the people who read harmful text: a warning first, breaks, and somebody to talk to. */
import { useEffect } from 'preact/hooks';
import { signal, useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { said, t } from '../shell/i18n.js';
import { attempt } from '../shell/notices.js';
import { Dialog } from '../shell/dialog.js';
import { Mark } from '../shell/icons.js';
import { changeMe, helpLines, me } from './store.js';

/** Whether the work is covered by a pause. */
export const pausing = signal(false);
const BREAKS = [0, 15, 25, 45, 60];
const LOOK = 5000;

/** Since when the work goes on without a break, in this browser window. */
const beganAt = signal(Date.now());
/** Begin to count anew. @param {number} [minutesLeft] until the next reminder, instead of a whole stretch */
export function restart(minutesLeft) {
  const whole = me.value?.break_minutes ?? 0;
  beganAt.value = Date.now() - (minutesLeft === undefined ? 0 : Math.max(0, whole - minutesLeft)) * 60_000;
}

/** Whether a break is due. @param {number} minutes @param {number} began @param {number} now */
export const isDue = (minutes, began, now) => minutes > 0 && now - began >= minutes * 60_000;

export function HelpLines() {
  return html`
    <section class="help-lines"><h3>${t('redteam.help_title')}</h3>
      <ul>${helpLines.value.map((line) => html`<li key=${line.number}><a href=${`tel:${line.number}`}>${line.number}</a> <span>${said(line.name)}</span> <small>${said(line.about)}</small></li>`)}</ul>
    </section>`;
}

/** @param {{value: number, onChange: (minutes: number) => void}} props */
export function BreakChoice({ value, onChange }) {
  return html`<label>${t('redteam.break_every')}
    <select value=${value} onChange=${(event) => onChange(Number(event.currentTarget.value))}>
      ${[...new Set([...BREAKS, value])].sort((a, b) => a - b).map((minutes) => html`<option key=${minutes} value=${minutes}>${minutes ? t('time.minutes', { n: minutes }) : t('redteam.break_never')}</option>`)}
    </select></label>`;
}

/** The first thing that an annotator sees. */
export function Warning() {
  const blur = useSignal(true);
  const minutes = useSignal(me.value.break_minutes);
  const accept = () => attempt(async () => {
    await changeMe({ warned: true, blur: blur.value, break_minutes: minutes.value });
    restart();
  });
  return html`
    <section class="redteam-warning" aria-labelledby="warning-title">
      <h2 id="warning-title">${t('redteam.warning_title')}</h2>
      <p>${t('redteam.warning_content')}</p>
      <p>${t('redteam.warning_care')}</p>
      <div class="form">
        <label class="check"><input type="checkbox" checked=${blur.value} onChange=${(event) => { blur.value = event.currentTarget.checked; }} /><span>${t('redteam.blur')}<small>${t('redteam.blur_help')}</small></span></label>
        <${BreakChoice} value=${minutes.value} onChange=${(value) => { minutes.value = value; }} />
      </div>
      <${HelpLines} />
      <p><button type="button" class="button primary" onClick=${accept}>${t('redteam.warning_accept')}</button> <a class="button" href="/chat">${t('redteam.warning_leave')}</a></p>
    </section>`;
}

/** How one works, to be changed at any time. @param {{onClose: () => void}} props */
export function CareDialog({ onClose }) {
  return html`
    <${Dialog} title=${t('redteam.care')} onClose=${onClose} className="narrow">
      <div class="form">
        <label class="check"><input type="checkbox" checked=${me.value.blur} onChange=${(event) => attempt(() => changeMe({ blur: event.currentTarget.checked }))} /><span>${t('redteam.blur')}<small>${t('redteam.blur_help')}</small></span></label>
        <${BreakChoice} value=${me.value.break_minutes} onChange=${(value) => attempt(() => changeMe({ break_minutes: value }))} />
      </div>
      <${HelpLines} />
      <div class="dialog-actions"><button type="button" class="button primary" onClick=${() => { onClose(); pausing.value = true; }}>${t('redteam.pause')}</button></div>
    <//>`;
}

/** Asks for a break when one is due. */
export function BreakReminder() {
  const due = useSignal(false);
  useEffect(() => {
    const timer = setInterval(() => {
      if (!pausing.value && me.value?.warned) due.value = isDue(me.value.break_minutes, beganAt.value, Date.now());
    }, LOOK);
    return () => clearInterval(timer);
  }, []);
  if (!due.value || pausing.value) return null;
  const later = () => { restart(5); due.value = false; };
  return html`
    <${Dialog} title=${t('redteam.break_title')} onClose=${later} className="narrow">
      <p>${t('redteam.break_text', { n: me.value.break_minutes })}</p>
      <${HelpLines} />
      <div class="dialog-actions">
        <button type="button" class="button" onClick=${later}>${t('redteam.break_later')}</button>
        <button type="button" class="button primary" autofocus onClick=${() => { due.value = false; pausing.value = true; }}>${t('redteam.break_take')}</button>
      </div>
    <//>`;
}

/** Nothing of the work is to be seen. */
export function Pause() {
  useEffect(() => { document.querySelector('.pause button')?.focus(); }, []);
  return html`
    <section class="pause" aria-labelledby="pause-title"><${Mark} /><h2 id="pause-title">${t('redteam.pause_title')}</h2><p>${t('redteam.pause_text')}</p>
      <${HelpLines} />
      <button type="button" class="button primary" onClick=${() => { restart(); pausing.value = false; }}>${t('redteam.pause_end')}</button></section>`;
}
