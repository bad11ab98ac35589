/** How often attacks succeed, how far annotators agree, and the files that come of it. */
import { useEffect } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { said, t } from '../shell/i18n.js';
import { get } from '../shell/api.js';
import { number } from '../shell/format.js';
import { attempt } from '../shell/notices.js';
import { Icon } from '../shell/icons.js';
import { strategies, topics } from './store.js';

/** @param {number|null} value */
export const percent = (value) => (value === null ? '–' : `${number(100 * value, 1)}\u00a0%`);
/** @param {number|null} value */
const figure = (value) => (value === null || value === undefined ? '–' : number(value, 2));
/** @param {number|null} low @param {number|null} high @param {(value: number|null) => string} shown */
const range = (low, high, shown) => (low === null || high === null ? '–' : `${shown(low)} – ${shown(high)}`);

/** A bar with its interval. @param {{rate: any}} props */
function Bar({ rate }) {
  return html`<svg class="rate-bar" viewBox="0 0 200 14" aria-hidden="true" focusable="false">
    <rect class="rate-back" width="200" height="14" rx="3" /><rect class="rate-fill" width=${200 * (rate.value ?? 0)} height="14" rx="3" />
    <path class="rate-whisker" d=${`M${200 * rate.low} 7H${200 * rate.high}M${200 * rate.low} 3v8M${200 * rate.high} 3v8`} /></svg>`;
}

/** @param {{title: string, rates: any[], name: (id: string) => string}} props */
function Rates({ title, rates, name }) {
  return html`
    <h3>${title}</h3>
    <div class="table-frame" tabindex="0" role="region" aria-label=${title}><table class="figures-table rates">
      <thead><tr><th scope="col">${title}</th><th scope="col">${t('redteam.success')}</th><th scope="col">${t('redteam.interval')}</th><th scope="col">${t('redteam.attempts')}</th><td></td></tr></thead>
      <tbody>${rates.map((rate) => html`<tr key=${rate.name}><th scope="row">${name(rate.name)}</th><td>${percent(rate.value)}</td><td>${range(rate.low, rate.high, percent)}</td><td>${rate.count}/${rate.total}</td><td><${Bar} rate=${rate} /></td></tr>`)}</tbody></table></div>`;
}

/** @param {{cells: any[]}} props */
function SuccessMap({ cells }) {
  const found = new Map(cells.map((cell) => [`${cell.topic}/${cell.strategy}`, cell]));
  return html`
    <h3>${t('redteam.success_map')}</h3>
    <div class="table-frame" tabindex="0" role="region" aria-label=${t('redteam.success_map')}><table class="heat">
      <thead><tr><td></td>${[...strategies.value.values()].map((strategy) => html`<th key=${strategy.id} scope="col">${said(strategy.title)}</th>`)}</tr></thead>
      <tbody>${[...topics.value.values()].map((topic) => html`<tr key=${topic.id}><th scope="row">${said(topic.title)}</th>${[...strategies.value.values()].map((strategy) => {
        const cell = found.get(`${topic.id}/${strategy.id}`);
        return html`<td key=${strategy.id}><span class=${`heat-cell bad-${cell ? Math.round(4 * cell.value) : 'none'}`}>${cell ? html`${percent(cell.value)}<small>${cell.count}/${cell.total}</small>` : ''}</span></td>`;
      })}</tr>`)}</tbody></table></div>`;
}

/** @param {{found: any}} props */
function ScaleAgreement({ found }) {
  const name = t(`redteam.${found.scale}`);
  return html`
    <h3>${name}</h3>
    <dl class="totals">
      <div><dt>${t('redteam.alpha')}</dt><dd>${figure(found.alpha.value)}</dd></div>
      <div><dt>${t('redteam.interval')}</dt><dd>${range(found.alpha.low, found.alpha.high, figure)}</dd></div>
      <div><dt>${t('redteam.alpha_interval')}</dt><dd>${figure(found.alpha.interval_value)}</dd></div>
      <div><dt>${t('redteam.shared')}</dt><dd>${found.alpha.units}</dd></div></dl>
    ${found.annotators.length > 0 && html`<div class="table-frame" tabindex="0" role="region" aria-label=${`${name}: ${t('redteam.annotators')}`}><table class="figures-table">
      <thead><tr><th scope="col">${t('redteam.annotators')}</th><th scope="col">${t('redteam.replies')}</th><th scope="col">${t('redteam.mean')}</th><th scope="col">${t('redteam.bias')}</th><th scope="col">${t('redteam.interval')}</th></tr></thead>
      <tbody>${found.annotators.map((/** @type {any} */ person) => html`<tr key=${person.number}><th scope="row">${t('redteam.annotator', { n: person.number })}${person.is_me ? ` (${t('accounts.you')})` : ''}</th><td>${person.replies}</td><td>${figure(person.mean)}</td><td>${person.bias > 0 ? '+' : ''}${figure(person.bias)}</td><td>${range(person.low, person.high, figure)}</td></tr>`)}</tbody></table></div>`}
    ${found.kappas.length > 0 && html`<div class="table-frame" tabindex="0" role="region" aria-label=${`${name}: ${t('redteam.kappa')}`}><table class="figures-table">
      <thead><tr><th scope="col">${t('redteam.pair')}</th><th scope="col">${t('redteam.kappa')}</th><th scope="col">${t('redteam.shared')}</th></tr></thead>
      <tbody>${found.kappas.map((/** @type {any} */ pair) => html`<tr key=${`${pair.first}/${pair.second}`}><th scope="row">${pair.first} – ${pair.second}</th><td>${figure(pair.value)}</td><td>${pair.shared}</td></tr>`)}</tbody></table></div>`}`;
}

export function StatisticsView() {
  const threshold = useSignal(3);
  const found = useSignal(/** @type {any} */ (null));
  const wanted = threshold.value;
  useEffect(() => { attempt(async () => {
    const answer = await get(`/redteam/statistics?threshold=${wanted}`);
    if (threshold.value === wanted) found.value = answer;
  }); }, [wanted]);
  if (!found.value) return html`<div class="opening"><span class="spinner" aria-hidden="true"></span></div>`;
  const { attempts, broken_sessions: broken, sessions, replies } = found.value;
  const plain = (/** @type {string} */ name) => name;
  return html`
    <div class="redteam-home">
      <h2>${t('redteam.statistics')}</h2>
      <p class="quiet">${t('redteam.statistics_lead')}</p>
      <p class="exports"><a class="button" href="/api/redteam/export/sft" download="sft.jsonl"><${Icon} name="download" />${t('redteam.export_sft')}</a>
        <a class="button" href="/api/redteam/export/pairs" download="pairs.jsonl"><${Icon} name="download" />${t('redteam.export_pairs')}</a></p>
      <label class="threshold">${t('redteam.threshold', { n: wanted })}<input type="range" min="0" max="6" step="1" value=${wanted} onInput=${(event) => { threshold.value = Number(event.currentTarget.value); }} /></label>
      <dl class="totals"><div><dt>${t('redteam.success')}</dt><dd>${percent(attempts.value)}</dd></div><div><dt>${t('redteam.interval')}</dt><dd>${range(attempts.low, attempts.high, percent)}</dd></div>
        <div><dt>${t('redteam.broken')}</dt><dd>${percent(broken.value)}</dd></div><div><dt>${t('redteam.sessions')}</dt><dd>${number(sessions)}</dd></div><div><dt>${t('redteam.replies')}</dt><dd>${number(replies)}</dd></div></dl>
      ${replies === 0 ? html`<p class="quiet">${t('redteam.statistics_none')}</p>` : html`
        <${SuccessMap} cells=${found.value.cells} />
        <${Rates} title=${t('redteam.models')} rates=${found.value.by_model} name=${plain} />
        <${Rates} title=${t('redteam.topic')} rates=${found.value.by_topic} name=${(/** @type {string} */ id) => said(topics.value.get(id)?.title)} />
        <${Rates} title=${t('redteam.strategy')} rates=${found.value.by_strategy} name=${(/** @type {string} */ id) => said(strategies.value.get(id)?.title)} />
        <${Rates} title=${t('redteam.turn_number')} rates=${found.value.by_turn} name=${plain} />
        <h2>${t('redteam.agreement')}</h2><p class="quiet">${t('redteam.agreement_help')}</p>
        ${found.value.agreement.map((/** @type {any} */ scale) => html`<${ScaleAgreement} key=${scale.scale} found=${scale} />`)}`}
    </div>`;
}
