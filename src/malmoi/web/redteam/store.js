/** What the whole workbench knows: the grid, who is at work, the lists, the progress. */
import { computed, signal } from '@preact/signals';
import { get, patch } from '../shell/api.js';

export const grid = signal(/** @type {any} */ (null));
export const helpLines = signal(/** @type {any[]} */ ([]));
export const me = signal(/** @type {any} */ (null));
export const lists = signal(/** @type {{mine: any[], others: any[]}|null} */ (null));
export const progress = signal(/** @type {any} */ (null));

export const topics = computed(() => new Map((grid.value?.topics ?? []).map((/** @type {any} */ topic) => [topic.id, topic])));
export const strategies = computed(() => new Map((grid.value?.strategies ?? []).map((/** @type {any} */ item) => [item.id, item])));

/** Load what does not change while one works. */
export async function loadWorkbench() {
  const [found, annotator] = await Promise.all([get('/redteam/grid'), get('/redteam/me')]);
  grid.value = found.grid;
  helpLines.value = found.help_lines;
  me.value = annotator;
}

export async function loadLists() {
  [lists.value, progress.value] = await Promise.all([get('/redteam/sessions'), get('/redteam/progress')]);
}

/** @param {{blur?: boolean, break_minutes?: number, warned?: true}} changes */
export async function changeMe(changes) {
  me.value = { ...me.value, ...changes };
  me.value = await patch('/redteam/me', changes);
}
