/** The page of the skill trainer: one set at a time, with its workbench, its rows, and its versions. */
import { useEffect } from 'preact/hooks';
import { signal, useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { navigate, route } from '../shell/router.js';
import { explain } from '../shell/api.js';
import { drawerOpen } from '../shell/state.js';
import { attempt, notify } from '../shell/notices.js';
import { MenuItem, Popover } from '../shell/popover.js';
import { Confirm } from '../shell/dialog.js';
import { number } from '../shell/format.js';
import { Icon } from '../shell/icons.js';
import { apply, current, deleteSet, loadOperations, loadSets, sets, skillTitle } from './store.js';
import { SetEditor } from './set-editor.js';
import { Workbench } from './workbench.js';
import { RowsView } from './rows-view.js';
import { VersionsView } from './versions-view.js';

const failure = signal(/** @type {unknown} */ (null));
const load = async () => {
  failure.value = null;
  try { await loadSets(); } catch (error) { failure.value = error; }
};
const VIEWS = { bench: Workbench, rows: RowsView, versions: VersionsView };
const TABS = /** @type {const} */ (['bench', 'rows', 'versions']);

/** Which set is open, and the way to the others. @param {{set: import('./store.js').SkillSet, onNew: () => void}} props */
function SetPicker({ set, onNew }) {
  return html`<${Popover} menu label=${t('trainer.choose_set')} className="trainer-picker" button=${html`<span>${set.name}</span><${Icon} name="down" />`}>${(shut) => html`
    ${(sets.value ?? []).map((one) => html`<${MenuItem} key=${one.id} checked=${one.id === set.id} onClick=${() => { shut(); navigate(`/trainer/${one.id}`); }}>${one.name}<small>${t('trainer.counts', { train: number(one.train), test: number(one.test) })}</small><//>`)}
    <hr /><${MenuItem} icon=${html`<${Icon} name="plus" />`} onClick=${() => { shut(); onNew(); }}>${t('trainer.new_set')}<//>`}<//>`;
}

/** Whether the set's rows are shown to the person's own chats. @param {{set: import('./store.js').SkillSet}} props */
function Applied({ set }) {
  const label = set.applied && set.applied_version !== null ? t('trainer.applied_version', { n: set.applied_version }) : t('trainer.apply');
  return html`<label class="trainer-switch" title=${t('trainer.apply_about')}><input type="checkbox" role="switch" checked=${set.applied}
    onChange=${(event) => { const wanted = event.currentTarget.checked; attempt(async () => { await apply(set.id, wanted ? null : false); notify((wanted ? t('trainer.applied') : t('trainer.unapplied'))); }); }} /><span>${label}</span></label>`;
}

/** @param {{set: import('./store.js').SkillSet, onNew: () => void}} props */
function OpenSet({ set, onNew }) {
  const dialog = useSignal(/** @type {'edit'|'delete'|null} */ (null));
  const tab = /** @type {keyof typeof VIEWS} */ (TABS.find((one) => one === route.value.section) ?? 'bench');
  const View = VIEWS[tab];
  useEffect(() => { attempt(() => loadOperations(set.skills)); }, [set.id, set.skills.join(' ')]);
  const close = () => { dialog.value = null; };
  return html`
    <div class="trainer-set">
      <header class="trainer-head">
        <div class="trainer-name"><h1 class="visually-hidden">${set.name}</h1><${SetPicker} set=${set} onNew=${onNew} />
          <${Popover} menu label=${t('trainer.set_menu')} align="start" button=${html`<${Icon} name="more" />`}>${(shut) => html`
            <${MenuItem} icon=${html`<${Icon} name="edit" />`} onClick=${() => { shut(); dialog.value = 'edit'; }}>${t('trainer.edit_set')}<//>
            <${MenuItem} danger icon=${html`<${Icon} name="trash" />`} onClick=${() => { shut(); dialog.value = 'delete'; }}>${t('trainer.delete_set')}<//>`}<//></div>
        <${Applied} set=${set} />
        <p class="trainer-skills">${set.skills.map((name) => html`<span class="tag plain" key=${name}>${skillTitle(name)}</span>`)}${set.description && html`<span class="quiet">${set.description}</span>`}</p>
      </header>
      <nav class="trainer-tabs" aria-label=${set.name}>
        ${TABS.map((one) => html`<a key=${one} href=${`/trainer/${set.id}/${one}`} aria-current=${tab === one ? 'page' : undefined}>${t(`trainer.tab_${one}`)}${one === 'rows' && set.train + set.test + set.drafts > 0 ? html` <span class="quiet">${number(set.train + set.test + set.drafts)}</span>` : ''}</a>`)}
      </nav>
      <${View} key=${set.id} set=${set} />
    </div>
    ${dialog.value === 'edit' && html`<${SetEditor} set=${set} onClose=${close} />`}
    ${dialog.value === 'delete' && html`<${Confirm} title=${t('trainer.delete_set')} text=${t('trainer.delete_set_ask', { name: set.name, n: number(set.train + set.test + set.drafts), versions: number(set.versions) })} action=${t('action.delete')}
      onConfirm=${() => attempt(async () => { await deleteSet(set.id); notify(t('trainer.deleted_set', { name: set.name })); })} onClose=${close} />`}`;
}

/** @param {{onNew: () => void}} props */
function Body({ onNew }) {
  if (failure.value) {
    const { text, fix } = explain(failure.value, t);
    return html`<section class="trainer-none"><h1>${text}</h1><p class="lead">${fix}</p><p><button type="button" class="button" onClick=${load}>${t('action.retry')}</button></p></section>`;
  }
  if (!sets.value) return html`<div class="opening"><span class="spinner" aria-hidden="true"></span></div>`;
  if (current.value) return html`<${OpenSet} key=${current.value.id} set=${current.value} onNew=${onNew} />`;
  if (sets.value.length) return html`<section class="trainer-none"><h1>${t('trainer.gone')}</h1><p><a href="/trainer">${t('trainer.to_sets')}</a></p></section>`;
  return html`<section class="trainer-none"><h1>${t('trainer.none')}</h1><p class="lead">${t('trainer.none_lead')}</p>
    <ol class="trainer-how"><li><strong>${t('trainer.how_ask')}</strong><span>${t('trainer.how_ask_about')}</span></li><li><strong>${t('trainer.how_correct')}</strong><span>${t('trainer.how_correct_about')}</span></li><li><strong>${t('trainer.how_measure')}</strong><span>${t('trainer.how_measure_about')}</span></li></ol>
    <p><button type="button" class="button primary" onClick=${onNew}><${Icon} name="plus" />${t('trainer.new_set')}</button></p></section>`;
}

export function TrainerPage() {
  const making = useSignal(false);
  useEffect(() => { load(); }, []);
  useEffect(() => { document.title = `${t('trainer.title')} · ${t('app.name')}`; });
  return html`
    <header class="bar">
      <button type="button" class="icon-button drawer-button" aria-label=${t('sidebar.open')} aria-expanded=${String(drawerOpen.value)} onClick=${() => { drawerOpen.value = true; }}><${Icon} name="menu" /></button>
      <p class="bar-title">${t('trainer.title')}</p>
    </header>
    <main id="main" class="trainer" tabindex="-1"><${Body} onNew=${() => { making.value = true; }} /></main>
    ${making.value && html`<${SetEditor} set=${null} onClose=${() => { making.value = false; }} />`}`;
}
