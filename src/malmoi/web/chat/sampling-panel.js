/** How the model chooses its words, in plain language; every value can go back to the model's own. */
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { number } from '../shell/format.js';
import { Dialog } from '../shell/dialog.js';
import { notify, attempt } from '../shell/notices.js';
import { savePreferences } from '../shell/state.js';
import { choices, choose } from './store.js';

/** @typedef {{name: string, min: number, max: number, step: number, start: number, digits: number}} Field */
/** @type {Field[]} `start`: where the slider stands while the model decides */
export const FIELDS = [
  { name: 'temperature', min: 0, max: 2, step: 0.05, start: 0.7, digits: 2 },
  { name: 'top_p', min: 0.05, max: 1, step: 0.05, start: 0.9, digits: 2 },
  { name: 'top_k', min: 0, max: 100, step: 1, start: 40, digits: 0 },
  { name: 'min_p', min: 0, max: 0.5, step: 0.01, start: 0.05, digits: 2 },
  { name: 'repetition_penalty', min: 1, max: 2, step: 0.05, start: 1.1, digits: 2 },
  { name: 'max_tokens', min: 64, max: 8192, step: 64, start: 2048, digits: 0 },
];

/** @param {Record<string, any>} sampling @param {string} name @param {number|null} value */
function withValue(sampling, name, value) {
  const next = { ...sampling };
  if (value === null) delete next[name];
  else next[name] = value;
  return next;
}

/** @param {{onClose: () => void}} props */
export function SamplingPanel({ onClose }) {
  const sampling = /** @type {Record<string, any>} */ (choices.value.sampling ?? {});
  const set = (/** @type {string} */ name, /** @type {number|null} */ value) => choose({ sampling: withValue(sampling, name, value) });
  const changed = Object.values(sampling).some((value) => value !== null && value !== undefined);
  return html`
    <${Dialog} title=${t('sampling.title')} onClose=${onClose} className="side">
      <p class="quiet">${t('sampling.lead')}</p>
      <div class="form">
        ${FIELDS.map((field) => html`<${Slider} key=${field.name} field=${field} value=${sampling[field.name] ?? null} onSet=${set} />`)}
        <div class="slider">
          <div class="slider-head"><label for="sampling-seed">${t('sampling.seed')}</label>
            ${sampling.seed != null && html`<button type="button" class="link" onClick=${() => set('seed', null)}>${t('sampling.reset')}</button>`}</div>
          <input id="sampling-seed" type="number" min="0" max="4294967295" step="1" placeholder=${t('sampling.random')} value=${sampling.seed ?? ''}
            onChange=${(event) => set('seed', event.currentTarget.value === '' ? null : Math.max(0, Math.trunc(Number(event.currentTarget.value))))} />
          <small>${t('sampling.seed_help')}</small>
        </div>
      </div>
      <div class="dialog-actions">
        <button type="button" class="button" disabled=${!changed} onClick=${() => choose({ sampling: {} })}>${t('sampling.reset_all')}</button>
        <span class="grow"></span>
        <button type="button" class="button" onClick=${() => attempt(async () => { await savePreferences({ sampling }); notify(t('sampling.kept')); })}>${t('sampling.keep')}</button>
      </div>
    <//>`;
}

/** @param {{field: Field, value: number|null, onSet: (name: string, value: number|null) => void}} props */
function Slider({ field, value, onSet }) {
  const { name, min, max, step, start, digits } = field;
  const id = `sampling-${name}`;
  return html`
    <div class="slider">
      <div class="slider-head"><label for=${id}>${t(`sampling.${name}`)}</label>
        <output for=${id}>${value === null ? t('sampling.default') : number(value, digits)}</output>
        ${value !== null && html`<button type="button" class="link" aria-label=${`${t('sampling.reset')}: ${t(`sampling.${name}`)}`} onClick=${() => onSet(name, null)}>${t('sampling.reset')}</button>`}</div>
      <input id=${id} type="range" class=${value === null ? 'unset' : ''} min=${min} max=${max} step=${step} value=${value ?? start} aria-describedby=${`${id}-help`}
        aria-valuetext=${value === null ? t('sampling.default') : String(value)}
        onChange=${(event) => onSet(name, Number(event.currentTarget.value))} />
      <small id=${`${id}-help`}>${t(`sampling.${name}_help`)}</small>
    </div>`;
}
