/** What the page of users knows: the collections, and who is looked at. Nobody's name goes into the address. */
import { computed, signal } from '@preact/signals';
import { get, post } from '../shell/api.js';

/**
 * @typedef {{name: string, count: number, model: string, size: number, watermark: number|null, campaigns: string[]}} Collection
 * @typedef {{key: string, events: number, last: number|null, history: string[], neighbours: {key: string, score: number}[]}} Person
 * @typedef {{item: string, service: string, text: string, score: number, why: {event: number, text: string, drop: number}[]}} Item
 */

export const overview = signal(/** @type {{models: string[], collections: Collection[]}|null} */ (null));
const chosen = signal('');
/** The collection that is looked at. */
export const collection = computed(() => overview.value?.collections.find((item) => item.name === chosen.value)
  ?? overview.value?.collections[0] ?? null);
/** The user who is looked at. */
export const person = signal(/** @type {Person|null} */ (null));
/** The users whose like is wanted, one a line. */
export const seeds = signal('');

/** The address of a collection's route. @param {string} rest */
export const path = (rest) => `/users/collections/${encodeURIComponent(collection.value?.name ?? '')}/${rest}`;

export async function loadOverview() {
  overview.value = await get('/users/overview');
}

/** @param {string} name */
export function choose(name) {
  chosen.value = name;
  person.value = null;
  seeds.value = '';
}

/** Look at somebody. @param {string} key */
export async function look(key) {
  person.value = await get(path(`person?key=${encodeURIComponent(key)}`));
}

/** @param {string[]} history @param {string[]|null} services @returns {Promise<Item[]>} */
export async function recommend(history, services = null) {
  return (await post('/users/recommend', { history, services })).items;
}

/** Put somebody among those whose like is wanted. @param {string} key */
export function addSeed(key) {
  const lines = seeds.value.split('\n').map((line) => line.trim()).filter(Boolean);
  seeds.value = [...new Set([...lines, key])].join('\n');
}
