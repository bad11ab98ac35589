/** Numbers, sizes and times as people of the chosen language write them. */
import { language, t } from './i18n.js';

const locale = () => (language.value === 'ko' ? 'ko-KR' : 'en-GB');

/** @param {number} value @param {number} [digits] */
export function number(value, digits = 0) {
  return new Intl.NumberFormat(locale(), { maximumFractionDigits: digits }).format(value);
}

/** The name of a language, as people of the chosen language call it. @param {string} code */
export function languageName(code) {
  return new Intl.DisplayNames([locale()], { type: 'language' }).of(code) ?? code;
}

/** A size in decimal units, as disks and downloads are sold. @param {number} count */
export function bytes(count) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = count;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${number(value, value < 10 && unit > 1 ? 2 : value < 100 && unit > 1 ? 1 : 0)} ${units[unit]}`;
}

/** A length of time, roughly, for "time left". @param {number} seconds */
export function duration(seconds) {
  if (seconds < 60) return t('time.seconds', { n: Math.max(1, Math.round(seconds)) });
  if (seconds < 3600) return t('time.minutes', { n: Math.round(seconds / 60) });
  return t('time.hours', { n: number(seconds / 3600, 1) });
}

/** @param {string} iso */
export function day(iso) {
  return new Intl.DateTimeFormat(locale(), { dateStyle: 'medium' }).format(new Date(iso));
}

/** @param {string} iso */
export function moment(iso) {
  return new Intl.DateTimeFormat(locale(), { dateStyle: 'medium', timeStyle: 'short' }).format(new Date(iso));
}

/**
 * The heading under which a conversation of that time is listed.
 * @param {string} iso
 * @param {Date} [now]
 * @returns {{key: string, label: string}}
 */
export function dateGroup(iso, now = new Date()) {
  const date = new Date(iso);
  const midnight = new Date(now.getFullYear(), now.getMonth(), now.getDate());
  const days = Math.ceil((midnight.getTime() - date.getTime()) / 86_400_000);
  if (days <= 0) return { key: 'today', label: t('group.today') };
  if (days <= 1) return { key: 'yesterday', label: t('group.yesterday') };
  if (days <= 7) return { key: 'week', label: t('group.week') };
  if (days <= 30) return { key: 'month', label: t('group.month') };
  const label = new Intl.DateTimeFormat(locale(), { year: 'numeric', month: 'long' }).format(date);
  return { key: `${date.getFullYear()}-${date.getMonth()}`, label };
}
