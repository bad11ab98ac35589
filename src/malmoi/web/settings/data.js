/** Conversations out and in, and the trash. */
import { useEffect, useRef } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { get, post, remove } from '../shell/api.js';
import { attempt, notify } from '../shell/notices.js';
import { Icon } from '../shell/icons.js';
import { Confirm } from '../shell/dialog.js';
import { refreshConversations } from '../chat/store.js';
import { exportAll, importFile } from '../chat/export.js';

export function Data() {
  const file = useRef(/** @type {HTMLInputElement|null} */ (null));
  const report = useSignal(/** @type {any} */ (null));
  const busy = useSignal(false);
  const load = async () => {
    const chosen = file.current?.files?.[0];
    if (!chosen) return;
    busy.value = true;
    report.value = null;
    await attempt(async () => {
      try {
        report.value = await importFile(chosen);
      } catch (error) {
        if (!(error instanceof SyntaxError)) throw error;
        notify(t('data.not_json', { name: chosen.name }), { kind: 'error' });
      }
    });
    busy.value = false;
    if (file.current) file.current.value = '';
  };
  return html`
    <h3>${t('data.export')}</h3>
    <p class="quiet">${t('data.export_help')}</p>
    <p><button type="button" class="button" onClick=${() => attempt(exportAll)}><${Icon} name="download" />${t('data.export_all')}</button></p>
    <h3>${t('data.import')}</h3>
    <p class="quiet">${t('data.import_help')}</p>
    <p><input ref=${file} class="visually-hidden" type="file" accept=".json,application/json" aria-label=${t('data.choose')} tabindex="-1" onChange=${load} />
      <button type="button" class="button" disabled=${busy.value} onClick=${() => file.current?.click()}><${Icon} name="upload" />${busy.value ? t('data.importing') : t('data.choose')}</button></p>
    ${report.value && html`<div class="report" role="status">
      <p><strong>${t('data.imported', { n: report.value.imported })}</strong>${report.value.skipped.length > 0 && html` ${t('data.skipped', { n: report.value.skipped.length })}`}</p>
      ${report.value.skipped.length > 0 && html`<ul>${report.value.skipped.map((/** @type {any} */ item) => html`<li key=${item.index}>${item.title || `#${item.index + 1}`}: ${item.reason}</li>`)}</ul>`}</div>`}
    <${Trash} />`;
}

function Trash() {
  const items = useSignal(/** @type {any[]|null} */ (null));
  const asking = useSignal(false);
  const load = async () => {
    const answer = await get('/chat/trash');
    items.value = Array.isArray(answer) ? answer : answer.items;
  };
  useEffect(() => { attempt(load); }, []);
  const restore = (/** @type {string} */ id) => attempt(async () => {
    await post(`/chat/conversations/${id}/restore`);
    await Promise.all([load(), refreshConversations()]);
  });
  return html`
    <h3>${t('data.trash')}</h3>
    ${items.value?.length === 0 && html`<p class="quiet">${t('data.trash_empty')}</p>`}
    <ul class="lines">${(items.value ?? []).map((item) => html`<li key=${item.id}><div>${item.title || t('conversation.untitled')}</div>
      <button type="button" class="button small" aria-label=${`${t('data.restore')}: ${item.title}`} onClick=${() => restore(item.id)}>${t('data.restore')}</button></li>`)}</ul>
    ${(items.value?.length ?? 0) > 0 && html`<button type="button" class="button danger quiet" onClick=${() => { asking.value = true; }}>${t('data.empty_trash')}</button>`}
    ${asking.value && html`<${Confirm} title=${t('data.empty_trash')} text=${t('data.empty_trash_ask', { n: items.value?.length ?? 0 })} action=${t('data.empty_trash')}
      onClose=${() => { asking.value = false; }} onConfirm=${() => attempt(async () => { await remove('/chat/trash'); await load(); })} />`}`;
}
