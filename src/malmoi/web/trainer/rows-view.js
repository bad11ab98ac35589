/** All rows of a set: filtered, searched, a page at a time; brought in and taken out as files. */
import { useEffect, useRef } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { navigate, route } from '../shell/router.js';
import { ApiError, get, post, request } from '../shell/api.js';
import { attempt, notify } from '../shell/notices.js';
import { day, number } from '../shell/format.js';
import { MenuItem, Popover } from '../shell/popover.js';
import { Icon } from '../shell/icons.js';
import { saveFile } from '../shell/save-file.js';
import { drop, putBack } from './bench.js';
import { path, refresh, skillTitle } from './store.js';
import { waysTitle } from './row-editor.js';

const PAGE = 25;
const KINDS = /** @type {const} */ (['all', 'draft', 'train', 'test']);

/** Hand over saved rows as a file. @param {import('./store.js').SkillSet} set @param {'jsonl'|'csv'} format @param {'train'|'test'|'all'} part @param {number|null} [version] */
export async function exportRows(set, format, part, version = null) {
  const answer = await request('GET', path(set.id, `/export?format=${format}&part=${part}${version ? `&version=${version}` : ''}`), { accept: '*/*' });
  saveFile(await answer.blob(), `${set.name}${version ? `-v${version}` : ''}-${part}.${format}`);
  const skipped = Number(answer.headers.get('X-Skipped-Rows') ?? 0);
  if (skipped) notify(t('trainer.skipped', { n: number(skipped) }));
}

/** @param {{set: import('./store.js').SkillSet, onChange: () => void}} props */
function Files({ set, onChange }) {
  const chooser = useRef(/** @type {HTMLInputElement|null} */ (null));
  const problem = useSignal('');
  const bring = (/** @type {File} */ file) => attempt(async () => {
    problem.value = '';
    try {
      const { rows } = await post(path(set.id, '/import'), { text: await file.text() });
      notify(t('trainer.imported', { n: number(rows) }));
      await refresh(set.id);
      onChange();
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 400) throw error;
      problem.value = `${file.name}: ${error.message}`;
    }
  });
  return html`
    <button type="button" class="button small" onClick=${() => chooser.current?.click()}><${Icon} name="upload" />${t('trainer.import')}</button>
    <input ref=${chooser} type="file" accept=".jsonl,.json,.ndjson" hidden aria-label=${t('trainer.import')} onChange=${(event) => { const file = event.currentTarget.files?.[0]; event.currentTarget.value = ''; if (file) bring(file); }} />
    <${Popover} menu align="end" label=${t('trainer.export')} className="button small" button=${html`<${Icon} name="download" />${t('trainer.export')}`}>${(shut) => html`
      ${/** @type {const} */ (['train', 'test', 'all']).map((part) => html`<${MenuItem} key=${part} onClick=${() => { shut(); attempt(() => exportRows(set, 'jsonl', part)); }}>JSONL · ${t(`trainer.export_${part}`)}<//>`)}
      <hr /><${MenuItem} onClick=${() => { shut(); attempt(() => exportRows(set, 'csv', 'train')); }}>CSV · ${t('trainer.export_train')}<//>
      <${MenuItem} onClick=${() => { shut(); attempt(() => exportRows(set, 'csv', 'all')); }}>CSV · ${t('trainer.export_all')}<//>`}<//>
    ${problem.value && html`<p class="field-error wide" role="alert">${problem.value}</p>`}`;
}

/** @param {{set: import('./store.js').SkillSet}} props */
export function RowsView({ set }) {
  const kind = KINDS.find((one) => one === route.value.query.get('status')) ?? 'all';
  const skill = useSignal('*');
  const search = useSignal('');
  const offset = useSignal(0);
  const page = useSignal(/** @type {{rows: import('./store.js').Row[], total: number}|null} */ (null));
  const newest = useRef(0);
  const load = () => attempt(async () => {
    const turn = ++newest.current;
    const asked = new URLSearchParams({ limit: String(PAGE), offset: String(offset.value), newest: 'true' });
    if (kind === 'draft') asked.set('status', 'draft');
    if (kind === 'train' || kind === 'test') { asked.set('status', 'saved'); asked.set('part', kind); }
    if (skill.value !== '*') asked.set('skill', skill.value);
    if (search.value.trim()) asked.set('search', search.value.trim());
    const found = await get(path(set.id, `/rows?${asked}`));
    if (turn === newest.current) page.value = found;
  });
  useEffect(() => {
    const wait = setTimeout(load, search.value ? 200 : 0);
    return () => clearTimeout(wait);
  }, [set.id, kind, skill.value, search.value, offset.value]);
  const choose = (/** @type {string} */ one) => { offset.value = 0; navigate(`/trainer/${set.id}/rows${one === 'all' ? '' : `?status=${one}`}`, { replace: true }); };
  const remove = (/** @type {import('./store.js').Row} */ row) => attempt(async () => {
    await drop(set.id, row);
    await load();
    notify(t('trainer.deleted_row'), { action: { label: t('action.undo'), run: () => attempt(async () => { await putBack(set.id, row); await load(); }) } });
  });
  const found = page.value;
  const last = found ? Math.min(offset.value + PAGE, found.total) : 0;
  const isFiltered = kind !== 'all' || skill.value !== '*' || search.value.trim();
  return html`
    <section class="trainer-rows" aria-label=${t('trainer.tab_rows')}>
      <div class="rows-tools">
        <fieldset class="segments"><legend class="visually-hidden">${t('trainer.show')}</legend>${KINDS.map((one) => html`<label key=${one}><input type="radio" name="kind" checked=${kind === one} onChange=${() => choose(one)} /><span>${t(`trainer.kind_${one}`)}</span></label>`)}</fieldset>
        <label class="rows-skill"><span class="visually-hidden">${t('trainer.skill')}</span><select value=${skill.value} onChange=${(event) => { skill.value = event.currentTarget.value; offset.value = 0; }}>
          <option value="*">${t('trainer.any_skill')}</option><option value="">${t('trainer.no_skill')}</option>${set.skills.map((name) => html`<option key=${name} value=${name}>${skillTitle(name)}</option>`)}</select></label>
        <label class="documents-search rows-search"><${Icon} name="search" /><span class="visually-hidden">${t('trainer.search')}</span><input type="search" placeholder=${t('trainer.search')} maxlength="200" autocomplete="off" value=${search.value} onInput=${(event) => { search.value = event.currentTarget.value; offset.value = 0; }} /></label>
        <span class="grow"></span><${Files} set=${set} onChange=${load} />
      </div>
      ${!found ? html`<div class="opening"><span class="spinner" aria-hidden="true"></span></div>`
        : !found.total ? html`<p class="trainer-empty">${(isFiltered ? t('trainer.nothing_found') : t('trainer.no_rows'))}</p>`
          : html`<ul class="rows-list">${found.rows.map((row) => html`<li key=${row.id}>
              <a href=${`/trainer/${set.id}/bench?row=${row.id}`}><span class="rows-query">${row.query}</span>
                <span class="rows-way quiet">${waysTitle(row.stages)}${row.stages.asked ? ` · ${t('trainer.asked_back')}` : ''}</span></a>
              <span class=${`tag ${row.status === 'draft' ? 'plain' : row.part}`}>${row.status === 'draft' ? t('trainer.kind_draft') : t(`trainer.part_${row.part}`)}</span>
              <time class="quiet" datetime=${row.said_at}>${day(row.said_at)}</time>
              <button type="button" class="icon-button small" aria-label=${t('trainer.delete_this', { query: row.query })} title=${t('action.delete')} onClick=${() => remove(row)}><${Icon} name="trash" /></button></li>`)}</ul>
            <nav class="rows-pages" aria-label=${t('trainer.pages')}><button type="button" class="icon-button" disabled=${!offset.value} aria-label=${t('trainer.newer')} onClick=${() => { offset.value = Math.max(0, offset.value - PAGE); }}><${Icon} name="left" /></button>
              <span class="quiet" role="status">${t('trainer.page', { from: number(Math.min(offset.value + 1, found.total)), to: number(last), total: number(found.total) })}</span>
              <button type="button" class="icon-button" disabled=${last >= found.total} aria-label=${t('trainer.older')} onClick=${() => { offset.value += PAGE; }}><${Icon} name="right" /></button></nav>`}
    </section>`;
}
