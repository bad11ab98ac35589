/** The side of the page: the name, the ways in, the open app's list, the settings. A drawer on narrow windows. */
import { useEffect, useRef } from 'preact/hooks';
import { html } from './view.js';
import { t } from './i18n.js';
import { drawerOpen } from './state.js';
import { Icon, Mark } from './icons.js';
import { ConversationList } from '../chat/sidebar.js';
import { startNew } from '../chat/store.js';

const NARROW = '(max-width: 800px)';

/** @param {{onSearch: () => void}} props */
export function SidebarFrame({ onSearch }) {
  const side = useRef(/** @type {HTMLElement|null} */ (null));
  const open = drawerOpen.value;
  useEffect(() => {
    if (!open || !matchMedia(NARROW).matches) return undefined;
    const before = /** @type {HTMLElement|null} */ (document.activeElement);
    side.current?.querySelector('button')?.focus();
    return () => before?.focus();
  }, [open]);
  const shut = () => { drawerOpen.value = false; };
  return html`
    ${open && html`<div class="veil" onClick=${shut}></div>`}
    <aside ref=${side} class=${`sidebar ${open ? 'open' : ''}`} aria-label=${t('sidebar.label')} onKeyDown=${(event) => { if (event.key === 'Escape' && open) shut(); }}>
      <div class="brand"><a href="/chat" onClick=${(event) => { event.preventDefault(); shut(); startNew(); }}><${Mark} /><span>${t('app.name')}</span></a>
        <button type="button" class="icon-button drawer-button" aria-label=${t('sidebar.close')} onClick=${shut}><${Icon} name="close" /></button></div>
      <div class="side-actions">
        <button type="button" class="side-button new" onClick=${() => { shut(); startNew(); }}><${Icon} name="plus" /><span>${t('sidebar.new')}</span></button>
        <button type="button" class="side-button" onClick=${() => { shut(); onSearch(); }}><${Icon} name="search" /><span>${t('sidebar.search')}</span><kbd>${/Mac|iPhone|iPad/.test(navigator.platform) ? '⌘K' : 'Ctrl K'}</kbd></button>
      </div>
      <${ConversationList} />
      <a class="side-button foot" href="/settings" onClick=${shut}><${Icon} name="gear" /><span>${t('settings.title')}</span></a>
    </aside>`;
}
