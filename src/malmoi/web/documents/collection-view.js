/** One collection: drop files on it, search it, see how far its documents are. */
import { useEffect, useRef } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { attempt, notify } from '../shell/notices.js';
import { MenuItem, Popover } from '../shell/popover.js';
import { Confirm } from '../shell/dialog.js';
import { Icon } from '../shell/icons.js';
import { deleteCollection, loadDocuments, mayWrite, rest, send } from './store.js';
import { bringsFiles, filesOf, ofFolder } from './files.js';
import { DocumentList } from './document-list.js';
import { SearchView } from './search-view.js';
import { ShareDialog } from './share-dialog.js';
import { CollectionEditor } from './collection-editor.js';

/** @param {{collection: import('./store.js').Collection}} props */
export function CollectionView({ collection }) {
  const query = useSignal('');
  const over = useSignal(false);
  const dialog = useSignal(/** @type {'share'|'edit'|'delete'|null} */ (null));
  const chooser = useRef(/** @type {HTMLInputElement|null} */ (null));
  const folder = useRef(/** @type {HTMLInputElement|null} */ (null));
  useEffect(() => { attempt(() => loadDocuments()); return rest; }, [collection.id]);
  useEffect(() => {
    const onPaste = (/** @type {ClipboardEvent} */ event) => {
      const files = [...(event.clipboardData?.files ?? [])];
      if (files.length && mayWrite.value) { event.preventDefault(); send(files); }
    };
    addEventListener('paste', onPaste);
    return () => removeEventListener('paste', onPaste);
  }, [collection.id]);
  const writable = collection.right !== 'read';
  const own = collection.right === 'own';
  const take = (/** @type {import('./files.js').Found} */ { files, left }) => {
    send(files);
    if (left) notify(t('documents.left_out', { n: left }));
  };
  const chosen = (/** @type {Event} */ event) => {
    const input = /** @type {HTMLInputElement} */ (event.currentTarget);
    const files = [...(input.files ?? [])];
    take(input.webkitdirectory ? ofFolder(files) : { files, left: 0 });
    input.value = '';
  };
  const dragged = {
    onDragOver: (/** @type {DragEvent} */ event) => { if (writable && bringsFiles(event)) { event.preventDefault(); over.value = true; } },
    onDragLeave: (/** @type {DragEvent} */ event) => { if (!(/** @type {HTMLElement} */ (event.currentTarget)).contains(/** @type {Node|null} */ (event.relatedTarget))) over.value = false; },
    onDrop: (/** @type {DragEvent} */ event) => {
      over.value = false;
      if (!writable || !bringsFiles(event)) return;
      event.preventDefault();
      attempt(async () => take(await filesOf(event.dataTransfer)));
    },
  };
  const close = () => { dialog.value = null; };
  return html`
    <section class=${`documents-collection ${over.value ? 'over' : ''}`} aria-label=${collection.name} ...${dragged}>
      <header class="documents-head">
        <div><h2>${collection.name}</h2>${collection.description && html`<p class="quiet">${collection.description}</p>`}
          ${!own && html`<p class="quiet">${t('documents.of', { name: collection.owner })}</p>`}</div>
        ${own && html`<${Popover} menu label=${t('documents.more')} align="end" button=${html`<${Icon} name="more" />`}>${(shut) => html`
          <${MenuItem} icon=${html`<${Icon} name="people" />`} onClick=${() => { shut(); dialog.value = 'share'; }}>${t('documents.share')}<//>
          <${MenuItem} icon=${html`<${Icon} name="edit" />`} onClick=${() => { shut(); dialog.value = 'edit'; }}>${t('documents.edit')}<//>
          <${MenuItem} danger icon=${html`<${Icon} name="trash" />`} onClick=${() => { shut(); dialog.value = 'delete'; }}>${t('documents.delete_collection')}<//>`}<//>`}
      </header>
      ${writable && html`<div class="documents-drop">
        <p>${t('documents.drop')}</p><p class="quiet">${t('documents.formats')}</p>
        <p class="documents-buttons"><button type="button" class="button primary" onClick=${() => chooser.current?.click()}><${Icon} name="upload" />${t('documents.choose')}</button>
          <button type="button" class="button" onClick=${() => folder.current?.click()}><${Icon} name="folder" />${t('documents.choose_folder')}</button></p>
        <input ref=${chooser} type="file" multiple hidden aria-label=${t('documents.choose')} onChange=${chosen} />
        <input ref=${folder} type="file" webkitdirectory hidden aria-label=${t('documents.choose_folder')} onChange=${chosen} /></div>`}
      <label class="documents-search"><${Icon} name="search" /><span class="visually-hidden">${t('documents.search')}</span>
        <input type="search" placeholder=${t('documents.search')} maxlength="2000" autocomplete="off" value=${query.value} onInput=${(event) => { query.value = event.currentTarget.value; }} /></label>
      ${query.value.trim() ? html`<${SearchView} query=${query.value.trim()} within=${collection.id} />` : html`<${DocumentList} />`}
      ${dialog.value === 'share' && html`<${ShareDialog} collection=${collection} onClose=${close} />`}
      ${dialog.value === 'edit' && html`<${CollectionEditor} collection=${collection} onClose=${close} />`}
      ${dialog.value === 'delete' && html`<${Confirm} title=${t('documents.delete_collection')} text=${t('documents.delete_collection_ask', { name: collection.name, n: collection.documents })} action=${t('action.delete')}
        onConfirm=${() => attempt(async () => { await deleteCollection(collection.id); notify(t('documents.deleted', { name: collection.name })); })} onClose=${close} />`}
    </section>`;
}
