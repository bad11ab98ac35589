/** A folder of conversations, open or shut; this browser remembers which. */
import { useEffect } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { attempt } from '../shell/notices.js';
import { Icon } from '../shell/icons.js';
import { MenuItem, Popover } from '../shell/popover.js';
import { deleteFolder, loadFolder, renameFolder, startNew } from './store.js';
import { ConversationRow } from './conversation-row.js';
import { NameBox } from './name-box.js';

/** @param {{folder: {id: string, name: string}, items: any[]}} props */
export function FolderGroup({ folder, items }) {
  const key = `malmoi.folder.${folder.id}`;
  const open = useSignal(localStorage.getItem(key) !== 'shut');
  const naming = useSignal(false);
  useEffect(() => { if (open.value) attempt(() => loadFolder(folder.id)); }, [open.value]);
  const toggle = () => {
    open.value = !open.value;
    localStorage.setItem(key, open.value ? 'open' : 'shut');
  };
  return html`
    <div class="folder">
      ${naming.value
        ? html`<${NameBox} label=${t('folder.name')} value=${folder.name} onDone=${(/** @type {string|null} */ name) => {
          naming.value = false;
          if (name) attempt(() => renameFolder(folder.id, name));
        }} />`
        : html`<div class="row">
            <button type="button" class="folder-toggle" aria-expanded=${String(open.value)} onClick=${toggle}>
              <${Icon} name="folder" /><span>${folder.name}</span><small>${items.length || ''}</small></button>
            <${Popover} menu align="end" label=${t('folder.menu', { name: folder.name })} title=${t('folder.actions')} className="icon-button small row-menu" panelClass="menu" button=${html`<${Icon} name="more" />`}>
              ${(/** @type {() => void} */ close) => html`
                <${MenuItem} icon=${html`<${Icon} name="plus" />`} onClick=${() => { close(); startNew(/** @type {any} */ (folder.id)); }}>${t('folder.start')}<//>
                <${MenuItem} icon=${html`<${Icon} name="edit" />`} onClick=${() => { close(); naming.value = true; }}>${t('folder.rename')}<//>
                <${MenuItem} danger icon=${html`<${Icon} name="trash" />`} onClick=${() => { close(); attempt(() => deleteFolder(folder.id)); }}>${t('folder.delete')}<//>`}
            <//></div>`}
      ${open.value && items.length > 0 && html`<ul>${items.map((item) => html`<${ConversationRow} key=${item.id} conversation=${item} />`)}</ul>`}
    </div>`;
}
