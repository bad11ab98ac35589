/** With whom a collection is shared. */
import { useEffect } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { get, post, remove } from '../shell/api.js';
import { isAdmin } from '../shell/state.js';
import { attempt } from '../shell/notices.js';
import { Dialog } from '../shell/dialog.js';
import { Icon } from '../shell/icons.js';
import { changeCollection } from './store.js';

/** @param {{collection: import('./store.js').Collection, onClose: () => void}} props */
export function ShareDialog({ collection, onClose }) {
  const members = useSignal(/** @type {{account_id: string, name: string, role: string}[]} */ ([]));
  const path = `/documents/collections/${encodeURIComponent(collection.id)}/members`;
  useEffect(() => { attempt(async () => { members.value = (await get(path)).items; }); }, []);
  const add = (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const form = /** @type {HTMLFormElement} */ (event.currentTarget);
    const given = new FormData(form);
    attempt(async () => {
      members.value = (await post(path, { name: String(given.get('name')).trim(), role: given.get('role') })).items;
      form.reset();
    });
  };
  const drop = (/** @type {string} */ id) => attempt(async () => {
    await remove(`${path}/${encodeURIComponent(id)}`);
    members.value = members.value.filter((item) => item.account_id !== id);
  });
  return html`
    <${Dialog} title=${t('documents.share_title', { name: collection.name })} onClose=${onClose}>
      <ul class="documents-members">${members.value.map((item) => html`<li key=${item.account_id}><span>${item.name}</span><span class="quiet">${t(`documents.role_${item.role}`)}</span>
        <button type="button" class="icon-button small" aria-label=${t('documents.unshare', { name: item.name })} onClick=${() => drop(item.account_id)}><${Icon} name="close" /></button></li>`)}
        ${members.value.length === 0 && html`<li class="quiet">${t('documents.alone')}</li>`}</ul>
      <form class="form documents-share" onSubmit=${add}>
        <label>${t('documents.account')}<input name="name" required maxlength="128" autocomplete="off" autofocus /></label>
        <label>${t('documents.role')}<select name="role"><option value="reader">${t('documents.role_reader')}</option><option value="writer">${t('documents.role_writer')}</option></select></label>
        <button class="button primary">${t('documents.share')}</button>
      </form>
      ${isAdmin.value && html`<label class="check"><input type="checkbox" checked=${collection.everybody} onChange=${(event) => attempt(() => changeCollection(collection.id, { everybody: event.currentTarget.checked }))} />${t('documents.everybody')}</label>`}
    <//>`;
}
