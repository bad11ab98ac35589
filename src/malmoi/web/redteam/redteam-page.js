/** The red-team workbench: the bar above; below it the warning, the grid, a session, or the statistics. */
import { useEffect } from 'preact/hooks';
import { signal, useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { route } from '../shell/router.js';
import { explain } from '../shell/api.js';
import { drawerOpen, may } from '../shell/state.js';
import { Icon } from '../shell/icons.js';
import { grid, loadWorkbench, me } from './store.js';
import { close, openSession } from './open-session.js';
import { Home } from './home.js';
import { SessionView } from './session-view.js';
import { StatisticsView } from './statistics-view.js';
import { BreakReminder, CareDialog, Pause, Warning, pausing } from './wellbeing.js';

const failure = signal(/** @type {unknown} */ (null));
const load = async () => {
  failure.value = null;
  try { await loadWorkbench(); } catch (error) { failure.value = error; }
};

/** @param {{page: 'home'|'session'|'statistics'}} props */
function Body({ page }) {
  if (failure.value) {
    const { text, fix } = explain(failure.value, t);
    return html`<section class="empty"><h2>${text}</h2><p class="lead">${fix}</p><p><button type="button" class="button" onClick=${load}>${t('action.retry')}</button></p></section>`;
  }
  if (!grid.value || !me.value) return html`<div class="opening"><span class="spinner" aria-hidden="true"></span></div>`;
  if (!me.value.warned) return html`<${Warning} />`;
  if (pausing.value) return html`<${Pause} />`;
  if (page === 'statistics') return html`<${StatisticsView} />`;
  return page === 'session' ? html`<${SessionView} />` : html`<${Home} />`;
}

export function RedteamPage() {
  const caring = useSignal(false);
  const { id } = route.value;
  const page = id === 'statistics' ? 'statistics' : id ? 'session' : 'home';
  useEffect(() => { if (!grid.value) load(); }, []);
  useEffect(() => {
    if (page === 'session' && id) openSession(id);
    else close();
  }, [id]);
  useEffect(() => { document.title = `${t('redteam.title')} · ${t('app.name')}`; });
  return html`
    <header class="bar">
      <button type="button" class="icon-button drawer-button" aria-label=${t('sidebar.open')} aria-expanded=${String(drawerOpen.value)} onClick=${() => { drawerOpen.value = true; }}><${Icon} name="menu" /></button>
      <h1 class="bar-title">${t('redteam.title')}</h1>
      <nav class="redteam-nav" aria-label=${t('redteam.title')}>
        <a href="/redteam" aria-current=${page === 'home' ? 'page' : undefined}>${t('redteam.work')}</a>
        ${may('redteam_results') && html`<a href="/redteam/statistics" aria-current=${page === 'statistics' ? 'page' : undefined}>${t('redteam.statistics')}</a>`}
      </nav>
      <span class="grow"></span>
      ${me.value?.warned && html`<button type="button" class="button small" aria-haspopup="dialog" onClick=${() => { caring.value = true; }}>${t('redteam.care')}</button>`}
    </header>
    <main id="main" class="redteam" tabindex="-1"><${Body} page=${page} /></main>
    ${caring.value && html`<${CareDialog} onClose=${() => { caring.value = false; }} />`}
    <${BreakReminder} />`;
}
