/** Every call that skills made, were refused or denied, with its arguments covered; one's own lead to their trace. */
import { useEffect } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { get } from '../shell/api.js';
import { moment, number } from '../shell/format.js';
import { isAdmin, session } from '../shell/state.js';
import { attempt } from '../shell/notices.js';
import { Dialog } from '../shell/dialog.js';
import { loadSkills, operationTitle, skillName, skills } from '../chat/skills.js';
import { runOf, storyOf } from '../chat/runs.js';
import { Arguments, Stages } from '../chat/skill-trace.js';

/**
 * @typedef {object} Row
 * @property {string} id
 * @property {string} at
 * @property {string} account_id
 * @property {string|null} key_id
 * @property {string} run_id
 * @property {string} skill
 * @property {string} operation
 * @property {'read'|'write'} effect
 * @property {Record<string, any>} arguments
 * @property {string} status
 * @property {number} milliseconds
 */

const PAGE = 50;
const KNOWN = new Set(['ok', 'refused', 'denied', 'aborted', 'skill_unavailable']);

/** @param {string} status */
const statusOf = (status) => (KNOWN.has(status) ? t(`activity.status_${status}`) : status.replaceAll('_', ' '));

/** @param {{id: string, onClose: () => void}} props */
function TraceDialog({ id, onClose }) {
  const run = runOf(id).value;
  return html`<${Dialog} title=${t('activity.trace')} onClose=${onClose} className="wide">
    ${run.status === 'loading' ? html`<div class="opening"><span class="spinner" aria-hidden="true"></span></div>`
      : run.status === 'failed' ? html`<p>${t('skills.trace_lost')}</p>` : html`<${Stages} story=${storyOf(run.stages)} waits=${false} />`}
  <//>`;
}

export function Activity() {
  const rows = useSignal(/** @type {Row[]|null} */ (null));
  const hasMore = useSignal(false);
  const everybody = useSignal(false);
  const opened = useSignal(/** @type {string|null} */ (null));
  /** @param {string} [before] */
  const load = (before) => attempt(async () => {
    const more = (await get(`/skills/audit?limit=${PAGE}&everybody=${everybody.value}${before ? `&before=${encodeURIComponent(before)}` : ''}`)).rows;
    rows.value = before ? [...(rows.value ?? []), ...more] : more;
    hasMore.value = more.length === PAGE;
  });
  useEffect(() => { if (!skills.value) attempt(loadSkills); load(); }, []);
  const mine = session.value?.account?.id;
  return html`
    <p class="quiet">${t('activity.lead')}</p>
    ${isAdmin.value && html`<label class="check"><input type="checkbox" checked=${everybody.value} onChange=${(event) => { everybody.value = event.currentTarget.checked; load(); }} />${t('activity.everybody')}</label>`}
    ${rows.value?.length === 0 && html`<p class="quiet">${t('activity.none')}</p>`}
    ${(rows.value?.length ?? 0) > 0 && html`<div class="table-frame" tabindex="0" role="region" aria-label=${t('settings.activity')}><table class="activity-table">
      <thead><tr><th scope="col">${t('activity.time')}</th><th scope="col">${t('activity.what')}</th><th scope="col">${t('activity.arguments')}</th><th scope="col">${t('activity.status')}</th></tr></thead>
      <tbody>${rows.value?.map((row) => html`<tr key=${row.id}>
        <td><time datetime=${row.at}>${moment(row.at)}</time>${row.account_id !== mine && html`<br /><code>${row.account_id}</code>`}${row.key_id && html`<br /><span class="quiet">${t('activity.by_key')}</span>`}</td>
        <td>${skillName(row.skill)} › ${operationTitle(row.skill, row.operation)}<br /><span class=${`tag ${row.effect === 'write' ? 'writes' : 'plain'}`}>${row.effect === 'write' ? t('skills.writes') : t('skills.reads')}</span></td>
        <td><${Arguments} skill=${row.skill} operation=${row.operation} given=${row.arguments} /></td>
        <td><span class=${row.status === 'ok' ? 'status-ok' : row.status === 'denied' ? '' : 'status-bad'}>${statusOf(row.status)}</span> ${row.milliseconds > 0 && html`<span class="quiet">${t('skills.took', { n: number(row.milliseconds / 1000, 2) })}</span>`}
          ${row.account_id === mine && html`<br /><button type="button" class="link" onClick=${() => { opened.value = row.run_id; }}>${t('activity.open')}</button>`}</td></tr>`)}</tbody></table></div>`}
    ${hasMore.value && html`<button type="button" class="button small" onClick=${() => load(rows.value?.at(-1)?.id)}>${t('activity.more')}</button>`}
    ${opened.value && html`<${TraceDialog} id=${opened.value} onClose=${() => { opened.value = null; }} />`}`;
}
