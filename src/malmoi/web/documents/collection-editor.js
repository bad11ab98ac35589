/** Make a collection, or change its name and description. */
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { attempt } from '../shell/notices.js';
import { Dialog } from '../shell/dialog.js';
import { changeCollection, createCollection } from './store.js';

/** @param {{collection: import('./store.js').Collection|null, onClose: () => void}} props */
export function CollectionEditor({ collection, onClose }) {
  const save = (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const given = new FormData(/** @type {HTMLFormElement} */ (event.currentTarget));
    const name = String(given.get('name')).trim();
    const description = String(given.get('description'));
    attempt(async () => {
      if (collection) await changeCollection(collection.id, { name, description });
      else await createCollection(name, description);
      onClose();
    });
  };
  return html`
    <${Dialog} title=${t(collection ? 'documents.edit' : 'documents.new')} onClose=${onClose} className="narrow">
      <form class="form" onSubmit=${save}>
        <label>${t('documents.name')}<input name="name" required maxlength="200" value=${collection?.name ?? ''} autocomplete="off" autofocus /></label>
        <label>${t('documents.description')}<textarea name="description" rows="3" maxlength="2000" defaultValue=${collection?.description ?? ''}></textarea></label>
        <div class="dialog-actions"><button type="button" class="button" onClick=${onClose}>${t('action.cancel')}</button><button class="button primary">${t('action.save')}</button></div>
      </form>
    <//>`;
}
