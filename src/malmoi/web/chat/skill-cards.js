/** Results of skills as people like to see them. Every text on a card is plain: nothing of it is ever markup. */
import { useEffect } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { bytes } from '../shell/format.js';
import { request } from '../shell/api.js';
import { attempt } from '../shell/notices.js';
import { saveFile } from '../shell/save-file.js';
import { Icon } from '../shell/icons.js';
import { MathText } from './math-text.js';
import { skillName, skills, switchedOn } from './skills.js';

/** @typedef {{id: string, name: string, media_type: string, size: number}} MadeFile */
/**
 * @typedef {object} Card
 * @property {string} kind
 * @property {string} title
 * @property {string} subtitle
 * @property {[string, string][]} fields
 * @property {string[]} columns
 * @property {string[][]} rows
 * @property {string} file
 * @property {{label: string, operation: string, arguments: Record<string, any>}[]} actions
 */

const ICONS = { place: 'place', booking: 'ticket', car: 'car', event: 'calendar', mail: 'mail', weather: 'weather', plot: 'image', table: 'table' };
const WIDE = new Set(['formula', 'plot', 'table', 'note', 'mail']);
const PICTURES = new Set(['image/svg+xml', 'image/png', 'image/jpeg', 'image/webp', 'image/gif']);
const FIRST = 4; // cards before "show all"

/** @param {string} run @param {MadeFile} file */
const fetchFile = async (run, file) => (await request('GET', `/skills/runs/${encodeURIComponent(run)}/files/${encodeURIComponent(file.id)}`, { accept: '*/*' })).blob();

/**
 * A picture that a call has made. It comes by the route of files alone, and an <img> runs no script of an SVG.
 * @param {{run: string, file: MadeFile, title: string}} props
 */
function Picture({ run, file, title }) {
  const address = useSignal('');
  const failed = useSignal(false);
  useEffect(() => {
    let made = '';
    let left = false;
    fetchFile(run, file).then((blob) => {
      if (left) return;
      made = URL.createObjectURL(new Blob([blob], { type: file.media_type }));
      address.value = made;
    }, () => { failed.value = true; });
    return () => { left = true; if (made) URL.revokeObjectURL(made); };
  }, [run, file.id]);
  if (failed.value) return html`<p class="quiet">${t('skills.no_picture')}</p>`;
  return address.value ? html`<img class="card-picture" src=${address.value} alt=${title || file.name} />` : html`<span class="spinner" role="img" aria-label=${t('skills.picture_loading')}></span>`;
}

/** @param {{run: string, file: MadeFile}} props */
function Download({ run, file }) {
  return html`<button type="button" class="button small" onClick=${() => attempt(async () => saveFile(await fetchFile(run, file), file.name))}>
    <${Icon} name="download" />${file.name} <span class="quiet">${bytes(file.size)}</span></button>`;
}

/** @param {{card: Card}} props */
function Table({ card }) {
  return html`<div class="table-frame" tabindex="0" role="region" aria-label=${card.title}><table class="card-table">
    <thead><tr>${card.columns.map((name, at) => html`<th key=${at} scope="col">${name}</th>`)}</tr></thead>
    <tbody>${card.rows.map((row, at) => html`<tr key=${at}>${row.map((cell, place) => html`<td key=${place}>${cell}</td>`)}</tr>`)}</tbody></table></div>`;
}

/**
 * @param {{run: string, skill: string, card: Card, files: MadeFile[], said: string, busy: boolean,
 *   onAction: (skill: string, action: Card['actions'][number]) => void}} props
 */
function CardView({ run, skill, card, files, said, busy, onAction }) {
  const file = files.find((one) => one.name === card.file);
  const isPicture = file && PICTURES.has(file.media_type);
  const isOff = skills.value !== null && !switchedOn.value.some((one) => one.name === skill);
  // What the reply says word for word need not be said again.
  const isSaid = WIDE.has(card.kind) && said.includes(card.title);
  const Words = card.kind === 'formula' ? MathText : ({ text }) => text;
  return html`<li class=${`skill-card ${card.kind} ${WIDE.has(card.kind) ? 'wide' : ''}`}>
    ${!isSaid && html`<header>${ICONS[/** @type {keyof typeof ICONS} */ (card.kind)] && html`<${Icon} name=${ICONS[/** @type {keyof typeof ICONS} */ (card.kind)]} />`}<h4>${card.title}</h4></header>`}
    ${card.subtitle && (card.kind === 'formula' ? html`<p class="card-formula"><${Words} text=${card.subtitle} /></p>` : !said.includes(card.subtitle) && html`<p class="card-sub">${card.subtitle}</p>`)}
    ${isPicture && html`<${Picture} run=${run} file=${file} title=${card.title} />`}
    ${card.fields.length > 0 && html`<dl>${card.fields.map(([label, text], at) => html`<div key=${at} class=${text.trimEnd().includes('\n') ? 'block-field' : ''}><dt>${label}</dt>
      <dd>${text.trimEnd().includes('\n') ? html`<pre tabindex="0">${text.trimEnd()}</pre>` : html`<${Words} text=${text} />`}</dd></div>`)}</dl>`}
    ${card.columns.length + card.rows.length > 0 && html`<${Table} card=${card} />`}
    ${(card.actions.length > 0 || file) && html`<div class="card-actions">
      ${file && html`<${Download} run=${run} file=${file} />`}
      ${card.actions.map((action) => html`<button key=${`${action.operation} ${action.label}`} type="button" class="button small" disabled=${busy || isOff}
        title=${isOff ? t('skills.is_off', { name: skillName(skill) }) : undefined} aria-label=${`${action.label}: ${card.title}`} onClick=${() => onAction(skill, action)}>${action.label}</button>`)}</div>`}
  </li>`;
}

/** Whether a card says more than the reply's own words. @param {Card} card @param {string} said */
const saysMore = (card, said) => Boolean(card.fields.length || card.rows.length || card.file || card.actions.length
  || (card.subtitle && !said.includes(card.subtitle)) || !said.includes(card.title));

/**
 * @param {{run: string, cards: {skill: string, card: Card}[], files: MadeFile[], said: string, busy: boolean,
 *   onAction: (skill: string, action: Card['actions'][number]) => void}} props
 */
export function Cards({ run, cards, files, said, busy, onAction }) {
  const all = useSignal(false);
  const telling = cards.filter(({ card }) => saysMore(card, said));
  const shown = all.value || telling.length <= FIRST + 1 ? telling : telling.slice(0, FIRST);
  const inCards = new Set(cards.map(({ card }) => card.file));
  const loose = files.filter((file) => !inCards.has(file.name));
  if (!telling.length && !loose.length) return null;
  return html`<section class="skill-results" aria-label=${t('skills.results')}>
    ${shown.length > 0 && html`<ul class="skill-cards">${shown.map(({ skill, card }, at) => html`<${CardView} key=${at} run=${run} skill=${skill} card=${card} files=${files} said=${said} busy=${busy} onAction=${onAction} />`)}</ul>`}
    ${shown.length < telling.length && html`<button type="button" class="button small more-cards" onClick=${() => { all.value = true; }}>${t('skills.all_cards', { n: telling.length })}</button>`}
    ${loose.length > 0 && html`<div class="card-actions">${loose.map((file) => html`<${Download} key=${file.id} run=${run} file=${file} />`)}</div>`}
  </section>`;
}
