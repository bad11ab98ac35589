/** What the page of the trainer knows: the skill sets, the skills they are made of, and what these can do. */
import { computed, signal } from '@preact/signals';
import { get, patch, post, put, remove } from '../shell/api.js';
import { language } from '../shell/i18n.js';
import { navigate, route } from '../shell/router.js';

/**
 * @typedef {{id: string, name: string, description: string, tone: string, format: string, skills: string[], drafts: number,
 *   train: number, test: number, versions: number, applied: boolean, applied_version: number|null}} SkillSet
 * @typedef {{name: string, domain: string, people: Record<string, {name: string, description: string}>, examples: string[]}} Skill
 * @typedef {{name: string, title: Record<string, string>, description: string, effect: 'read'|'write', parameters: any}} Operation
 * @typedef {{skill: string, operation: string, arguments: Record<string, any>, result: string, said: string, answer: string,
 *   asked: string, clause?: string, steps?: Step[]}} Stages
 * @typedef {{clause?: string, skill: string, operation: string, arguments: Record<string, any>, result: string, said: string}} Step A call before the row's own.
 * @typedef {{id: string, query: string, turns: {role: string, content: string}[], language: string, zone: string, said_at: string,
 *   part: 'train'|'test', status: 'draft'|'saved', stages: Stages, undos: number, run_id: string|null,
 *   original: {stages: Stages, score: number|null, choices: any[], sources: Record<string, string>, reason: string}|null}} Row
 */

export const sets = signal(/** @type {SkillSet[]|null} */ (null));
export const skills = signal(/** @type {Map<string, Skill>} */ (new Map()));
/** What can be done with the skills that somebody has looked at. */
export const operations = signal(/** @type {Map<string, Operation[]>} */ (new Map()));
/** The set that is open: that of the address, else the first one. */
export const current = computed(() => sets.value?.find((item) => item.id === route.value.id) ?? (route.value.id ? null : sets.value?.[0] ?? null));

/** @param {string} id @param {string} [rest] */
export const path = (id, rest = '') => `/skills/sets/${encodeURIComponent(id)}${rest}`;

export async function loadSets() {
  const [found, known] = await Promise.all([get('/skills/sets'), skills.value.size ? null : get('/skills')]);
  if (known) skills.value = new Map(known.skills.map((/** @type {Skill} */ one) => [one.name, one]));
  sets.value = found.sets;
}

/** Look up what skills can do; those that cannot be opened are left out. @param {string[]} names */
export async function loadOperations(names) {
  const wanted = names.filter((name) => !operations.value.has(name) && skills.value.has(name));
  const found = await Promise.allSettled(wanted.map((name) => get(`/skills/${encodeURIComponent(name)}`)));
  const known = new Map(operations.value);
  found.forEach((one, place) => { if (one.status === 'fulfilled') known.set(wanted[place], one.value.operations); });
  operations.value = known;
  const failed = found.find((one) => one.status === 'rejected');
  if (failed) throw /** @type {PromiseRejectedResult} */ (failed).reason;
}

/** @param {string} name */
export const skillTitle = (name) => skills.value.get(name)?.people[language.value]?.name ?? skills.value.get(name)?.people.ko?.name ?? name;
/** The first skills that can be on together: two, of two domains. @param {string[]} names */
export function together(names) {
  const found = /** @type {string[]} */ ([]);
  for (const name of names) {
    const domain = skills.value.get(name)?.domain;
    if (domain && found.length < 2 && !found.some((one) => skills.value.get(one)?.domain === domain)) found.push(name);
  }
  return found;
}
/** @param {string} skill @param {string} name @returns {Operation|null} */
export const operationOf = (skill, name) => operations.value.get(skill)?.find((one) => one.name === name) ?? null;
/** @param {string} skill @param {string} name */
export function operationTitle(skill, name) {
  const title = operationOf(skill, name)?.title ?? {};
  return title[language.value] || title.ko || title.en || name;
}

/** @param {SkillSet} item */
const replaceSet = (item) => { sets.value = (sets.value ?? []).map((one) => (one.id === item.id ? item : { ...one, ...(item.applied ? { applied: false } : {}) })); };

/** Counts of a set have changed. @param {string} id */
export async function refresh(id) {
  replaceSet(await get(path(id)));
}

/** @param {Record<string, unknown>} body */
export async function createSet(body) {
  const made = await post('/skills/sets', body);
  await loadSets();
  navigate(`/trainer/${made.id}`);
}

/** @param {string} id @param {Record<string, unknown>} body */
export async function changeSet(id, body) {
  replaceSet(await patch(path(id), body));
}

/** @param {string} id */
export async function deleteSet(id) {
  await remove(path(id));
  await loadSets();
  navigate('/trainer', { replace: true });
}

/** Show a set's rows to the account's runs, or (`false`) do not. @param {string} id @param {number|null|false} version */
export async function apply(id, version) {
  if (version === false) {
    await remove(path(id, '/apply'));
    await refresh(id);
  } else replaceSet(await put(path(id, '/apply'), version === null ? {} : { version }));
}
