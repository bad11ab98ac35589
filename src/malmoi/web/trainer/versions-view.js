/** Versions of a set: frozen, compared, applied, measured. */
import { useEffect } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { navigate, route } from '../shell/router.js';
import { get, post } from '../shell/api.js';
import { attempt, notify } from '../shell/notices.js';
import { moment, number } from '../shell/format.js';
import { MenuItem, Popover } from '../shell/popover.js';
import { Dialog } from '../shell/dialog.js';
import { Icon } from '../shell/icons.js';
import { apply, path, refresh } from './store.js';
import { exportRows } from './rows-view.js';
import { waysTitle } from './row-editor.js';
import { Measures } from './measures-view.js';

/** @typedef {{number: number, content_hash: string, train: number, test: number, created_at: string}} Version */

/** The arguments of all calls of a row. @param {import('./store.js').Stages} stages */
const given = (stages) => [...(stages.steps ?? []), stages].map((one) => JSON.stringify(one.arguments)).join(' ');
/** One row in a list of differences. @param {{row: import('./store.js').Row}} props */
const RowLine = ({ row }) => html`<span>${row.query}</span><small class="quiet">${waysTitle(row.stages)} · ${t(`trainer.part_${row.part}`)}</small>`;

/** What has changed since a version. @param {{set: import('./store.js').SkillSet, versions: Version[], since: number, onClose: () => void}} props */
function Differences({ set, versions, since, onClose }) {
  const until = useSignal('');
  const found = useSignal(/** @type {any} */ (null));
  useEffect(() => { found.value = null; attempt(async () => { found.value = await get(path(set.id, `/changes?since=${since}${until.value ? `&until=${until.value}` : ''}`)); }); }, [until.value]);
  const told = found.value;
  const part = (/** @type {string} */ kind, /** @type {any[]} */ rows, /** @type {(row: any) => any} */ line) => rows.length > 0 && html`<h3 class=${`diff-${kind}`}>${t(`trainer.diff_${kind}`, { n: number(rows.length) })}</h3><ul class="diff-list">${rows.map((row, place) => html`<li key=${place}>${line(row)}</li>`)}</ul>`;
  return html`<${Dialog} title=${t('trainer.diff_title', { n: since })} onClose=${onClose} className="wide">
    <label class="diff-until">${t('trainer.diff_until')}<select value=${until.value} onChange=${(event) => { until.value = event.currentTarget.value; }}><option value="">${t('trainer.diff_now')}</option>${versions.filter((one) => one.number !== since).map((one) => html`<option key=${one.number} value=${one.number}>${t('trainer.version', { n: one.number })}</option>`)}</select></label>
    ${!told ? html`<div class="opening small"><span class="spinner" aria-hidden="true"></span></div>` : html`
      ${told.about.length > 0 && html`<p>${t('trainer.diff_about', { names: told.about.map((/** @type {string} */ one) => t(`trainer.field_${one}`)).join(', ') })}</p>`}
      ${part('added', told.added, (row) => html`<${RowLine} row=${row} />`)}
      ${part('changed', told.changed, ({ before, after }) => html`<span>${after.query}</span><small class="quiet"><s>${waysTitle(before.stages)} ${given(before.stages)}</s> → ${waysTitle(after.stages)} ${given(after.stages)}</small>`)}
      ${part('removed', told.removed, (row) => html`<${RowLine} row=${row} />`)}
      ${!told.about.length && !told.added.length && !told.changed.length && !told.removed.length && html`<p class="quiet">${t('trainer.diff_none')}</p>`}`}
    <//>`;
}

/** @param {{set: import('./store.js').SkillSet}} props */
export function VersionsView({ set }) {
  const versions = useSignal(/** @type {Version[]|null} */ (null));
  const comparing = useSignal(0);
  const load = () => attempt(async () => { versions.value = (await get(path(set.id, '/versions'))).versions; });
  useEffect(() => { load(); }, [set.id]);
  const known = versions.value;
  if (!known) return html`<div class="opening"><span class="spinner" aria-hidden="true"></span></div>`;
  const open = known.find((one) => String(one.number) === route.value.query.get('v')) ?? known[0] ?? null;
  const address = (/** @type {number} */ n) => `/trainer/${set.id}/versions?v=${n}`;
  const freeze = () => attempt(async () => {
    const before = known.length;
    const made = await post(path(set.id, '/versions'));
    await Promise.all([load(), refresh(set.id)]);
    navigate(address(made.number), { replace: true });
    notify((versions.value?.length === before ? t('trainer.frozen_already', { n: made.number }) : t('trainer.frozen', { n: made.number })));
  });
  return html`
    <section class="trainer-versions" aria-label=${t('trainer.tab_versions')}>
      <div class="versions-side">
        <div class="versions-now"><p>${t('trainer.saved_now', { train: number(set.train), test: number(set.test) })}</p><button type="button" class="button primary small" disabled=${!(set.train + set.test)} onClick=${freeze}>${t('trainer.freeze')}</button></div>
        ${known.length > 0 && html`<ol class="versions-list" reversed>${known.map((one) => html`<li key=${one.number} class=${one.number === open?.number ? 'open' : ''}>
          <a href=${address(one.number)} aria-current=${one.number === open?.number ? 'true' : undefined}><strong>${t('trainer.version', { n: one.number })}</strong>${set.applied && set.applied_version === one.number ? html` <span class="tag">${t('trainer.in_use')}</span>` : ''}
            <small class="quiet">${t('trainer.counts', { train: number(one.train), test: number(one.test) })} · ${moment(one.created_at)}</small></a>
          <${Popover} menu align="end" label=${t('trainer.version_menu', { n: one.number })} className="icon-button small" button=${html`<${Icon} name="more" />`}>${(shut) => html`
            <${MenuItem} onClick=${() => { shut(); comparing.value = one.number; }}>${t('trainer.compare')}<//>
            ${set.applied && set.applied_version === one.number ? html`<${MenuItem} onClick=${() => { shut(); attempt(async () => { await apply(set.id, false); notify(t('trainer.unapplied')); }); }}>${t('trainer.unapply')}<//>`
              : html`<${MenuItem} onClick=${() => { shut(); attempt(async () => { await apply(set.id, one.number); notify(t('trainer.applied')); }); }}>${t('trainer.apply_this')}<//>`}
            <${MenuItem} onClick=${() => { shut(); attempt(() => exportRows(set, 'jsonl', 'train', one.number)); }}>${t('trainer.export')} · JSONL<//>
            <${MenuItem} onClick=${() => { shut(); attempt(() => exportRows(set, 'csv', 'train', one.number)); }}>${t('trainer.export')} · CSV<//>`}<//></li>`)}</ol>`}
      </div>
      ${open ? html`<${Measures} key=${open.number} set=${set} version=${open} />` : html`<div class="trainer-empty"><p>${t('trainer.no_versions')}</p></div>`}
      ${comparing.value > 0 && html`<${Differences} set=${set} versions=${known} since=${comparing.value} onClose=${() => { comparing.value = 0; }} />`}
    </section>`;
}
