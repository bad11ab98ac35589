/** The workbench: a query is asked, what came of it is corrected stage by stage, and saved. */
import { useEffect } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { navigate, route } from '../shell/router.js';
import { models, runnable } from '../shell/state.js';
import { attempt } from '../shell/notices.js';
import { Icon } from '../shell/icons.js';
import { clear, live, model, on, open, openIn, query, row, run, shown } from './bench.js';
import { examplesOf } from '../chat/skills.js';
import { skills, skillTitle, together } from './store.js';
import { LiveRun } from './live-run.js';
import { RowEditor } from './row-editor.js';
import { ManyQueries } from './many-queries.js';

const MOST = 2;

/** What one may ask a skill, in the person's language. @param {string} name @param {number} count */
function askable(name, count) {
  const skill = skills.value.get(name);
  return skill ? examplesOf(skill, count) : [];
}

/** Which skills are on for the next run. @param {{set: import('./store.js').SkillSet}} props */
function SkillsOn({ set }) {
  const clashes = (/** @type {string} */ name) => on.value.some((one) => one !== name && skills.value.get(one)?.domain === skills.value.get(name)?.domain);
  return html`<fieldset class="bench-on"><legend>${t('trainer.on')}</legend>
    ${set.skills.map((name) => { const checked = on.value.includes(name); return html`
      <label key=${name} class="bench-chip"><input type="checkbox" checked=${checked} disabled=${(!checked && (on.value.length >= MOST || clashes(name))) || (checked && on.value.length === 1)}
        onChange=${(event) => { on.value = event.currentTarget.checked ? [...on.value, name] : on.value.filter((one) => one !== name); }} /><span>${skillTitle(name)}</span></label>`; })}</fieldset>`;
}

/** @param {{set: import('./store.js').SkillSet}} props */
function Asking({ set }) {
  const many = useSignal(false);
  const known = (models.value ?? []).filter(runnable);
  const submit = (/** @type {Event} */ event) => { event.preventDefault(); run(set.id); };
  const hint = set.skills.map((name) => askable(name, 1)[0]).find(Boolean) ?? '';
  return html`
    <form class="bench-ask" onSubmit=${submit}>
      <label class="visually-hidden" for="bench-query">${t('trainer.query')}</label>
      <div class="bench-line"><textarea id="bench-query" rows="1" maxlength="4000" placeholder=${hint ? t('trainer.query_hint', { example: hint }) : t('trainer.query')} value=${query.value} onInput=${(event) => { query.value = event.currentTarget.value; }}
          onKeyDown=${(event) => { if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) { event.preventDefault(); run(set.id); } }}></textarea>
        <button class="button primary" disabled=${!query.value.trim() || Boolean(live.value)}>${t('trainer.run')}</button></div>
      <div class="bench-options"><${SkillsOn} set=${set} />
        <label class="check small"><input type="checkbox" checked=${shown.value} onChange=${(event) => { shown.value = event.currentTarget.checked; }} /><span>${t('trainer.shown')}</span></label>
        ${known.length > 1 && html`<label class="bench-model"><span class="visually-hidden">${t('trainer.model')}</span><select value=${model.value} onChange=${(event) => { model.value = event.currentTarget.value; }}><option value="">${t('trainer.model_default')}</option>${known.map((one) => html`<option key=${one.name} value=${one.name}>${one.title || one.name}</option>`)}</select></label>`}
        <button type="button" class="link small" onClick=${() => { many.value = true; }}>${t('trainer.many')}</button></div>
    </form>
    ${many.value && html`<${ManyQueries} set=${set} onClose=${() => { many.value = false; }} />`}`;
}

/** @param {{set: import('./store.js').SkillSet}} props */
function Nothing({ set }) {
  const examples = [...new Set(set.skills.flatMap((name) => askable(name, 2)))].slice(0, 5);
  return html`<div class="bench-none"><p class="lead">${t('trainer.bench_lead')}</p>
    <div class="bench-examples">${examples.map((one) => html`<button type="button" class="button small" key=${one} onClick=${() => { query.value = one; run(set.id); }}>${one}</button>`)}</div></div>`;
}

/** @param {{set: import('./store.js').SkillSet}} props */
export function Workbench({ set }) {
  const wanted = route.value.query.get('row');
  useEffect(() => { on.value = together(set.skills.filter((name) => on.value.includes(name)).concat(set.skills)); }, [set.id, set.skills.join(' '), skills.value.size]);
  useEffect(() => {
    if (wanted) attempt(async () => { try { await open(set.id, wanted); } catch (error) { navigate(`/trainer/${set.id}/bench`, { replace: true }); throw error; } });
    else if (openIn.value !== set.id) clear();
    else if (row.value) navigate(`/trainer/${set.id}/bench?row=${row.value.id}`, { replace: true }); // back from another view
  }, [set.id, wanted]);
  return html`
    <div class="bench">
      <${Asking} set=${set} />
      ${live.value ? html`<${LiveRun} run=${live.value} query=${query.value} />`
        : row.value && wanted ? html`<${RowEditor} key=${row.value.id} set=${set} row=${row.value} />`
          : wanted ? html`<div class="opening"><span class="spinner" aria-hidden="true"></span></div>` : html`<${Nothing} set=${set} />`}
    </div>`;
}
