/** One conversation in the list, with what can be done to it. */
import { useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { attempt } from '../shell/notices.js';
import { route } from '../shell/router.js';
import { drawerOpen } from '../shell/state.js';
import { Icon } from '../shell/icons.js';
import { MenuItem, Popover } from '../shell/popover.js';
import { change, deleteConversation, folders } from './store.js';
import { exportConversation } from './export.js';
import { NameBox } from './name-box.js';

/** @param {{conversation: import('./store.js').Conversation}} props */
export function ConversationRow({ conversation }) {
  const naming = useSignal(false);
  const { id, pinned, folder_id: folderId } = conversation;
  const title = conversation.title || t('conversation.untitled');
  if (naming.value) {
    return html`<li class="row"><${NameBox} label=${t('conversation.rename')} value=${conversation.title} onDone=${(/** @type {string|null} */ name) => {
      naming.value = false;
      if (name) attempt(() => change(id, { title: name }));
    }} /></li>`;
  }
  const here = route.value.page === 'chat' && route.value.id === id;
  return html`
    <li class=${`row ${here ? 'here' : ''}`}>
      <a href=${`/chat/${id}`} aria-current=${here ? 'page' : undefined} title=${title} onClick=${() => { drawerOpen.value = false; }}>${title}</a>
      <${Popover} menu align="end" label=${t('conversation.menu', { title })} title=${t('conversation.actions')} className="icon-button small row-menu" panelClass="menu" button=${html`<${Icon} name="more" />`}>
        ${(/** @type {() => void} */ close) => {
          const act = (/** @type {() => any} */ run) => () => { close(); run(); };
          return html`
            <${MenuItem} icon=${html`<${Icon} name="edit" />`} onClick=${act(() => { naming.value = true; })}>${t('conversation.rename')}<//>
            <${MenuItem} icon=${html`<${Icon} name="pin" />`} onClick=${act(() => attempt(() => change(id, { pinned: !pinned })))}>${pinned ? t('conversation.unpin') : t('conversation.pin')}<//>
            ${folders.value.filter((folder) => folder.id !== folderId).map((folder) => html`
              <${MenuItem} key=${folder.id} icon=${html`<${Icon} name="folder" />`} onClick=${act(() => attempt(() => change(id, { folder_id: folder.id })))}>${t('conversation.move', { folder: folder.name })}<//>`)}
            ${folderId && html`<${MenuItem} icon=${html`<${Icon} name="folder" />`} onClick=${act(() => attempt(() => change(id, { folder_id: null })))}>${t('conversation.move_out')}<//>`}
            <${MenuItem} icon=${html`<${Icon} name="download" />`} onClick=${act(() => attempt(() => exportConversation(conversation, 'md')))}>${t('conversation.export_md')}<//>
            <${MenuItem} icon=${html`<${Icon} name="download" />`} onClick=${act(() => attempt(() => exportConversation(conversation, 'json')))}>${t('conversation.export_json')}<//>
            <hr />
            <${MenuItem} danger icon=${html`<${Icon} name="trash" />`} onClick=${act(() => attempt(() => deleteConversation(conversation)))}>${t('action.delete')}<//>`;
        }}
      <//>
    </li>`;
}
