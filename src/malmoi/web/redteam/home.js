/** The grid with what was done, and the lists of sessions. */
import { useEffect } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { said, t } from '../shell/i18n.js';
import { moment } from '../shell/format.js';
import { attempt } from '../shell/notices.js';
import { Icon } from '../shell/icons.js';
import { lists, loadLists, progress, strategies, topics } from './store.js';
import { NewSession } from './new-session.js';

/** How dark a cell is, from 0 to 4, by its share of the fullest one. @param {number} count @param {number} most */
export const shade = (count, most) => (count ? Math.max(1, Math.ceil((4 * count) / most)) : 0);

/** @param {{onChoose: (cell: {topic: string, strategy: string}) => void}} props */
function HeatMap({ onChoose }) {
  const cells = new Map((progress.value?.cells ?? []).map((/** @type {any} */ cell) => [`${cell.topic}/${cell.strategy}`, cell]));
  const most = Math.max(1, ...[...cells.values()].map((cell) => cell.sessions));
  return html`
    <div class="table-frame" tabindex="0" role="region" aria-label=${t('redteam.grid')}><table class="heat">
      <caption class="visually-hidden">${t('redteam.grid_help')}</caption>
      <thead><tr><td></td>${[...strategies.value.values()].map((strategy) => html`<th key=${strategy.id} scope="col" title=${said(strategy.description)}>${said(strategy.title)}</th>`)}</tr></thead>
      <tbody>${[...topics.value.values()].map((topic) => html`
        <tr key=${topic.id}><th scope="row" title=${said(topic.description)}>${said(topic.title)}</th>
          ${[...strategies.value.values()].map((strategy) => {
            const cell = cells.get(`${topic.id}/${strategy.id}`) ?? { sessions: 0, finished: 0, mine: 0 };
            const name = `${said(topic.title)} × ${said(strategy.title)}: ${t('redteam.cell', { n: cell.sessions, done: cell.finished })}`;
            return html`<td key=${strategy.id}><button type="button" class=${`heat-cell heat-${shade(cell.sessions, most)}`} aria-label=${name} title=${name}
              onClick=${() => onChoose({ topic: topic.id, strategy: strategy.id })}>${cell.sessions || ''}</button></td>`;
          })}</tr>`)}</tbody></table></div>`;
}

/** @param {{items: any[], title: string, none: string}} props */
function Sessions({ items, title, none }) {
  return html`
    <section class="redteam-list"><h2>${title}</h2>
      ${items.length === 0 && html`<p class="quiet">${none}</p>`}
      <ul class="lines">${items.map((item) => html`<li key=${item.id}>
        <div><a href=${`/redteam/${item.id}`}>${said(topics.value.get(item.topic)?.title)} × ${said(strategies.value.get(item.strategy)?.title)}</a>
          <small class="quiet">${t('redteam.turns_done', { n: item.num_turns })} · ${t('redteam.scored', { n: item.scored, of: item.to_score })} · ${moment(item.updated_at)}</small></div>
        <span class=${`tag ${item.is_finished ? '' : 'plain'}`}>${item.is_mine
          ? (item.is_finished ? t('redteam.finished') : t('redteam.going_on'))
          : (item.scored === item.to_score ? t('redteam.finished') : t('redteam.to_score'))}</span></li>`)}</ul>
    </section>`;
}

export function Home() {
  const choosing = useSignal(/** @type {{topic: string, strategy: string}|null} */ (null));
  useEffect(() => { attempt(loadLists); }, []);
  if (!lists.value) return html`<div class="opening"><span class="spinner" aria-hidden="true"></span></div>`;
  const waiting = lists.value.others.filter((item) => item.scored < item.to_score);
  const done = lists.value.others.filter((item) => item.scored >= item.to_score);
  return html`
    <div class="redteam-home">
      <p class="quiet">${t('redteam.lead')}</p>
      <p><button type="button" class="button primary" onClick=${() => { choosing.value = { topic: [...topics.value.keys()][0], strategy: [...strategies.value.keys()][0] }; }}><${Icon} name="plus" />${t('redteam.new')}</button></p>
      <section><h2>${t('redteam.grid')}</h2>
        <p class="quiet">${t('redteam.totals', { sessions: progress.value.sessions, turns: progress.value.turns, rewrites: progress.value.rewrites })}</p>
        <${HeatMap} onChoose=${(cell) => { choosing.value = cell; }} /></section>
      <${Sessions} items=${[...waiting, ...done]} title=${t('redteam.others')} none=${t('redteam.others_none')} />
      <${Sessions} items=${lists.value.mine} title=${t('redteam.mine')} none=${t('redteam.mine_none')} />
    </div>
    ${choosing.value && html`<${NewSession} cell=${choosing.value} onClose=${() => { choosing.value = null; }} />`}`;
}
