/** Users like some others, for a message: built from names, shown as a table, taken along as a file. */
import { useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { post, request } from '../shell/api.js';
import { number } from '../shell/format.js';
import { attempt } from '../shell/notices.js';
import { saveFile } from '../shell/save-file.js';
import { Icon } from '../shell/icons.js';
import { collection, path, seeds } from './store.js';

const SHOWN = 200;

export function AudienceView() {
  const size = useSignal(100);
  const campaign = useSignal('');
  const busy = useSignal(false);
  const made = useSignal(/** @type {{wanted: any, users: any[], unknown: string[]}|null} */ (null));
  const campaigns = collection.value?.campaigns ?? [];
  const build = async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const users = [...new Set(seeds.value.split('\n').map((line) => line.trim()).filter(Boolean))];
    if (!users.length || busy.value) return;
    busy.value = true;
    const wanted = { users, size: size.value, campaign: campaign.value || null };
    await attempt(async () => { made.value = { wanted, ...await post(path('audience'), wanted) }; });
    busy.value = false;
  };
  const download = () => attempt(async () => {
    const response = await request('POST', path('audience.csv'), { body: made.value?.wanted, accept: 'text/csv' });
    saveFile(await response.blob(), 'audience.csv');
  });
  const hasChances = made.value?.users.some((user) => user.probability !== null);
  return html`
    <div class="users-audience">
      <form class="form" onSubmit=${build}>
        <p class="quiet">${t('users.audience_lead')}</p>
        <label>${t('users.seeds')}<textarea rows="6" spellcheck="false" value=${seeds.value} onInput=${(event) => { seeds.value = event.currentTarget.value; }}></textarea></label>
        <label>${t('users.size')}<input type="number" min="1" max="100000" required value=${size.value} onInput=${(event) => { size.value = Number(event.currentTarget.value); }} /></label>
        ${campaigns.length > 0 && html`<label>${t('users.campaign')}<select value=${campaign.value} onChange=${(event) => { campaign.value = event.currentTarget.value; }}>
          <option value="">${t('users.no_campaign')}</option>${campaigns.map((name) => html`<option key=${name} value=${name}>${name}</option>`)}</select></label>`}
        <p><button type="submit" class="button primary" disabled=${busy.value || !seeds.value.trim()}>${t('users.build')}</button></p>
      </form>
      ${made.value && html`<section aria-live="polite">
        <h2>${t('users.found', { n: number(made.value.users.length) })}</h2>
        ${made.value.unknown.length > 0 && html`<p class="quiet">${t('users.unknown', { names: made.value.unknown.slice(0, 20).join(', ') })}</p>`}
        <p><button type="button" class="button" onClick=${download}><${Icon} name="download" />${t('users.csv')}</button></p>
        <div class="table-frame users-table" tabindex="0" role="region" aria-label=${t('users.tab_audience')}><table class="figures-table">
          <thead><tr><th scope="col">${t('users.user')}</th><th scope="col">${t('users.alike')}</th>${hasChances && html`<th scope="col">${t('users.chance')}</th>`}</tr></thead>
          <tbody>${made.value.users.slice(0, SHOWN).map((user) => html`<tr key=${user.key}><th scope="row">${user.key}</th><td>${number(user.score, 3)}</td>${hasChances && html`<td>${user.probability === null ? '–' : `${number(100 * user.probability, 1)} %`}</td>`}</tr>`)}</tbody></table></div>
        ${made.value.users.length > SHOWN && html`<p class="quiet">${t('users.first', { n: number(SHOWN) })}</p>`}
      </section>`}
    </div>`;
}
