/**
 * The interface's words, in Korean and English: flat catalogues under locale/, loaded one at a time.
 * `t` reads a signal, so every component that shows words follows a change of language by itself.
 */
import { signal } from '@preact/signals';
import { particleOf } from './particles.js';

/** @typedef {'ko'|'en'} Language */

/** @type {import('@preact/signals').Signal<Language>} */
export const language = signal('ko');
const words = signal({});

/**
 * The language to begin with: the account's choice, else the browser's, else Korean.
 * @param {string|null|undefined} preferred
 * @param {readonly string[]} [browser]
 * @returns {Language}
 */
export function chooseLanguage(preferred, browser = navigator.languages ?? [navigator.language]) {
  if (preferred === 'ko' || preferred === 'en') return preferred;
  for (const tag of browser) {
    const base = String(tag).slice(0, 2).toLowerCase();
    if (base === 'ko' || base === 'en') return base;
  }
  return 'ko';
}

/** Load a language's catalogue and show it. @param {Language} name */
export async function useLanguage(name) {
  const answer = await fetch(new URL(`../locale/${name}.json`, import.meta.url));
  words.value = await answer.json();
  language.value = name;
  document.documentElement.lang = name;
}

/** A text that comes in both languages, or in one. @param {string|{ko: string, en: string}|null|undefined} text @returns {string} */
export function said(text) {
  return typeof text === 'string' ? text : text?.[language.value] ?? '';
}

/** Whether the chosen language has words for a key. @param {string} key */
export const has = (key) => key in words.value;

/** A place to fill, quotes that close behind it, and a particle with two forms. */
const PLACES = /\{(\w+)\}(?:([’”'")]*)(을\(를\)|은\(는\)|이\(가\)|과\(와\)|\(으\)로))?/g;

/**
 * The words for a key; `{name}` in them is replaced from `values`, and of a Korean particle with two forms behind it
 * the one stays that fits. An unknown key shows itself.
 * @param {string} key
 * @param {Record<string, string|number>} [values]
 * @returns {string}
 */
export function t(key, values) {
  const text = words.value[key] ?? key;
  return values ? text.replace(PLACES, (all, name, quotes = '', pair = '') => {
    const value = values[name];
    return value === undefined ? all : `${value}${quotes}${pair && particleOf(String(value), pair)}`;
  }) : text;
}
