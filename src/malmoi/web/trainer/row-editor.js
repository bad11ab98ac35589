/** A row: every stage of it can be corrected where it stands; the server is told at once and names what does not fit. */
import { useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { language, t } from '../shell/i18n.js';
import { attempt, notify } from '../shell/notices.js';
import { moment, number } from '../shell/format.js';
import { Icon } from '../shell/icons.js';
import { MenuItem, Popover } from '../shell/popover.js';
import { navigate } from '../shell/router.js';
import { again, change, drop, edit, fault, isEdited, putBack, row as openRow, stages, tryAgain, undo } from './bench.js';
import { keptBy, same } from './schema.js';
import { operationOf, operationTitle, operations, skillTitle } from './store.js';
import { ArgumentsForm } from './arguments-form.js';
import { ArgumentLines } from './live-run.js';
import { Again } from './again-view.js';
import { ResultStage } from './result-stage.js';
import { StageCard } from './stage-card.js';
import { TextBox } from './text-box.js';

/** @typedef {import('./store.js').SkillSet} SkillSet @typedef {import('./store.js').Row} Row */

/** @param {string} skill @param {string} operation */
export const wayTitle = (skill, operation) => (skill ? `${skillTitle(skill)} · ${operationTitle(skill, operation)}` : t('trainer.no_skill'));
/** What is wrong with a stage. @param {string} stage */
const faultOf = (stage) => (fault.value && (fault.value.field === `stages.${stage}` || fault.value.field.startsWith(`stages.${stage}.`)) ? fault.value : null);
/** @param {Row} row @param {keyof import('./store.js').Stages} stage */
const differs = (row, stage) => Boolean(row.original) && !same(row.original?.stages[stage], stages.value[stage]);

/** What the run had chosen, and how sure it was. @param {{row: Row}} props */
function Original({ row }) {
  const { original } = row;
  if (!original) return null;
  const { skill, operation } = original.stages;
  const changed = skill !== stages.value.skill || operation !== stages.value.operation;
  return html`<details class="bench-routing"><summary>${changed ? html`<s>${wayTitle(skill, operation)}</s> <span class="tag plain">${t('trainer.corrected')}</span>` : t('trainer.chosen_by_run')}</summary>
    <ol>${original.choices.slice(0, 4).map((one) => html`<li key=${`${one.skill}.${one.operation}`}><span>${wayTitle(one.skill, one.operation)}</span>
      <meter min="0" max="1" value=${one.score * one.share} aria-label=${wayTitle(one.skill, one.operation)}></meter><span class="quiet">${number(100 * one.score * one.share)} %</span></li>`)}</ol></details>`;
}

/** @param {{set: SkillSet, row: Row}} props */
function RouteStage({ set, row }) {
  const { skill, operation } = stages.value;
  const wrong = faultOf('operation') ?? faultOf('skill');
  const choose = (/** @type {string} */ way) => {
    const [name, chosen = ''] = way.split('/');
    if (!name) { edit(set.id, { skill: '', operation: '', arguments: {}, result: '', said: '', asked: '' }); return; }
    const before = row.original?.stages;
    const parameters = operationOf(name, chosen)?.parameters;
    const given = before && before.skill === name && before.operation === chosen ? before.arguments : keptBy(stages.value.arguments, parameters);
    // What another operation has brought is no answer of this one.
    edit(set.id, { skill: name, operation: chosen, arguments: given, asked: '', ...(chosen === operation && name === skill ? {} : { result: '', said: '', answer: '' }) });
  };
  const names = set.skills.includes(skill) || !skill ? set.skills : [...set.skills, skill];
  return html`<${StageCard} number=${1} title=${t('trainer.stage_route')} state=${wrong ? 'wrong' : differs(row, 'operation') || differs(row, 'skill') ? 'changed' : 'done'}
      about=${skill ? html`<span class="tag plain">${skillTitle(skill)}</span>` : null}>
    <label class="visually-hidden" for="way">${t('trainer.way')}</label>
    <select id="way" value=${skill ? `${skill}/${operation}` : '/'} aria-invalid=${wrong ? 'true' : undefined} onChange=${(event) => choose(event.currentTarget.value === '/' ? '' : event.currentTarget.value)}>
      <option value="/">${t('trainer.no_skill')}</option>
      ${names.map((name) => html`<optgroup key=${name} label=${skillTitle(name)}>${(operations.value.get(name) ?? (name === skill ? [{ name: operation }] : [])).map((one) => html`<option key=${one.name} value=${`${name}/${one.name}`}>${operationTitle(name, one.name)}${one.effect === 'write' ? ` ✎` : ''}</option>`)}</optgroup>`)}
    </select>
    ${wrong && html`<p class="field-error" role="alert">${wrong.text}</p>`}
    <${Original} row=${row} /><//>`;
}

/** @param {{set: SkillSet, row: Row}} props */
function ArgumentsStage({ set, row }) {
  const { skill, operation: name, arguments: value, asked } = stages.value;
  const operation = operationOf(skill, name);
  const asks = useSignal(Boolean(asked));
  const wrong = faultOf('arguments') ?? faultOf('asked');
  const changed = differs(row, 'arguments') || differs(row, 'asked');
  const isAsking = asks.value || Boolean(asked);
  const turn = (/** @type {boolean} */ wanted) => {
    asks.value = wanted;
    if (!wanted) edit(set.id, { asked: '' });
    else edit(set.id, { asked: row.original?.stages.asked || t('trainer.question_default'), result: '', said: '', answer: '' });
  };
  const sources = row.original && same(row.original.stages.operation, name) ? Object.fromEntries(Object.entries(row.original.sources).filter(([one]) => same(row.original?.stages.arguments[one], value[one]))) : {};
  const dated = Object.keys(value).some((one) => /^date/.test(operation?.parameters?.properties?.[one]?.format ?? ''));
  return html`<${StageCard} number=${2} title=${t('trainer.stage_arguments')} state=${wrong ? 'wrong' : changed ? 'changed' : 'done'}>
    ${operation ? html`<${ArgumentsForm} operation=${operation} value=${value} sources=${sources} fault=${faultOf('arguments')} onChange=${(/** @type {Record<string, any>} */ given) => edit(set.id, { arguments: given })} />`
      : operations.value.has(skill) ? html`<${ArgumentLines} value=${value} />` : html`<div class="opening small"><span class="spinner" aria-hidden="true"></span></div>`}
    ${(isAsking || operation?.parameters?.required?.length > 0) && html`<label class="check small"><input type="checkbox" checked=${isAsking} onChange=${(event) => turn(event.currentTarget.checked)} /><span>${t('trainer.asks')}<small>${t('trainer.asks_about')}</small></span></label>`}
    ${isAsking && html`<div class="bench-argument"><label for="question">${t('trainer.question')}</label><${TextBox} id="question" value=${asked} maxlength=${2000} invalid=${Boolean(faultOf('asked'))} onDone=${(/** @type {string} */ text) => edit(set.id, { asked: text })} />
      ${faultOf('asked') && html`<small class="field-error" role="alert">${t('trainer.nothing_missing')}</small>`}</div>`}
    ${dated && !isAsking && html`<p class="quiet">${t('trainer.dated')}</p>`}<//>`;
}

/** @param {{set: SkillSet, row: Row}} props */
function AnswerStage({ set, row }) {
  const { answer, said, skill } = stages.value;
  return html`<${StageCard} number=${skill ? 4 : 2} title=${t('trainer.stage_answer')} state=${differs(row, 'answer') ? 'changed' : 'done'}
      about=${said && said !== answer ? html`<button type="button" class="link small" onClick=${() => edit(set.id, { answer: said })}>${t('trainer.use_said')}</button>` : null}>
    <${TextBox} lines=${3} label=${t('trainer.stage_answer')} value=${answer} maxlength=${20000} placeholder=${t('trainer.answer_hint')} onDone=${(/** @type {string} */ text) => edit(set.id, { answer: text })} /><//>`;
}

/** @param {{set: SkillSet, row: Row}} props */
function SaveBar({ set, row }) {
  const part = useSignal(row.part);
  const saved = row.status === 'saved';
  const save = () => attempt(() => change(set.id, { status: 'saved', part: part.value }));
  const remove = () => attempt(async () => {
    await drop(set.id, row);
    navigate(`/trainer/${set.id}/bench`, { replace: true });
    notify(t('trainer.deleted_row'), { action: { label: t('action.undo'), run: () => attempt(async () => { const made = await putBack(set.id, row); navigate(`/trainer/${set.id}/bench?row=${made.id}`); }) } });
  });
  const state = fault.value ? t('trainer.state_wrong') : isEdited.value ? t('trainer.state_sending') : saved ? (row.part === 'train' ? t('trainer.state_train') : t('trainer.state_test')) : t('trainer.state_draft');
  return html`<footer class="bench-save">
    <p class=${`bench-state ${fault.value ? 'wrong' : ''}`} role="status">${state}</p>
    <button type="button" class="icon-button" disabled=${!row.undos && !isEdited.value} aria-label=${t('action.undo')} title=${t('action.undo')} onClick=${() => attempt(() => undo(set.id))}><${Icon} name="undo" /></button>
    <${Popover} menu align="end" label=${t('trainer.row_menu')} button=${html`<${Icon} name="more" />`}>${(shut) => html`
      ${saved && html`<${MenuItem} icon=${html`<${Icon} name="edit" />`} onClick=${() => { shut(); attempt(() => change(set.id, { status: 'draft' })); }}>${t('trainer.make_draft')}<//>`}
      <${MenuItem} danger icon=${html`<${Icon} name="trash" />`} onClick=${() => { shut(); remove(); }}>${t('trainer.delete_row')}<//>`}<//>
    <fieldset class="segments"><legend class="visually-hidden">${t('trainer.part')}</legend>
      ${/** @type {const} */ (['train', 'test']).map((one) => html`<label key=${one}><input type="radio" name="part" checked=${part.value === one} onChange=${() => { part.value = one; if (saved) attempt(() => change(set.id, { part: one })); }} /><span>${t(`trainer.part_${one}`)}</span></label>`)}</fieldset>
    ${(!saved || isEdited.value) && html`<button type="button" class="button primary" onClick=${save}>${t('action.save')}</button>`}
    ${saved && !isEdited.value && html`<button type="button" class="button primary" disabled=${Boolean(again.value && !again.value.done)} onClick=${() => tryAgain(set.id)}><${Icon} name="again" />${t('trainer.again')}</button>`}
  </footer>`;
}

/** @param {{set: SkillSet, row: Row}} props */
export function RowEditor({ set, row }) {
  const { skill, asked } = stages.value;
  const now = openRow.value ?? row;
  return html`
    <div class="bench-row" lang=${row.language}>
      <header class="bench-query"><p class="bench-said">${row.query}</p><span class="quiet" lang=${language.value}>${moment(row.said_at)}</span></header>
      ${row.turns.length > 0 && html`<details class="bench-turns"><summary>${t('trainer.turns', { n: number(row.turns.length) })}</summary>${row.turns.map((turn, place) => html`<p key=${place}><strong>${t(`trainer.by_${turn.role}`)}</strong> ${turn.content}</p>`)}</details>`}
      <ol class="bench-stages" lang=${language.value}>
        <${RouteStage} set=${set} row=${now} />
        ${skill && html`<${ArgumentsStage} key=${`${skill}.${stages.value.operation}`} set=${set} row=${now} />`}
        ${skill && !asked && html`<${ResultStage} set=${set} row=${now} />`}
        ${!asked && html`<${AnswerStage} set=${set} row=${now} />`}
      </ol>
      <${SaveBar} set=${set} row=${now} />
      ${again.value && html`<${Again} row=${now} />`}
    </div>`;
}
