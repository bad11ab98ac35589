/** The page of routers: one at a time, with what it learns from, queries that are tried, and its versions. */
import { useEffect, useRef } from 'preact/hooks';
import { signal, useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { navigate, route } from '../shell/router.js';
import { ApiError, explain } from '../shell/api.js';
import { drawerOpen } from '../shell/state.js';
import { attempt, complain, notify } from '../shell/notices.js';
import { MenuItem, Popover } from '../shell/popover.js';
import { Confirm } from '../shell/dialog.js';
import { number } from '../shell/format.js';
import { Icon } from '../shell/icons.js';
import { current, deleteRouter, importRouter, loadContent, loadRouters, routers } from './store.js';
import { exportRouter } from './exporting.js';
import { RouterEditor } from './router-editor.js';
import { ExamplesView } from './examples-view.js';
import { TryView } from './try-view.js';
import { VersionsView } from './versions-view.js';

/** @typedef {import('./store.js').Router} Router */

const failure = signal(/** @type {unknown} */ (null));
const load = async () => {
  failure.value = null;
  try { await loadRouters(); } catch (error) { failure.value = error; }
};
const VIEWS = { examples: ExamplesView, try: TryView, versions: VersionsView };
const TABS = /** @type {const} */ (['examples', 'try', 'versions']);

/** Which router is open, and the way to the others. @param {{router: Router, onNew: () => void, onImport: () => void}} props */
function RouterPicker({ router, onNew, onImport }) {
  return html`<${Popover} menu label=${t('routers.choose_router')} className="trainer-picker" button=${html`<span>${router.name}</span><${Icon} name="down" />`}>${(shut) => html`
    ${(routers.value ?? []).map((one) => html`<${MenuItem} key=${one.id} checked=${one.id === router.id} onClick=${() => { shut(); navigate(`/routers/${one.id}`); }}>${one.name}<small>${t('routers.versions', { n: number(one.versions) })}</small><//>`)}
    <hr /><${MenuItem} icon=${html`<${Icon} name="plus" />`} onClick=${() => { shut(); onNew(); }}>${t('routers.new')}<//>
    <${MenuItem} icon=${html`<${Icon} name="upload" />`} onClick=${() => { shut(); onImport(); }}>${t('routers.import')}<//>`}<//>`;
}

/** @param {{router: Router, onNew: () => void, onImport: () => void}} props */
function OpenRouter({ router, onNew, onImport }) {
  const dialog = useSignal(/** @type {'edit'|'delete'|null} */ (null));
  const tab = /** @type {keyof typeof VIEWS} */ (TABS.find((one) => one === route.value.section) ?? 'examples');
  const View = VIEWS[tab];
  useEffect(() => { attempt(() => loadContent(router.id)); }, [router.id]);
  const close = () => { dialog.value = null; };
  return html`
    <div class="trainer-set">
      <header class="trainer-head">
        <div class="trainer-name"><h1 class="visually-hidden">${router.name}</h1><${RouterPicker} router=${router} onNew=${onNew} onImport=${onImport} />
          <${Popover} menu label=${t('routers.menu')} align="start" button=${html`<${Icon} name="more" />`}>${(shut) => html`
            <${MenuItem} icon=${html`<${Icon} name="edit" />`} onClick=${() => { shut(); dialog.value = 'edit'; }}>${t('routers.edit')}<//>
            <${MenuItem} icon=${html`<${Icon} name="download" />`} onClick=${() => { shut(); attempt(() => exportRouter(router, 'json')); }}>${t('routers.export')} · JSON<//>
            <${MenuItem} icon=${html`<${Icon} name="download" />`} onClick=${() => { shut(); attempt(() => exportRouter(router, 'jsonl')); }}>${t('routers.export')} · JSONL<//>
            <hr /><${MenuItem} danger icon=${html`<${Icon} name="trash" />`} onClick=${() => { shut(); dialog.value = 'delete'; }}>${t('routers.delete')}<//>`}<//></div>
        ${router.description && html`<p class="trainer-skills"><span class="quiet">${router.description}</span></p>`}
      </header>
      <nav class="trainer-tabs" aria-label=${router.name}>
        ${TABS.map((one) => html`<a key=${one} href=${`/routers/${router.id}/${one}`} aria-current=${tab === one ? 'page' : undefined}>${t(`routers.tab_${one}`)}${one === 'versions' && router.versions > 0 ? html` <span class="quiet">${number(router.versions)}</span>` : ''}</a>`)}
      </nav>
      <${View} key=${router.id} router=${router} />
    </div>
    ${dialog.value === 'edit' && html`<${RouterEditor} router=${router} onClose=${close} />`}
    ${dialog.value === 'delete' && html`<${Confirm} title=${t('routers.delete')} text=${t('routers.delete_ask', { name: router.name, n: number(router.versions) })} action=${t('action.delete')}
      onConfirm=${() => attempt(async () => { await deleteRouter(router.id); notify(t('routers.deleted', { name: router.name })); })} onClose=${close} />`}`;
}

/** @param {{onNew: () => void, onImport: () => void}} props */
function Body({ onNew, onImport }) {
  if (failure.value) {
    const { text, fix } = explain(failure.value, t);
    return html`<section class="trainer-none"><h1>${text}</h1><p class="lead">${fix}</p><p><button type="button" class="button" onClick=${load}>${t('action.retry')}</button></p></section>`;
  }
  if (!routers.value) return html`<div class="opening"><span class="spinner" aria-hidden="true"></span></div>`;
  if (current.value) return html`<${OpenRouter} key=${current.value.id} router=${current.value} onNew=${onNew} onImport=${onImport} />`;
  if (routers.value.length) return html`<section class="trainer-none"><h1>${t('routers.gone')}</h1><p><a href="/routers">${t('routers.to_all')}</a></p></section>`;
  return html`<section class="trainer-none"><h1>${t('routers.none')}</h1><p class="lead">${t('routers.none_lead')}</p>
    <ol class="trainer-how"><li><strong>${t('routers.how_show')}</strong><span>${t('routers.how_show_about')}</span></li><li><strong>${t('routers.how_try')}</strong><span>${t('routers.how_try_about')}</span></li><li><strong>${t('routers.how_use')}</strong><span>${t('routers.how_use_about')}</span></li></ol>
    <p class="router-begin"><button type="button" class="button primary" onClick=${onNew}><${Icon} name="plus" />${t('routers.new')}</button><button type="button" class="button" onClick=${onImport}><${Icon} name="upload" />${t('routers.import')}</button></p></section>`;
}

export function RoutersPage() {
  const making = useSignal(false);
  const chooser = useRef(/** @type {HTMLInputElement|null} */ (null));
  useEffect(() => { load(); }, []);
  useEffect(() => { document.title = `${t('routers.title')} · ${t('app.name')}`; });
  const bring = async (/** @type {File} */ file) => {
    try {
      await importRouter(file);
      notify(t('routers.imported', { name: file.name }));
    } catch (error) {
      if (error instanceof ApiError && error.status === 400) notify(`${file.name}: ${error.message}`, { kind: 'error', fix: error.fix });
      else complain(error);
    }
  };
  return html`
    <header class="bar">
      <button type="button" class="icon-button drawer-button" aria-label=${t('sidebar.open')} aria-expanded=${String(drawerOpen.value)} onClick=${() => { drawerOpen.value = true; }}><${Icon} name="menu" /></button>
      <p class="bar-title">${t('routers.title')}</p>
    </header>
    <main id="main" class="trainer" tabindex="-1"><${Body} onNew=${() => { making.value = true; }} onImport=${() => chooser.current?.click()} /></main>
    <input ref=${chooser} type="file" accept=".json,.jsonl,.ndjson" hidden aria-label=${t('routers.import')} onChange=${(event) => { const file = event.currentTarget.files?.[0]; event.currentTarget.value = ''; if (file) bring(file); }} />
    ${making.value && html`<${RouterEditor} router=${null} onClose=${() => { making.value = false; }} />`}`;
}
