/** The skills that models may use: which there are, which are on, and what their operations and arguments are called. */
import { computed, signal } from '@preact/signals';
import { get, put, remove } from '../shell/api.js';
import { language, t } from '../shell/i18n.js';
import { day, moment, number } from '../shell/format.js';

/**
 * @typedef {{name: string, title: Record<string, string>, secret: boolean, required: boolean}} Need
 * @typedef {object} Skill
 * @property {string} name
 * @property {string} domain
 * @property {string} version
 * @property {string} description
 * @property {Record<string, {name: string, description: string}>} people
 * @property {string[]} examples
 * @property {string} source
 * @property {string} origin
 * @property {boolean} switched_on
 * @property {Need[]} needs
 * @property {boolean} has_credentials
 */
/** @typedef {{name: string, title: Record<string, string>, description: string, effect: 'read'|'write', parameters: any}} Operation */

const HANGUL = /[가-힣]/;
/** All skills; null: not asked for yet. */
export const skills = signal(/** @type {Skill[]|null} */ (null));
/** How many can be on together. */
export const most = signal(2);
/** What is wrong with skills that cannot be used; for admins. */
export const broken = signal(/** @type {Record<string, string>} */ ({}));
export const switchedOn = computed(() => (skills.value ?? []).filter((skill) => skill.switched_on));

/** A text in the person's language, or else in any. @param {Record<string, string>|null|undefined} texts */
export const inLanguage = (texts) => texts?.[language.value] ?? Object.values(texts ?? {})[0] ?? '';
/** @param {Skill} skill */
export const nameOf = (skill) => skill.people[language.value]?.name ?? Object.values(skill.people)[0]?.name ?? skill.name;
/** @param {Skill} skill */
export const aboutOf = (skill) => skill.people[language.value]?.description ?? Object.values(skill.people)[0]?.description ?? skill.description;
/** A skill's name for people, by its name for models. @param {string} name */
export function skillName(name) {
  const skill = skills.value?.find((item) => item.name === name);
  return skill ? nameOf(skill) : name;
}
/** What one may ask, in the person's language where there is something in it. @param {Skill} skill @param {number} count */
export function examplesOf(skill, count) {
  const own = skill.examples.filter((text) => HANGUL.test(text) === (language.value === 'ko'));
  return (own.length ? own : skill.examples).slice(0, count);
}
/** Whether a person has to give something before the skill can work. @param {Skill} skill */
export const lacks = (skill) => !skill.has_credentials && skill.needs.some((need) => need.required);

/** @type {Promise<void>|null} */
let loading = null;
/** Fetch the skills, once for all who ask at the same time. */
export function loadSkills() {
  loading ??= (async () => {
    const answer = await get('/skills');
    skills.value = answer.skills;
    most.value = answer.most;
    broken.value = answer.broken;
  })().finally(() => { loading = null; });
  return loading;
}

/**
 * Why a skill cannot be switched on now, in words; empty: it can.
 * @param {Skill} skill
 */
export function obstacle(skill) {
  if (skill.switched_on) return '';
  const rival = switchedOn.value.find((other) => other.domain === skill.domain);
  if (rival) return t('skills.same_domain', { name: nameOf(rival) });
  return enough();
}

/** Whether no further skill can be switched on, in words; empty: one can. */
export function enough() {
  if (switchedOn.value.length < most.value) return '';
  return t('skills.enough', { n: most.value, names: switchedOn.value.map(nameOf).join(', ') });
}

/** Switch a skill on or off for this account. @param {string} name @param {boolean} on */
export async function switchSkill(name, on) {
  const path = `/skills/${encodeURIComponent(name)}/switch`;
  try {
    const answer = await (on ? put(path, undefined) : remove(path));
    const names = new Set(answer.skills);
    skills.value = (skills.value ?? []).map((skill) => ({ ...skill, switched_on: names.has(skill.name) }));
  } catch (error) {
    await loadSkills().catch(() => {}); // another tab may have switched: show what holds
    throw error;
  }
}

/** The operations of skills, once they have been asked for. */
const operations = signal(/** @type {Map<string, Operation[]>} */ (new Map()));
/** @type {Set<string>} */
const asked = new Set();

/** The operations of a skill; none until the server has answered. @param {string} name @returns {Operation[]} */
export function operationsOf(name) {
  const known = operations.value.get(name);
  if (!known && name && !asked.has(name)) {
    asked.add(name);
    // A skill may be gone or unable to answer: then its own words stand in for its titles.
    get(`/skills/${encodeURIComponent(name)}`).then((detail) => {
      operations.value = new Map(operations.value).set(name, detail.operations);
    }, () => {});
  }
  return known ?? [];
}

/** Forget what is known of a skill's operations, as after a change of it. @param {string} name */
export function forgetOperations(name) {
  asked.delete(name);
  const left = new Map(operations.value);
  left.delete(name);
  operations.value = left;
}

/** What an operation is called. @param {string} skill @param {string} name @param {string} [fallback] */
export function operationTitle(skill, name, fallback = '') {
  const known = operationsOf(skill).find((operation) => operation.name === name);
  return inLanguage(known?.title) || fallback || name.replaceAll('_', ' ');
}

/** @param {string} text */
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
const DATE = /^\d{4}-\d{2}-\d{2}$/;
const MOMENT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2})?$/; // by the person's own clock

/** @param {any} value @param {any} schema @returns {string} */
function valueInWords(value, schema) {
  if (Array.isArray(value)) return value.map((one) => valueInWords(one, schema?.items)).join(', ');
  if (typeof value === 'boolean') return value ? t('skills.yes') : t('skills.no');
  if (typeof value === 'number') return schema?.['x-malmoi-unit'] || Math.abs(value) >= 10_000 ? number(value, 6) : String(value);
  if (value === null || value === undefined) return '';
  if (typeof value === 'object') return JSON.stringify(value);
  const text = String(value);
  const words = schema?.['x-malmoi-words']?.[text];
  // The first word names a value; the others are ways to say it.
  if (Array.isArray(words)) return capital((language.value === 'ko' ? words[0] : words.find((word) => !HANGUL.test(word))) ?? text.replaceAll('_', ' '));
  if (DATE.test(text) && !Number.isNaN(Date.parse(text))) return day(text);
  if (MOMENT.test(text) && !Number.isNaN(Date.parse(text))) return moment(text);
  return text;
}

/** What people call an argument: "the city" in a sentence is "City" before a value. @param {any} schema @param {string} name */
const labelOf = (schema, name) => capital(inLanguage(schema?.['x-malmoi-title']).replace(/^the /, '') || name.replaceAll('_', ' '));

/**
 * Arguments as people call them.
 * @param {string} skill @param {string} operation @param {Record<string, any>} given
 * @returns {{name: string, label: string, text: string}[]}
 */
export function argumentsInWords(skill, operation, given) {
  const properties = operationsOf(skill).find((one) => one.name === operation)?.parameters?.properties ?? {};
  return Object.entries(given ?? {}).filter(([, value]) => value !== '' && value !== null).map(([name, value]) => ({
    name,
    label: labelOf(properties[name], name),
    text: valueInWords(value, properties[name]),
  }));
}
