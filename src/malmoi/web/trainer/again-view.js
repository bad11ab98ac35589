/** The same query once more: what the run does now that it is shown the correction. */
import { useEffect, useRef } from 'preact/hooks';
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { Icon } from '../shell/icons.js';
import { again } from './bench.js';
import { same } from './schema.js';
import { wayTitle } from './row-editor.js';

/** @param {Record<string, any>|undefined|null} value */
const told = (value) => Object.entries(value ?? {}).map(([name, one]) => `${name}: ${typeof one === 'string' ? one : JSON.stringify(one)}`).join(', ') || '–';

/** @param {{title: string, before: string|null, now: string, right: boolean|null}} props */
function Line({ title, before, now, right }) {
  return html`<tr><th scope="row">${title}</th><td>${before ?? '–'}</td><td class=${right ? 'right' : right === false ? 'off' : ''}>${now}${right !== null && html` <span class="visually-hidden">${(right ? t('trainer.is_right') : t('trainer.is_not_right'))}</span><${Icon} name=${right ? 'check' : 'close'} />`}</td></tr>`;
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
  const good = done && routed && planned !== false;
  return html`<section ref=${panel} class="bench-again" aria-live="polite" aria-label=${t('trainer.again_title')}>
    <header><h2>${t('trainer.again_title')}</h2>${!done && html`<span class="spinner" aria-hidden="true"></span>`}
      ${done && html`<p class=${good ? 'good' : ''}>${row.part === 'test' ? t('trainer.again_test') : good ? t('trainer.again_good') : t('trainer.again_not')}</p>`}</header>
    <div class="table-frame"><table class="again-table"><thead><tr><td></td><th scope="col">${t('trainer.before')}</th><th scope="col">${t('trainer.now')}</th></tr></thead><tbody>
      <${Line} title=${t('trainer.stage_route')} before=${original && wayTitle(original.stages.skill, original.stages.operation)} now=${run.routed ? wayTitle(skill, operation) : '…'} right=${routed} />
      ${(stages.skill || skill) && html`<${Line} title=${t('trainer.stage_arguments')} before=${original && told(original.stages.arguments)} now=${run.plan || run.called ? told(given) : done ? '–' : '…'} right=${planned} />`}
      <${Line} title=${t('trainer.stage_answer')} before=${original && (original.stages.asked || original.stages.answer || '–')} now=${run.text || (run.confirm ? t('trainer.would_ask') : done ? '–' : '…')} right=${null} />
    </tbody></table></div>
    ${isShown && html`<p class="quiet">${t('trainer.from_example')}</p>`}
    ${done && run.confirm && html`<p class="quiet">${t('trainer.not_called_again')}</p>`}</section>`;
}
