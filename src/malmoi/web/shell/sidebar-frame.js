/** The side of the page: the name, the ways in, the open app's list, the settings. A drawer on narrow windows. */
import { useEffect, useRef } from 'preact/hooks';
import { html } from './view.js';
import { t } from './i18n.js';
import { drawerOpen, isNarrow, may } from './state.js';
import { Icon, Mark } from './icons.js';
import { ConversationList } from '../chat/sidebar.js';
import { startNew } from '../chat/store.js';

/** @param {{onSearch: () => void}} props */
export function SidebarFrame({ onSearch }) {
  const side = useRef(/** @type {HTMLElement|null} */ (null));
  const open = drawerOpen.value;
  useEffect(() => {
    if (!open || !isNarrow.value) return undefined;
    const onKey = (/** @type {KeyboardEvent} */ event) => { if (event.key === 'Escape' && !event.defaultPrevented) drawerOpen.value = false; };
    document.addEventListener('keydown', onKey);
    side.current?.querySelector('button')?.focus();
    return () => {
      document.removeEventListener('keydown', onKey);
      // The button that opened it; it is out of reach until the page behind takes part again.
      requestAnimationFrame(() => /** @type {HTMLElement|null} */ (document.querySelector('.bar .drawer-button'))?.focus());
    };
  }, [open]);
  const shut = () => { drawerOpen.value = false; };
  return html`
    ${open && html`<div class="veil" onClick=${shut}></div>`}
    <aside ref=${side} class=${`sidebar ${open ? 'open' : ''}`} aria-label=${t('sidebar.label')}>
      <div class="brand"><a href="/chat" onClick=${(event) => { event.preventDefault(); shut(); startNew(); }}><${Mark} /><span>${t('app.name')}</span></a>
        <button type="button" class="icon-button drawer-button" aria-label=${t('sidebar.close')} onClick=${shut}><${Icon} name="close" /></button></div>
      <div class="side-actions">
        <button type="button" class="side-button new" onClick=${() => { shut(); startNew(); }}><${Icon} name="plus" /><span>${t('sidebar.new')}</span></button>
        <button type="button" class="side-button" onClick=${() => { shut(); onSearch(); }}><${Icon} name="search" /><span>${t('sidebar.search')}</span><kbd>${/Mac|iPhone|iPad/.test(navigator.platform) ? '⌘K' : 'Ctrl K'}</kbd></button>
      </div>
      <${ConversationList} />
      ${may('documents') && html`<a class="side-button foot" href="/documents" onClick=${shut}><${Icon} name="file" /><span>${t('documents.title')}</span></a>`}
      ${may('skills') && html`<a class="side-button foot" href="/trainer" onClick=${shut}><${Icon} name="target" /><span>${t('trainer.title')}</span></a>`}
      ${may('skills') && html`<a class="side-button foot" href="/routers" onClick=${shut}><${Icon} name="split" /><span>${t('routers.title')}</span></a>`}
      ${may('redteam') && html`<a class="side-button foot" href="/redteam" onClick=${shut}><${Icon} name="shield" /><span>${t('redteam.title')}</span></a>`}
      ${may('audience') && html`<a class="side-button foot" href="/users" onClick=${shut}><${Icon} name="people" /><span>${t('users.title')}</span></a>`}
      <a class="side-button foot" href="/settings" onClick=${shut}><${Icon} name="gear" /><span>${t('settings.title')}</span></a>
    </aside>`;
}
