/** The people of this server, for its administrators. */
import { useEffect } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { explain, get, patch, post, remove } from '../shell/api.js';
import { attempt } from '../shell/notices.js';
import { session } from '../shell/state.js';
import { Icon } from '../shell/icons.js';
import { Confirm, Dialog } from '../shell/dialog.js';

const ROLES = ['member', 'annotator', 'analyst', 'auditor', 'admin', 'owner'];

export function Accounts() {
  const accounts = useSignal(/** @type {any[]} */ ([]));
  const making = useSignal(false);
  const removing = useSignal(/** @type {any} */ (null));
  const load = async () => {
    const answer = await get('/accounts');
    accounts.value = Array.isArray(answer) ? answer : answer.items;
  };
  useEffect(() => { attempt(load); }, []);
  const own = session.value.account?.id;
  return html`
    <p class="quiet">${t('accounts.lead')}</p>
    <p><button type="button" class="button primary" onClick=${() => { making.value = true; }}><${Icon} name="plus" />${t('accounts.new')}</button></p>
    <ul class="lines">${accounts.value.map((account) => html`<li key=${account.id}><div><strong>${account.name}</strong>${account.id === own && html` <span class="tag plain">${t('accounts.you')}</span>`}</div>
      <select aria-label=${`${t('accounts.role')}: ${account.name}`} value=${account.role} disabled=${account.id === own}
        onChange=${(event) => attempt(async () => { try { await patch(`/accounts/${account.id}`, { role: event.currentTarget.value }); } finally { await load(); } })}>
        ${ROLES.map((role) => html`<option value=${role}>${t(`accounts.role_${role}`)}</option>`)}</select>
      <button type="button" class="button small danger quiet" disabled=${account.id === own} aria-label=${`${t('action.delete')}: ${account.name}`} onClick=${() => { removing.value = account; }}>${t('action.delete')}</button></li>`)}</ul>
    ${making.value && html`<${NewAccount} isFirst=${!accounts.value.some((account) => account.has_password)} onClose=${() => { making.value = false; }} onMade=${() => { making.value = false; attempt(load); }} />`}
    ${removing.value && html`<${Confirm} title=${t('accounts.delete')} text=${t('accounts.delete_ask', { name: removing.value.name })} action=${t('action.delete')}
      onClose=${() => { removing.value = null; }} onConfirm=${() => { const { id } = removing.value; attempt(async () => { await remove(`/accounts/${id}`); await load(); }); }} />`}`;
}

/** @param {{isFirst: boolean, onClose: () => void, onMade: () => void}} props `isFirst`: nobody has a password yet */
function NewAccount({ isFirst, onClose, onMade }) {
  const failed = useSignal('');
  const make = async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const data = new FormData(/** @type {HTMLFormElement} */ (event.currentTarget));
    try {
      await post('/accounts', { name: String(data.get('name')).trim(), password: data.get('password'), role: isFirst ? 'owner' : data.get('role') });
      onMade();
    } catch (error) {
      const { text, fix } = explain(error, t);
      failed.value = `${text} ${fix}`;
    }
  };
  return html`
    <${Dialog} title=${t('accounts.new')} onClose=${onClose} className="narrow">
      <form class="form" onSubmit=${make}>
        <label>${t('login.name')}<input name="name" required maxlength="80" autocomplete="off" autofocus /></label>
        <label>${t('login.password')}<input name="password" type="password" required minlength="10" autocomplete="new-password" /></label>
        ${isFirst ? html`<p class="quiet">${t('accounts.first')}</p>`
          : html`<label>${t('accounts.role')}<select name="role">${ROLES.map((role) => html`<option key=${role} value=${role}>${t(`accounts.role_${role}`)}</option>`)}</select></label>`}
        ${failed.value && html`<p class="field-error" role="alert">${failed.value}</p>`}
        <div class="dialog-actions"><button type="button" class="button" onClick=${onClose}>${t('action.cancel')}</button><button type="submit" class="button primary">${t('accounts.make')}</button></div>
      </form>
    <//>`;
}
