/** Measurements of a version: what its train rows gain on its test rows. */
import { useEffect, useRef } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { get, post, remove } from '../shell/api.js';
import { models, runnable } from '../shell/state.js';
import { announcement, attempt } from '../shell/notices.js';
import { moment, number } from '../shell/format.js';
import { path } from './store.js';
import { wayTitle, waysTitle } from './row-editor.js';

const POLL = 700; // ms
const RATES = /** @type {const} */ (['routing', 'arguments', 'success']);
/** @typedef {{count: number, total: number, value: number|null, low: number, high: number}} Rate */

/** @param {number|null} value */
const percent = (value) => (value === null ? '–' : number(100 * value, 1));
/** A share with a sign. @param {number} value */
const signed = (value) => `${value > 0 ? '+' : value < 0 ? '−' : '±'}${number(Math.abs(100 * value), 1)}`;

/** Both rates on one scale from 0 to 100 %, with their intervals. @param {{without: Rate, withIt: Rate}} props */
function Plot({ without, withIt }) {
  const at = (/** @type {number} */ share) => `${2 + 96 * share}%`;
  const line = (/** @type {Rate} */ rate, /** @type {number} */ y, /** @type {string} */ kind) => html`<g class=${kind}><line x1=${at(rate.low)} x2=${at(rate.high)} y1=${y} y2=${y} /><circle cx=${at(rate.value ?? 0)} cy=${y} r="5.5" /></g>`;
  return html`<svg class="gain-plot" height="62" aria-hidden="true" focusable="false">
    ${[0, 0.25, 0.5, 0.75, 1].map((one) => html`<g key=${one} class="tick"><line x1=${at(one)} x2=${at(one)} y1="4" y2="44" /><text x=${at(one)} y="58">${number(100 * one)}</text></g>`)}
    ${line(without, 15, 'without')}${line(withIt, 33, 'with')}</svg>`;
}

/** @param {{name: typeof RATES[number], figure: any}} props */
function Figure({ name, figure }) {
  const { without, with_demonstrations: withIt, gain } = figure;
  if (without.value === null) return null;
  const verdict = gain.low > 0 ? 'better' : gain.high < 0 ? 'worse' : 'unsure';
  return html`<section class=${`trainer-gain ${verdict}`} aria-label=${t(`trainer.rate_${name}`)}>
    <header><h3>${t(`trainer.rate_${name}`)}</h3><p class="quiet">${t(`trainer.rate_${name}_about`)}</p></header>
    <p class="gain-words"><strong>${percent(without.value)} → ${percent(withIt.value)} %</strong> <span class="gain-by">${t('trainer.gain', { by: signed(gain.value), low: signed(gain.low), high: signed(gain.high) })}</span></p>
    <${Plot} without=${without} withIt=${withIt} />
    <p class="quiet">${t('trainer.gain_rows', { gained: number(gain.gained), lost: number(gain.lost), before: number(without.count), after: number(withIt.count), total: number(without.total) })} ${t(`trainer.verdict_${verdict}`)}</p></section>`;
}

/** @param {any} outcome */
const came = (outcome) => {
  if (outcome.calls?.length > 1) return outcome.calls.map((/** @type {any} */ one) => came({ ...one, calls: [] })).join(' → ');
  const way = wayTitle(outcome.skill, outcome.operation);
  const given = Object.entries(outcome.arguments ?? {}).map(([name, one]) => `${name}: ${typeof one === 'string' ? one : JSON.stringify(one)}`).join(', ');
  return outcome.reason === 'asked' ? `${way} · ${t('trainer.asked_back')}` : given ? `${way} (${given})` : way;
};

/** Rows that became right or wrong. @param {{rows: any[], by: 'routed'|'success'}} props */
function Moved({ rows, by }) {
  const moved = (/** @type {boolean} */ gained) => rows.filter((row) => Boolean(row.without[by]) !== Boolean(row.with_demonstrations[by]) && Boolean(row.with_demonstrations[by]) === gained);
  const list = (/** @type {boolean} */ gained) => { const found = moved(gained); const title = (gained ? t('trainer.gained', { n: number(found.length) }) : t('trainer.lost', { n: number(found.length) })); return found.length > 0 && html`
    <h3>${title}</h3><ul class=${`trainer-moved ${gained ? 'gained' : 'lost'}`}>${found.map((row, place) => html`<li key=${place}><span>${row.query}</span><small><s>${came(row.without)}</s> → ${came(row.with_demonstrations)}</small></li>`)}</ul>`; };
  const wrong = rows.filter((row) => !row.without[by] && !row.with_demonstrations[by]);
  return html`${list(true)}${list(false)}
    ${wrong.length > 0 && html`<details class="moved-wrong"><summary>${t('trainer.still_wrong', { n: number(wrong.length) })}</summary><ul class="trainer-moved">${wrong.map((row, place) => html`<li key=${place}><span>${row.query}</span><small>${t('trainer.should_be', { way: waysTitle(row) })} · ${came(row.with_demonstrations)}</small></li>`)}</ul></details>`}`;
}

/** @param {{measure: any}} props */
function Result({ measure }) {
  const { figures } = measure;
  return html`<div class="trainer-gains">
    <p class="gain-legend"><span class="without"></span>${t('trainer.without')} <span class="with"></span>${t('trainer.with', { n: number(figures.demonstrations) })}</p>
    ${RATES.map((name) => figures[name] && html`<${Figure} key=${name} name=${name} figure=${figures[name]} />`)}
    <p class="quiet">${t('trainer.how_measured')}${measure.model === null ? ` ${t('trainer.no_model_about')}` : ''}${figures.left_out ? ` ${t('trainer.left_out', { n: number(figures.left_out) })}` : ''}</p>
    <${Moved} rows=${figures.rows} by=${figures.success ? 'success' : 'routed'} /></div>`;
}

/** @param {{set: import('./store.js').SkillSet, version: import('./versions-view.js').Version}} props */
export function Measures({ set, version }) {
  const all = useSignal(/** @type {any[]|null} */ (null));
  const shown = useSignal('');
  const model = useSignal('-');
  const timer = useRef(0);
  const note = (/** @type {any} */ measure) => { all.value = (all.value ?? []).map((one) => (one.id === measure.id ? measure : one)); };
  const watch = () => {
    clearTimeout(timer.current);
    const running = all.value?.find((one) => one.status === 'running');
    if (!running) return;
    timer.current = setTimeout(async () => {
      try {
        const now = await get(path(set.id, `/measures/${running.id}`));
        note(now);
        if (now.status !== 'running') announcement.value = t(`trainer.measure_${now.status}`);
      } catch { /* the next look will tell */ }
      watch();
    }, POLL);
  };
  useEffect(() => {
    attempt(async () => { all.value = (await get(path(set.id, `/versions/${version.number}/measures`))).measures; watch(); });
    return () => clearTimeout(timer.current);
  }, [set.id, version.number]);
  const start = () => attempt(async () => {
    const made = await post(path(set.id, `/versions/${version.number}/measures`), { model: model.value === '-' ? null : model.value });
    all.value = [made, ...(all.value ?? [])];
    shown.value = made.id;
    watch();
  });
  const stop = (/** @type {any} */ measure) => attempt(async () => { await remove(path(set.id, `/measures/${measure.id}`)); note(await get(path(set.id, `/measures/${measure.id}`))); });
  const known = all.value;
  const open = known?.find((one) => one.id === shown.value) ?? known?.[0] ?? null;
  const running = known?.find((one) => one.status === 'running') ?? null;
  const named = (/** @type {any} */ one) => (one.model === null ? t('trainer.no_model') : one.model || t('trainer.model_default'));
  return html`
    <div class="trainer-measures">
      <header class="measures-head"><h2>${t('trainer.measure_title', { n: version.number })}</h2>
        <label><span class="visually-hidden">${t('trainer.model')}</span><select value=${model.value} onChange=${(event) => { model.value = event.currentTarget.value; }}><option value="-">${t('trainer.no_model_fast')}</option><option value="">${t('trainer.model_default')}</option>${(models.value ?? []).filter(runnable).map((one) => html`<option key=${one.name} value=${one.name}>${one.title || one.name}</option>`)}</select></label>
        <button type="button" class="button primary small" disabled=${Boolean(running) || !version.test} onClick=${start}>${t('trainer.measure')}</button></header>
      ${!version.test && html`<p class="quiet">${t('trainer.needs_test')}</p>`}
      ${running && html`<div class="measure-running" role="status"><progress max=${running.total} value=${running.done} aria-label=${t('trainer.measure_progress')}></progress><span>${t('trainer.measured_rows', { done: number(running.done), total: number(running.total) })}</span><button type="button" class="button small" onClick=${() => stop(running)}>${t('trainer.stop')}</button></div>`}
      ${known && known.length > 1 && html`<label class="measure-choice">${t('trainer.measurements')}<select value=${open?.id} onChange=${(event) => { shown.value = event.currentTarget.value; }}>${known.map((one) => html`<option key=${one.id} value=${one.id}>${moment(one.created_at)} · ${named(one)} · ${t(`trainer.status_${one.status}`)}</option>`)}</select></label>`}
      ${open && open.status !== 'running' && !open.figures && html`<p class=${open.status === 'failed' ? 'field-error' : 'quiet'}>${t(`trainer.measure_${open.status}`)} ${open.error}</p>`}
      ${open?.figures && html`<${Result} key=${open.id} measure=${open} />`}
      ${known && !known.length && version.test > 0 && html`<p class="lead">${t('trainer.measure_lead')}</p>`}
    </div>`;
}
