/** The whole page: log-in or the side, the open app, and what lies over them. */
import { useEffect } from 'preact/hooks';
import { signal, useSignal } from '@preact/signals';
import { html } from './view.js';
import { t } from './i18n.js';
import { route } from './router.js';
import { explain } from './api.js';
import { drawerOpen, isNarrow, loadModels, loadSession, mustSignIn, session } from './state.js';
import { Notices, attempt } from './notices.js';
import { Login } from './login.js';
import { SidebarFrame } from './sidebar-frame.js';
import { Mark } from './icons.js';
import { ChatPage } from '../chat/chat-page.js';
import { Search } from '../chat/search.js';
import { loadLists, resetFresh, startNew } from '../chat/store.js';

const failure = signal(/** @type {unknown} */ (null));

/** Load what every page needs; a failure is shown with a way to try again. */
export async function start() {
  failure.value = null;
  try {
    await loadSession();
    if (mustSignIn.value) return;
    resetFresh();
    loadModels().catch(() => {});
    await loadLists();
  } catch (error) {
    failure.value = error;
  }
}

const waiting = () => html`<div class="opening"><span class="spinner" aria-hidden="true"></span></div>`;

/**
 * A page that is fetched when somebody opens it.
 * @param {() => Promise<any>} load the component of its module
 */
function later(load) {
  const view = signal(/** @type {any} */ (null));
  return function Later() {
    useEffect(() => { attempt(async () => { view.value ??= await load(); }); }, []);
    const View = view.value;
    return View ? html`<${View} />` : waiting();
  };
}

const PAGES = {
  chat: ChatPage,
  documents: later(async () => (await import('../documents/documents-page.js')).DocumentsPage),
  redteam: later(async () => (await import('../redteam/redteam-page.js')).RedteamPage),
  routers: later(async () => (await import('../routers/routers-page.js')).RoutersPage),
  trainer: later(async () => (await import('../trainer/trainer-page.js')).TrainerPage),
  settings: later(async () => (await import('../settings/settings-page.js')).SettingsPage),
  users: later(async () => (await import('../users/users-page.js')).UsersPage),
};

function Unreachable() {
  const { text, fix } = explain(failure.value, t);
  return html`<main id="main" class="login"><div class="login-card" role="alert"><${Mark} /><h1>${text}</h1><p>${fix}</p>
    <button type="button" class="button primary" onClick=${start}>${t('action.retry')}</button></div></main>`;
}

export function App() {
  const searching = useSignal(false);
  useEffect(() => {
    const onKey = (/** @type {KeyboardEvent} */ event) => {
      if (!(event.ctrlKey || event.metaKey) || mustSignIn.value) return;
      if (event.key.toLowerCase() === 'k' || event.code === 'KeyK') {
        event.preventDefault();
        searching.value = true;
      } else if (event.shiftKey && event.code === 'KeyO') {
        event.preventDefault();
        startNew();
      }
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, []);
  if (failure.value) return html`<${Unreachable} />`;
  if (!session.value) return html`<div class="opening"><span class="spinner"></span></div>`;
  if (mustSignIn.value) return html`<${Login} onSignedIn=${() => attempt(start)} /><${Notices} />`;
  return html`
    <a class="skip" href="#main" onClick=${(event) => { event.preventDefault(); (document.querySelector('.composer textarea') ?? document.querySelector('#main'))?.focus(); }}>${t('app.skip')}</a>
    <div class=${`frame ${drawerOpen.value ? 'drawer-open' : ''}`}>
      <${SidebarFrame} onSearch=${() => { searching.value = true; }} />
      <div class="page" inert=${drawerOpen.value && isNarrow.value}><${PAGES[route.value.page]} /></div>
    </div>
    ${searching.value && html`<${Search} onClose=${() => { searching.value = false; }} />`}
    <${Notices} />`;
}
