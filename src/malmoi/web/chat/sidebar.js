/** The list of conversations: pinned ones, folders, and the rest by date. */
import { useEffect, useRef } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { dateGroup } from '../shell/format.js';
import { attempt } from '../shell/notices.js';
import { Icon } from '../shell/icons.js';
import { conversations, createFolder, folders, loadMore, nextCursor } from './store.js';
import { ConversationRow } from './conversation-row.js';
import { FolderGroup } from './folder-group.js';
import { NameBox } from './name-box.js';

export function ConversationList() {
  const naming = useSignal(false);
  const end = useRef(/** @type {HTMLButtonElement|null} */ (null));
  useEffect(() => {
    if (!end.current) return undefined;
    const watch = new IntersectionObserver((entries) => { if (entries.some((entry) => entry.isIntersecting)) attempt(loadMore); });
    watch.observe(end.current);
    return () => watch.disconnect();
  }, [nextCursor.value]);

  const known = new Set(folders.value.map((folder) => folder.id));
  const pinned = conversations.value.filter((item) => item.pinned);
  const loose = conversations.value.filter((item) => !item.pinned && !(item.folder_id && known.has(item.folder_id)));
  /** @type {Map<string, {label: string, items: any[]}>} */
  const groups = new Map();
  for (const item of loose) {
    const { key, label } = dateGroup(item.updated_at);
    if (!groups.has(key)) groups.set(key, { label, items: [] });
    groups.get(key)?.items.push(item);
  }
  return html`
    <nav class="conversations" aria-label=${t('sidebar.conversations')}>
      ${pinned.length > 0 && html`<section><h2>${t('group.pinned')}</h2><ul>${pinned.map((item) => html`<${ConversationRow} key=${item.id} conversation=${item} />`)}</ul></section>`}
      <section class="folders">
        <div class="section-head"><h2>${t('sidebar.folders')}</h2>
          <button type="button" class="icon-button small" aria-label=${t('folder.new')} title=${t('folder.new')} onClick=${() => { naming.value = true; }}><${Icon} name="plus" /></button></div>
        ${naming.value && html`<${NameBox} label=${t('folder.name')} value="" onDone=${(/** @type {string|null} */ name) => {
          naming.value = false;
          if (name) attempt(() => createFolder(name));
        }} />`}
        ${folders.value.map((folder) => html`<${FolderGroup} key=${folder.id} folder=${folder} items=${conversations.value.filter((item) => item.folder_id === folder.id && !item.pinned)} />`)}
      </section>
      ${[...groups].map(([key, group]) => html`<section key=${key}><h2>${group.label}</h2><ul>${group.items.map((item) => html`<${ConversationRow} key=${item.id} conversation=${item} />`)}</ul></section>`)}
      ${nextCursor.value && html`<button type="button" ref=${end} class="link more" onClick=${() => attempt(loadMore)}>${t('sidebar.more')}</button>`}
      ${!conversations.value.length && html`<p class="quiet none">${t('sidebar.none')}</p>`}
    </nav>`;
}
