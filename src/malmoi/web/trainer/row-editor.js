/** A row: every stage of it can be corrected where it stands; the server is told at once and names what does not fit. */
import { useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { language, t } from '../shell/i18n.js';
import { attempt, notify } from '../shell/notices.js';
import { moment, number } from '../shell/format.js';
import { Icon } from '../shell/icons.js';
import { MenuItem, Popover } from '../shell/popover.js';
import { navigate } from '../shell/router.js';
import { addStep, again, change, drop, dropStep, edit, editAt, fault, isEdited, originalAt, putBack, row as openRow, stages, stepAt, steps, tryAgain, undo } from './bench.js';
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
/** What a row is for: all its operations, in order. @param {{skill: string, operation: string, steps?: {skill: string, operation: string}[]}} row */
export const waysTitle = (row) => [...(row.steps ?? []), row].map((one) => wayTitle(one.skill, one.operation)).join(' → ');
/** @typedef {import('./bench.js').At} At */
const MOST_STEPS = 4;

/** What is wrong with a stage of a step, as if the step stood alone. @param {string} stage @param {At} at */
function faultOf(stage, at) {
  const place = at === null ? 'stages' : `stages.steps.${at}`;
  const found = fault.value;
  if (!found || (found.field !== `${place}.${stage}` && !found.field.startsWith(`${place}.${stage}.`))) return null;
  return { ...found, field: `stages${found.field.slice(place.length)}` };
}
/** @param {Row} row @param {keyof import('./store.js').Step} stage @param {At} at */
const differs = (row, stage, at) => Boolean(row.original) && !same(originalAt(row, at)?.[stage], stepAt(at)[stage]);

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

/** @param {{set: SkillSet, row: Row, at?: At}} props */
function RouteStage({ set, row, at = null }) {
  const { skill, operation } = stepAt(at);
  const id = at === null ? 'way' : `way-${at}`;
  const wrong = faultOf('operation', at) ?? faultOf('skill', at);
  const choose = (/** @type {string} */ way) => {
    const [name, chosen = ''] = way.split('/');
    if (!name) { editAt(set.id, at, { skill: '', operation: '', arguments: {}, result: '', said: '', asked: '', ...(at === null ? { clause: '', steps: [] } : {}) }); return; }
    const before = originalAt(row, at);
    const parameters = operationOf(name, chosen)?.parameters;
    const given = before && before.skill === name && before.operation === chosen ? before.arguments : keptBy(stepAt(at).arguments, parameters);
    // What another operation has brought is no answer of this one.
    editAt(set.id, at, { skill: name, operation: chosen, arguments: given, asked: '', ...(chosen === operation && name === skill ? {} : { result: '', said: '', answer: '' }) });
  };
  const names = set.skills.includes(skill) || !skill ? set.skills : [...set.skills, skill];
  return html`<${StageCard} number=${1} title=${t('trainer.stage_route')} state=${wrong ? 'wrong' : differs(row, 'operation', at) || differs(row, 'skill', at) ? 'changed' : 'done'}
      about=${skill ? html`<span class="tag plain">${skillTitle(skill)}</span>` : null}>
    <label class="visually-hidden" for=${id}>${t('trainer.way')}</label>
    <select id=${id} value=${skill ? `${skill}/${operation}` : '/'} aria-invalid=${wrong ? 'true' : undefined} onChange=${(event) => choose(event.currentTarget.value === '/' ? '' : event.currentTarget.value)}>
      <option value="/">${at === null ? t('trainer.no_skill') : t('trainer.choose_way')}</option>
      ${names.map((name) => html`<optgroup key=${name} label=${skillTitle(name)}>${(operations.value.get(name) ?? (name === skill ? [{ name: operation }] : [])).map((one) => html`<option key=${one.name} value=${`${name}/${one.name}`}>${operationTitle(name, one.name)}${one.effect === 'write' ? ` ✎` : ''}</option>`)}</optgroup>`)}
    </select>
    ${wrong && html`<p class="field-error" role="alert">${wrong.text}</p>`}
    ${at === null && !steps().length && html`<${Original} row=${row} />`}<//>`;
}

/** @param {{set: SkillSet, row: Row, at?: At}} props */
function ArgumentsStage({ set, row, at = null }) {
  const { skill, operation: name, arguments: value } = stepAt(at);
  const asked = at === null ? stages.value.asked : '';
  const operation = operationOf(skill, name);
  const asks = useSignal(Boolean(asked));
  const wrong = faultOf('arguments', at) ?? faultOf('asked', at);
  const changed = differs(row, 'arguments', at) || (at === null && Boolean(row.original) && !same(row.original?.stages.asked, asked));
  const isAsking = asks.value || Boolean(asked);
  const turn = (/** @type {boolean} */ wanted) => {
    asks.value = wanted;
    if (!wanted) edit(set.id, { asked: '' });
    else edit(set.id, { asked: row.original?.stages.asked || t('trainer.question_default'), result: '', said: '', answer: '' });
  };
  const sources = at === null && row.original && same(row.original.stages.operation, name) ? Object.fromEntries(Object.entries(row.original.sources).filter(([one]) => same(row.original?.stages.arguments[one], value[one]))) : {};
  const dated = Object.keys(value).some((one) => /^date/.test(operation?.parameters?.properties?.[one]?.format ?? ''));
  return html`<${StageCard} number=${2} title=${t('trainer.stage_arguments')} state=${wrong ? 'wrong' : changed ? 'changed' : 'done'}>
    ${operation ? html`<${ArgumentsForm} operation=${operation} value=${value} sources=${sources} fault=${faultOf('arguments', at)} mark=${at === null ? '' : `-${at}`} onChange=${(/** @type {Record<string, any>} */ given) => editAt(set.id, at, { arguments: given })} />`
      : operations.value.has(skill) ? html`<${ArgumentLines} value=${value} />` : html`<div class="opening small"><span class="spinner" aria-hidden="true"></span></div>`}
    ${at === null && (isAsking || operation?.parameters?.required?.length > 0) && html`<label class="check small"><input type="checkbox" checked=${isAsking} onChange=${(event) => turn(event.currentTarget.checked)} /><span>${t('trainer.asks')}<small>${t('trainer.asks_about')}</small></span></label>`}
    ${isAsking && html`<div class="bench-argument"><label for="question">${t('trainer.question')}</label><${TextBox} id="question" value=${asked} maxlength=${2000} invalid=${Boolean(faultOf('asked', at))} onDone=${(/** @type {string} */ text) => edit(set.id, { asked: text })} />
      ${faultOf('asked', at) && html`<small class="field-error" role="alert">${t('trainer.nothing_missing')}</small>`}</div>`}
    ${dated && !isAsking && html`<p class="quiet">${t('trainer.dated')}</p>`}<//>`;
}

/** The head of a step: what of the query it is for. @param {{set: SkillSet, row: Row, at: At, number: number}} props */
function StepHead({ set, row, at, number: place }) {
  const { clause = '' } = stepAt(at);
  const id = `clause-${place}`;
  return html`<li class="bench-step" aria-label=${t('trainer.step', { n: place })}><h2>${t('trainer.step', { n: place })}</h2>
    <label for=${id}>${t('trainer.clause')}</label>
    <${TextBox} id=${id} value=${clause} maxlength=${4000} placeholder=${at === null ? row.query : t('trainer.clause_none')} onDone=${(/** @type {string} */ text) => editAt(set.id, at, { clause: text.trim() })} />
    <button type="button" class="icon-button small" aria-label=${t('trainer.drop_step', { n: place })} title=${t('trainer.drop_step', { n: place })} onClick=${() => dropStep(set.id, at)}><${Icon} name="trash" /></button></li>`;
}

/** @param {{set: SkillSet, row: Row}} props */
function AnswerStage({ set, row }) {
  const { answer, skill } = stages.value;
  // What was only looked up is not told.
  const said = [...steps().filter((one) => one.clause), stages.value].map((one) => one.said).filter(Boolean).join('\n');
  return html`<${StageCard} number=${skill ? 4 : 2} title=${t('trainer.stage_answer')} state=${row.original && !same(row.original.stages.answer, answer) ? 'changed' : 'done'}
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
  const before = skill ? steps() : [];
  return html`
    <div class="bench-row" lang=${row.language}>
      <header class="bench-query"><p class="bench-said">${row.query}</p><span class="quiet" lang=${language.value}>${moment(row.said_at)}</span></header>
      ${row.turns.length > 0 && html`<details class="bench-turns"><summary>${t('trainer.turns', { n: number(row.turns.length) })}</summary>${row.turns.map((turn, place) => html`<p key=${place}><strong>${t(`trainer.by_${turn.role}`)}</strong> ${turn.content}</p>`)}</details>`}
      <ol class="bench-stages" lang=${language.value}>
        ${before.map((one, at) => html`<${StepHead} key=${`head-${at}`} set=${set} row=${now} at=${at} number=${at + 1} />
          <${RouteStage} key=${`way-${at}`} set=${set} row=${now} at=${at} />
          ${one.skill && html`<${ArgumentsStage} key=${`${at}.${one.skill}.${one.operation}`} set=${set} row=${now} at=${at} /><${ResultStage} key=${`result-${at}`} set=${set} row=${now} at=${at} />`}`)}
        ${before.length > 0 && html`<${StepHead} key="head" set=${set} row=${now} at=${null} number=${before.length + 1} />`}
        <${RouteStage} key="way" set=${set} row=${now} />
        ${skill && html`<${ArgumentsStage} key=${`${skill}.${stages.value.operation}`} set=${set} row=${now} />`}
        ${skill && !asked && html`<${ResultStage} set=${set} row=${now} />`}
        ${!asked && html`<${AnswerStage} set=${set} row=${now} />`}
      </ol>
      ${faultOf('steps', null)?.field === 'stages.steps' && html`<p class="field-error" role="alert">${fault.value?.text}</p>`}
      ${skill && before.length < MOST_STEPS && html`<p><button type="button" class="link small" onClick=${() => addStep(set.id)}>${t('trainer.add_step')}</button></p>`}
      <${SaveBar} set=${set} row=${now} />
      ${again.value && html`<${Again} row=${now} />`}
    </div>`;
}
