/** The page of documents: collections at the side, the open one beside them, or one document to read. */
import { useEffect } from 'preact/hooks';
import { signal, useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { route } from '../shell/router.js';
import { explain } from '../shell/api.js';
import { drawerOpen } from '../shell/state.js';
import { number } from '../shell/format.js';
import { Icon } from '../shell/icons.js';
import { collection, collections, loadCollections } from './store.js';
import { CollectionEditor } from './collection-editor.js';
import { CollectionView } from './collection-view.js';
import { Viewer } from './viewer.js';

const failure = signal(/** @type {unknown} */ (null));
const load = async () => {
  failure.value = null;
  try { await loadCollections(); } catch (error) { failure.value = error; }
};

/** @param {{onNew: () => void}} props */
function Collections({ onNew }) {
  if (failure.value) {
    const { text, fix } = explain(failure.value, t);
    return html`<section class="documents-none"><h2>${text}</h2><p class="lead">${fix}</p><p><button type="button" class="button" onClick=${load}>${t('action.retry')}</button></p></section>`;
  }
  const known = collections.value;
  if (!known) return html`<div class="opening"><span class="spinner" aria-hidden="true"></span></div>`;
  if (!known.length) {
    return html`<section class="documents-none"><h2>${t('documents.none')}</h2><p class="lead">${t('documents.none_lead')}</p>
      <p><button type="button" class="button primary" onClick=${onNew}><${Icon} name="plus" />${t('documents.new')}</button></p></section>`;
  }
  return html`
    <div class="documents-split">
      <nav class="documents-side" aria-label=${t('documents.collections')}>
        <ul>${known.map((item) => html`<li key=${item.id}><a href=${`/documents/${item.id}`} aria-current=${item.id === collection.value?.id ? 'page' : undefined}>
          <span>${item.name}</span><span class="quiet">${number(item.documents)}</span></a></li>`)}</ul>
        <button type="button" class="button small" onClick=${onNew}><${Icon} name="plus" />${t('documents.new')}</button>
      </nav>
      ${collection.value ? html`<${CollectionView} key=${collection.value.id} collection=${collection.value} />` : html`<p class="quiet documents-hint">${t('documents.gone')}</p>`}
    </div>`;
}

export function DocumentsPage() {
  const making = useSignal(false);
  const { id, section, query } = route.value;
  const reading = id === 'file' && section;
  useEffect(() => { load(); }, []);
  useEffect(() => { document.title = `${t('documents.title')} · ${t('app.name')}`; });
  return html`
    <header class="bar">
      <button type="button" class="icon-button drawer-button" aria-label=${t('sidebar.open')} aria-expanded=${String(drawerOpen.value)} onClick=${() => { drawerOpen.value = true; }}><${Icon} name="menu" /></button>
      <p class="bar-title">${t('documents.title')}</p>
    </header>
    <main id="main" class="documents" tabindex="-1">
      ${reading ? html`<${Viewer} id=${section} at=${query.get('at')} />` : html`<h1 class="visually-hidden">${t('documents.title')}</h1><${Collections} onNew=${() => { making.value = true; }} />`}
    </main>
    ${making.value && html`<${CollectionEditor} collection=${null} onClose=${() => { making.value = false; }} />`}`;
}
