/** The page of users: people, the map, audiences, and somebody new. */
import { useEffect } from 'preact/hooks';
import { signal } from '@preact/signals';
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { route } from '../shell/router.js';
import { explain } from '../shell/api.js';
import { drawerOpen } from '../shell/state.js';
import { number } from '../shell/format.js';
import { Icon } from '../shell/icons.js';
import { choose, collection, loadOverview, overview } from './store.js';
import { People } from './people.js';
import { MapView } from './map-view.js';
import { AudienceView } from './audience-view.js';
import { NewUser } from './new-user.js';

const failure = signal(/** @type {unknown} */ (null));
const load = async () => {
  failure.value = null;
  try { await loadOverview(); } catch (error) { failure.value = error; }
};
const VIEWS = { people: People, map: MapView, audience: AudienceView, new: NewUser };
const TABS = /** @type {const} */ (['people', 'map', 'audience', 'new']);
/** @param {string} tab */
const address = (tab) => (tab === 'people' ? '/users' : `/users/${tab}`);

/** @param {{page: keyof typeof VIEWS}} props */
function Body({ page }) {
  if (failure.value) {
    const { text, fix } = explain(failure.value, t);
    return html`<section class="empty"><h2>${text}</h2><p class="lead">${fix}</p><p><button type="button" class="button" onClick=${load}>${t('action.retry')}</button></p></section>`;
  }
  if (!overview.value) return html`<div class="opening"><span class="spinner" aria-hidden="true"></span></div>`;
  if (page === 'new') {
    return overview.value.models.length ? html`<${NewUser} />` : html`<section class="users-none"><h2>${t('users.no_model')}</h2><p>${t('users.no_model_fix')}</p><pre><code>malmoi serve --set 'users.models=["NAME"]'</code></pre></section>`;
  }
  if (!collection.value) return html`<section class="users-none"><h2>${t('users.none')}</h2><p>${t('users.none_fix')}</p><pre><code>malmoi users index</code></pre></section>`;
  const View = VIEWS[page];
  return html`<${View} key=${collection.value.name} />`;
}

export function UsersPage() {
  const { id } = route.value;
  const page = /** @type {keyof typeof VIEWS} */ (TABS.find((tab) => tab === id) ?? 'people');
  useEffect(() => { load(); }, []);
  useEffect(() => { document.title = `${t('users.title')} · ${t('app.name')}`; });
  const known = overview.value?.collections ?? [];
  return html`
    <header class="bar">
      <button type="button" class="icon-button drawer-button" aria-label=${t('sidebar.open')} aria-expanded=${String(drawerOpen.value)} onClick=${() => { drawerOpen.value = true; }}><${Icon} name="menu" /></button>
      <h1 class="bar-title">${t('users.title')}</h1>
      <nav class="users-nav" aria-label=${t('users.title')}>
        ${TABS.map((tab) => html`<a key=${tab} href=${address(tab)} aria-current=${page === tab ? 'page' : undefined}>${t(`users.tab_${tab}`)}</a>`)}
      </nav>
      <span class="grow"></span>
      ${known.length > 0 && page !== 'new' && html`<label class="users-collection"><span class="visually-hidden">${t('users.collection')}</span>
        <select value=${collection.value?.name} onChange=${(event) => choose(event.currentTarget.value)}>
          ${known.map((item) => html`<option key=${item.name} value=${item.name}>${item.name} (${number(item.count)})</option>`)}</select></label>`}
    </header>
    <main id="main" class="users" tabindex="-1"><${Body} page=${page} /></main>`;
}
