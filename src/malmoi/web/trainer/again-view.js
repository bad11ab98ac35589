/** The same query once more: what the run does now that it is shown the correction. */
import { useEffect, useRef } from 'preact/hooks';
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { Icon } from '../shell/icons.js';
import { again } from './bench.js';
import { same } from './schema.js';
import { wayTitle, waysTitle } from './row-editor.js';

/** @param {Record<string, any>|undefined|null} value */
const told = (value) => Object.entries(value ?? {}).map(([name, one]) => `${name}: ${typeof one === 'string' ? one : JSON.stringify(one)}`).join(', ') || '–';

/** @param {{title: string, before: string|null, now: string, right: boolean|null}} props */
function Line({ title, before, now, right }) {
  return html`<tr><th scope="row">${title}</th><td>${before ?? '–'}</td><td class=${right ? 'right' : right === false ? 'off' : ''}>${now}${right !== null && html` <span class="visually-hidden">${(right ? t('trainer.is_right') : t('trainer.is_not_right'))}</span><${Icon} name=${right ? 'check' : 'close'} />`}</td></tr>`;
}

/** Whether a call is the one of a step; `null`: the run has not come so far. @param {any} found @param {import('./store.js').Step} step @param {boolean} done */
const isRight = (found, step, done) => (found ? found.skill === step.skill && found.operation === step.operation && same(found.arguments, step.arguments) : done ? false : null);

/** A row of several steps beside the calls of the run, in their order. @param {{row: import('./store.js').Row}} props */
function Steps({ row }) {
  const now = again.value;
  if (!now) return null;
  const { run, done } = now;
  const expected = [...(row.stages.steps ?? []), row.stages];
  const before = row.original ? [...(row.original.stages.steps ?? []), row.original.stages] : [];
  const line = (/** @type {any} */ one) => `${wayTitle(one.skill, one.operation)}\n${told(one.arguments)}`;
  return html`${expected.map((step, place) => {
    const found = run.calls[place];
    // A call that changes something is not made, and what comes after it is not seen.
    const unseen = !found && (Boolean(run.confirm) || !done);
    const right = place === expected.length - 1 && row.stages.asked ? (done ? Boolean(run.asked) : null) : unseen ? null : isRight(found, step, done);
    return html`<${Line} key=${place} title=${t('trainer.step', { n: place + 1 })} before=${before[place] ? line(before[place]) : null} now=${found ? line(found) : run.asked || '–'} right=${right} />`;
  })}`;
}

/** @param {{row: import('./store.js').Row}} props */
export function Again({ row }) {
  const now = again.value;
  const panel = useRef(/** @type {HTMLElement|null} */ (null));
  useEffect(() => { panel.current?.scrollIntoView({ block: 'nearest' }); }, [now?.done]);
  if (!now) return null;
  const { run, done } = now;
  const { stages, original } = row;
  const skill = run.routed?.skill ?? '';
  const operation = run.plan?.operation || run.routed?.operation || '';
  const routed = run.routed ? (skill || '') === stages.skill && (!stages.skill || operation === stages.operation) : null;
  const given = run.called?.arguments ?? run.confirm?.arguments ?? run.plan?.arguments ?? {};
  const planned = done && stages.skill ? same(given, stages.arguments) && Boolean(run.asked) === Boolean(stages.asked) : null;
  const isShown = Object.values(run.plan?.sources ?? {}).includes('demonstration');
  const several = (stages.steps ?? []).length > 0;
  const reached = [...(stages.steps ?? []), stages].slice(0, run.calls.length);
  const good = done && (several ? reached.length > 0 && reached.every((step, place) => isRight(run.calls[place], step, done)) && (Boolean(run.confirm) || run.calls.length === (stages.steps ?? []).length + (stages.asked ? 0 : 1)) && (Boolean(run.confirm) || Boolean(run.asked) === Boolean(stages.asked)) : routed && planned !== false);
  return html`<section ref=${panel} class="bench-again" aria-live="polite" aria-label=${t('trainer.again_title')}>
    <header><h2>${t('trainer.again_title')}</h2>${!done && html`<span class="spinner" aria-hidden="true"></span>`}
      ${done && html`<p class=${good ? 'good' : ''}>${row.part === 'test' ? t('trainer.again_test') : good ? t('trainer.again_good') : t('trainer.again_not')}</p>`}</header>
    <div class="table-frame"><table class="again-table"><thead><tr><td></td><th scope="col">${t('trainer.before')}</th><th scope="col">${t('trainer.now')}</th></tr></thead><tbody>
      ${several ? html`<${Steps} row=${row} />` : html`<${Line} title=${t('trainer.stage_route')} before=${original && waysTitle(original.stages)} now=${run.routed ? wayTitle(skill, operation) : '…'} right=${routed} />
      ${(stages.skill || skill) && html`<${Line} title=${t('trainer.stage_arguments')} before=${original && told(original.stages.arguments)} now=${run.plan || run.called ? told(given) : done ? '–' : '…'} right=${planned} />`}`}
      <${Line} title=${t('trainer.stage_answer')} before=${original && (original.stages.asked || original.stages.answer || '–')} now=${run.text || (run.confirm ? t('trainer.would_ask') : done ? '–' : '…')} right=${null} />
    </tbody></table></div>
    ${isShown && html`<p class="quiet">${t('trainer.from_example')}</p>`}
    ${done && run.confirm && html`<p class="quiet">${t('trainer.not_called_again')}</p>`}</section>`;
}
