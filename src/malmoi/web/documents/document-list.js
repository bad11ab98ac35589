/** The documents of a collection: what is on its way, what is being read, what is ready, what failed and why. */
import { useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { explain } from '../shell/api.js';
import { bytes, day } from '../shell/format.js';
import { attempt, notify } from '../shell/notices.js';
import { Confirm } from '../shell/dialog.js';
import { Icon } from '../shell/icons.js';
import { failureOf, pagesOf, remarkOf } from './remarks.js';
import { cursor, deleteDocument, dismiss, documents, isUnfinished, loadDocuments, mayWrite, retry, uploads } from './store.js';

/** @param {{label: string, share: number|null}} props */
function Progress({ label, share }) {
  return html`<span class="documents-progress"><progress aria-label=${label} max="1" value=${share ?? undefined}></progress><span class="quiet">${label}</span></span>`;
}

/** @param {{item: import('./store.js').Upload}} props */
function UploadRow({ item }) {
  const failed = item.error ? explain(item.error, t) : null;
  return html`<li class="documents-row">
    <${Icon} name="upload" /><div class="documents-what"><strong>${item.name}</strong>
      ${failed ? html`<p class="documents-failed" role="alert">${failed.text} ${failed.fix}</p>` : html`<${Progress} label=${t('documents.sending', { n: Math.round(item.share * 100) })} share=${item.share} />`}</div>
    <button type="button" class="icon-button small" aria-label=${failed ? t('documents.dismiss', { name: item.name }) : t('documents.stop', { name: item.name })} onClick=${() => dismiss(item)}><${Icon} name="close" /></button></li>`;
}

/** @param {{item: import('./store.js').Document, onDelete: (item: import('./store.js').Document) => void}} props */
function DocumentRow({ item, onDelete }) {
  const facts = [item.format, bytes(item.size), pagesOf(item), day(item.created_at)].filter(Boolean);
  const failed = item.status === 'failed' ? failureOf(item.error) : null;
  return html`<li class="documents-row">
    <${Icon} name="file" /><div class="documents-what">
      ${item.length > 0 || item.status === 'ready' ? html`<a href=${`/documents/file/${item.id}`}>${item.title || item.name}</a>` : html`<strong>${item.name}</strong>`}
      <p class="quiet">${item.title && item.title !== item.name ? `${item.name} · ` : ''}${facts.join(' · ')}</p>
      ${isUnfinished(item) && html`<${Progress} label=${t(`documents.status_${item.status}`)} share=${item.status === 'waiting' ? null : item.progress} />`}
      ${failed && html`<p class="documents-failed">${failed.text}</p>${failed.detail && html`<details class="quiet"><summary>${t('documents.failed_detail')}</summary><p lang="en">${failed.detail}</p></details>`}`}
      ${item.remarks.length > 0 && html`<details><summary>${t('documents.remarks', { n: item.remarks.length })}</summary><ul>${item.remarks.map((remark) => html`<li key=${remark}>${remarkOf(remark)}</li>`)}</ul></details>`}
    </div>
    ${mayWrite.value && item.status === 'failed' && html`<button type="button" class="icon-button small" aria-label=${t('documents.retry', { name: item.name })} title=${t('documents.retry', { name: item.name })} onClick=${() => attempt(() => retry(item.id))}><${Icon} name="again" /></button>`}
    ${mayWrite.value && html`<button type="button" class="icon-button small" aria-haspopup="dialog" aria-label=${t('documents.delete', { name: item.name })} title=${t('documents.delete', { name: item.name })} onClick=${() => onDelete(item)}><${Icon} name="trash" /></button>`}
  </li>`;
}

export function DocumentList() {
  const asked = useSignal(/** @type {import('./store.js').Document|null} */ (null));
  const drop = (/** @type {import('./store.js').Document} */ item) => attempt(async () => {
    await deleteDocument(item.id);
    notify(t('documents.deleted', { name: item.name }));
  });
  if (!uploads.value.length && !documents.value.length) return html`<p class="quiet documents-empty">${t('documents.empty')}</p>`;
  return html`
    <ul class="documents-list" aria-label=${t('documents.title')}>
      ${uploads.value.map((item) => html`<${UploadRow} key=${`u${item.id}`} item=${item} />`)}
      ${documents.value.map((item) => html`<${DocumentRow} key=${item.id} item=${item} onDelete=${(/** @type {import('./store.js').Document} */ each) => { asked.value = each; }} />`)}
    </ul>
    ${cursor.value && html`<button type="button" class="button small" onClick=${() => attempt(() => loadDocuments({ more: true }))}>${t('documents.show_more')}</button>`}
    ${asked.value && html`<${Confirm} title=${t('documents.delete', { name: asked.value.name })} text=${t('documents.delete_ask')} action=${t('action.delete')}
      onConfirm=${() => drop(/** @type {import('./store.js').Document} */ (asked.value))} onClose=${() => { asked.value = null; }} />`}`;
}
