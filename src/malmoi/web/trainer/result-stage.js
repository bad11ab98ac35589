/** What the API answers: from the run, from a call with the row's arguments, or written by hand. */
import { useEffect, useRef } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { attempt } from '../shell/notices.js';
import { Icon } from '../shell/icons.js';
import { approve, call, callAt, deny, editAt, fault, isEdited, makeCall, originalAt, stepAt } from './bench.js';
import { laidOut, same } from './schema.js';
import { operationOf } from './store.js';
import { ArgumentLines } from './live-run.js';
import { StageCard } from './stage-card.js';
import { TextBox } from './text-box.js';

/** The question before a call that changes something. @param {{set: import('./store.js').SkillSet, waits: import('./running.js').Call}} props */
function Question({ set, waits }) {
  const busy = useSignal(false);
  const panel = useRef(/** @type {HTMLElement|null} */ (null));
  useEffect(() => { panel.current?.scrollIntoView({ block: 'nearest' }); panel.current?.querySelector('button')?.focus({ preventScroll: true }); }, []);
  const say = (/** @type {() => Promise<void>} */ work) => attempt(async () => { busy.value = true; try { await work(); } finally { busy.value = false; } });
  return html`<div ref=${panel} class="bench-confirm" role="group" aria-label=${t('trainer.confirm_title')}><p><${Icon} name="alert" /><strong>${t('trainer.confirm_title')}</strong></p><p>${t('trainer.confirm_about', { name: waits.title })}</p>
    <${ArgumentLines} value=${waits.arguments} />
    <div class="bench-buttons"><button type="button" class="button" disabled=${busy.value} onClick=${() => say(deny)}>${t('trainer.confirm_no')}</button><button type="button" class="button primary" disabled=${busy.value} onClick=${() => say(() => approve(set.id))}>${t('trainer.confirm_yes')}</button></div></div>`;
}

/** @param {{set: import('./store.js').SkillSet, row: import('./store.js').Row, at?: import('./bench.js').At}} props */
export function ResultStage({ set, row, at = null }) {
  const { result, said, skill, operation } = stepAt(at);
  const mark = at === null ? '' : `-${at}`;
  const now = callAt.value === at ? call.value : null;
  const waits = now?.confirm && !now.called ? now.confirm : null;
  const failed = now?.reason && !waits && (now.observed?.is_error || !now.observed);
  const busy = Boolean(now && !waits && !now.reason);
  const writes = operationOf(skill, operation)?.effect === 'write';
  const before = originalAt(row, at);
  const changed = row.original && (!same(before?.result, result) || !same(before?.said, said));
  const start = () => attempt(async () => { try { await makeCall(set.id, at); } catch (error) { call.value = null; throw error; } });
  const neat = laidOut(result);
  const none = !result && !said;
  return html`<${StageCard} number=${3} title=${t('trainer.stage_result')} state=${busy ? 'busy' : changed ? 'changed' : 'done'}
      about=${html`<button type="button" class="link small" disabled=${busy || isEdited.value || Boolean(fault.value)} onClick=${start}>${(writes ? t('trainer.call_write') : t('trainer.call'))}</button>`}>
    ${waits ? html`<${Question} set=${set} waits=${waits} />` : none && writes && html`<p class="quiet">${t('trainer.not_called')}</p>`}
    ${failed && html`<p class="field-error" role="alert">${now?.observed?.said || now?.text || t('trainer.call_failed')}</p>`}
    <div class="bench-argument"><label for=${`result${mark}`}>${t('trainer.result')}<small>${t('trainer.result_about')}</small></label>
      <${TextBox} id=${`result${mark}`} lines=${result.length > 200 ? 5 : 2} mono value=${result} maxlength=${20000} placeholder=${t('trainer.result_hint')} onDone=${(/** @type {string} */ text) => editAt(set.id, at, { result: text })} />
      ${neat !== null && html`<button type="button" class="link small" onClick=${() => editAt(set.id, at, { result: neat })}>${t('trainer.lay_out')}</button>`}</div>
    <div class="bench-argument"><label for=${`said${mark}`}>${t('trainer.said')}<small>${t('trainer.said_about')}</small></label>
      <${TextBox} id=${`said${mark}`} lines=${2} value=${said} maxlength=${20000} onDone=${(/** @type {string} */ text) => editAt(set.id, at, { said: text })} /></div><//>`;
}
