/** Whether replies come from documents, and from which collections. */
import { useEffect } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { get } from '../shell/api.js';
import { may } from '../shell/state.js';
import { number } from '../shell/format.js';
import { attempt } from '../shell/notices.js';
import { Icon } from '../shell/icons.js';
import { Popover } from '../shell/popover.js';
import { choices, choose } from './store.js';

/** @param {{id: string, name: string, documents: number}[]} known @param {{collections: string[], documents: string[]}|null} chosen */
function labelOf(known, chosen) {
  if (!chosen) return t('sources.off');
  const count = chosen.collections.length + chosen.documents.length;
  if (!count) return t('sources.all');
  const name = chosen.documents.length ? null : known.find((item) => item.id === chosen.collections[0])?.name;
  return count === 1 && name ? name : t('sources.some', { n: count });
}

export function DocumentPicker() {
  const known = useSignal(/** @type {{id: string, name: string, documents: number}[]|null} */ (null));
  const chosen = choices.value.documents;
  const isOpen = useSignal(false);
  // Names are fetched when they are to be shown: in the panel, or on the button.
  const wanted = may('documents') && (isOpen.value || Boolean(chosen?.collections.length));
  useEffect(() => {
    if (wanted && !known.value) attempt(async () => { known.value = (await get('/documents/collections')).items; });
  }, [wanted]);
  if (!may('documents')) return null;
  const label = labelOf(known.value ?? [], chosen);
  /** @param {string} id @param {boolean} on */
  const toggle = (id, on) => {
    const now = chosen ?? { collections: [], documents: [] };
    const collections = on ? [...now.collections, id] : now.collections.filter((item) => item !== id);
    choose({ documents: on || collections.length || now.documents.length ? { ...now, collections } : null });
  };
  return html`
    <${Popover} label=${t('sources.choose', { name: label })} title=${t('sources.choose', { name: label })} className=${`picker from ${chosen ? 'on' : ''}`} panelClass="from-panel"
      button=${html`<${Icon} name="file" /><span class="picker-text">${label}</span>`}>
      ${() => { if (!isOpen.peek()) queueMicrotask(() => { isOpen.value = true; }); return html`
        <h2>${t('sources.from')}</h2>
        <label class="check"><input type="radio" name="from" checked=${!chosen} onChange=${() => choose({ documents: null })} />${t('sources.off')}<small>${t('sources.off_help')}</small></label>
        <label class="check"><input type="radio" name="from" checked=${Boolean(chosen) && !chosen?.collections.length && !chosen?.documents.length} onChange=${() => choose({ documents: { collections: [], documents: [] } })} />${t('sources.all')}</label>
        <hr />
        ${(known.value ?? []).map((item) => html`<label class="check" key=${item.id}><input type="checkbox" checked=${chosen?.collections.includes(item.id) ?? false} onChange=${(event) => toggle(item.id, event.currentTarget.checked)} />${item.name}<small>${t('sources.count', { n: number(item.documents) })}</small></label>`)}
        <p><a href="/documents">${known.value?.length ? t('sources.manage') : t('sources.none')}</a></p>`; }}
    <//>`;
}
