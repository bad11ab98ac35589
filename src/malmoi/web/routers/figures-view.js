/** What was measured of a version on its own examples, each left out in its turn. */
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { number } from '../shell/format.js';

/** @typedef {import('./store.js').Share} Share @typedef {import('./store.js').PartFigures} PartFigures */

/** @param {Share} share */
const percent = ({ count, total }) => (total ? number((100 * count) / total) : '–');

/** A share with its interval, on a scale from 0 to 100 %. @param {{share: Share}} props */
function Interval({ share }) {
  const at = (/** @type {number} */ value) => `${2 + 96 * value}%`;
  return html`<svg class="share-plot" height="14" aria-hidden="true" focusable="false"><line class="track" x1="2%" x2="98%" y1="7" y2="7" /><line class="range" x1=${at(share.low)} x2=${at(share.high)} y1="7" y2="7" /><circle cx=${at(share.total ? share.count / share.total : 0)} cy="7" r="5" /></svg>`;
}

/** @param {{title: string, about?: string, share: Share}} props */
function Line({ title, about, share }) {
  return html`<div class="share"><dt>${title}${about && html`<small>${about}</small>`}</dt>
    <dd><strong>${percent(share)} %</strong> <span class="quiet">${t('routers.share', { count: number(share.count), total: number(share.total), low: number(100 * share.low), high: number(100 * share.high) })}</span><${Interval} share=${share} /></dd></div>`;
}

/** @param {{title: string, figures: PartFigures, none: string}} props */
export function PartView({ title, figures, none }) {
  const own = figures.misses.filter((one) => one.topic);
  const strange = figures.misses.filter((one) => !one.topic);
  const list = (/** @type {PartFigures['misses']} */ rows) => html`<ul class="trainer-moved lost">${rows.map((one, place) => html`<li key=${place}><span>${one.text}</span><small>${one.topic || none} → ${one.taken_for || none}</small></li>`)}</ul>`;
  return html`<section class="trainer-gain" aria-label=${title}><header><h3>${title}</h3></header>
    <dl class="shares"><${Line} title=${t('routers.share_found')} about=${t('routers.share_found_about')} share=${figures.found} />
      <${Line} title=${t('routers.share_alone')} about=${t('routers.share_alone_about')} share=${figures.left_alone} /></dl>
    <details><summary>${t('routers.by_topic')}</summary><dl class="shares">${Object.entries(figures.topics).map(([name, share]) => html`<${Line} key=${name} title=${name} share=${share} />`)}</dl></details>
    ${own.length > 0 && html`<details open><summary>${t('routers.missed', { n: number(own.length) })}</summary>${list(own)}</details>`}
    ${strange.length > 0 && html`<details><summary>${t('routers.taken', { n: number(strange.length) })}</summary>${list(strange)}</details>`}
    ${figures.found.total < 20 && html`<p class="quiet">${t('routers.few')}</p>`}</section>`;
}
