/** Arguments as a form: which fields an operation's schema asks for, and how their texts become values. */

/**
 * @typedef {'choice'|'yesno'|'number'|'date'|'text'|'list'|'json'} Kind
 * @typedef {{name: string, kind: Kind, required: boolean, choices: unknown[], words: Record<string, string>, title: string, about: string,
 *   unit: string}} Field
 */

/** @param {any} value @param {string} language */
const inLanguage = (value, language) => (value && typeof value === 'object' ? value[language] || value.ko || value.en || '' : '');
/** @param {unknown} one */
const isPlain = (one) => ['string', 'number', 'boolean'].includes(typeof one);

/** Follow a reference within the schema, and look behind "or null". @param {any} schema @param {any} whole @returns {any} */
function plain(schema, whole) {
  let found = schema ?? {};
  for (let depth = 0; depth < 5 && typeof found.$ref === 'string'; depth += 1) {
    const place = found.$ref.startsWith('#/$defs/') ? whole?.$defs?.[found.$ref.slice(8)] : null;
    if (!place) return { ...found, $ref: undefined };
    found = { ...place, ...found, $ref: place.$ref };
  }
  const some = (found.anyOf ?? found.oneOf ?? []).filter((/** @type {any} */ one) => one.type !== 'null');
  if (some.length === 1) return { ...plain(some[0], whole), ...found, anyOf: undefined, oneOf: undefined };
  return found;
}

/** @param {any} schema @returns {Kind} */
function kindOf(schema) {
  const types = [schema.type ?? []].flat().filter((/** @type {string} */ one) => one !== 'null');
  if (schema.anyOf || schema.oneOf || schema.allOf) return 'json';
  if (Array.isArray(schema.enum) && schema.enum.every(isPlain)) return 'choice';
  if (types.length !== 1) return 'json';
  if (types[0] === 'boolean') return 'yesno';
  if (types[0] === 'integer' || types[0] === 'number') return 'number';
  if (types[0] === 'string') return schema.format === 'date' ? 'date' : 'text';
  if (types[0] === 'array' && schema.items?.type === 'string' && !schema.items.enum) return 'list';
  return 'json';
}

/** The fields of an operation's arguments. @param {any} parameters @param {string} language @returns {Field[]} */
export function fieldsOf(parameters, language) {
  const required = parameters?.required ?? [];
  return Object.entries(parameters?.properties ?? {}).map(([name, given]) => {
    const schema = plain(given, parameters);
    const words = Object.fromEntries(Object.entries(schema['x-malmoi-words'] ?? {}).map(([value, told]) => [value, /** @type {string[]} */ ([told].flat())[0]]));
    const title = inLanguage(schema['x-malmoi-title'], language) || schema.title || name;
    const about = language === 'en' || !schema['x-malmoi-title'] ? schema.description ?? '' : '';
    return {
      name,
      kind: kindOf(schema),
      required: required.includes(name),
      choices: schema.enum ?? [],
      words: language === 'ko' ? words : {},
      title,
      about: about === title ? '' : about,
      unit: typeof schema['x-malmoi-unit'] === 'string' ? schema['x-malmoi-unit'] : '',
    };
  });
}

/** A value as the text of its field. @param {unknown} value @param {Kind} kind */
export function textOf(value, kind) {
  if (value === undefined || value === null) return '';
  if (kind === 'list') return Array.isArray(value) ? value.join('\n') : String(value);
  if (kind === 'json' || typeof value === 'object') return typeof value === 'string' ? value : JSON.stringify(value);
  return String(value);
}

/**
 * The value of a field's text; undefined: it is not given.
 * @param {string} text @param {Field} field
 * @returns {unknown}
 */
export function valueOf(text, field) {
  if (text.trim() === '') return undefined;
  if (field.kind === 'choice') return field.choices.find((one) => String(one) === text);
  if (field.kind === 'yesno') return text === 'true';
  if (field.kind === 'number') return Number.isFinite(Number(text)) ? Number(text) : text;
  if (field.kind === 'list') return text.split('\n').map((line) => line.trim()).filter(Boolean);
  if (field.kind === 'json') { try { return JSON.parse(text); } catch { return text; } }
  return text;
}

/** Arguments with one of them changed. @param {Record<string, unknown>} all @param {string} name @param {unknown} value */
export function withValue(all, name, value) {
  const { [name]: _, ...others } = all;
  return value === undefined ? others : { ...all, [name]: value };
}

/** The arguments that another operation has as well. @param {Record<string, unknown>} all @param {any} parameters */
export function keptBy(all, parameters) {
  return Object.fromEntries(Object.entries(all).filter(([name]) => name in (parameters?.properties ?? {})));
}

/** Whether two values are the same, whatever the order of their keys. @param {any} one @param {any} two @returns {boolean} */
export function same(one, two) {
  if (one === two) return true;
  if (!one || !two || typeof one !== 'object' || typeof two !== 'object' || Array.isArray(one) !== Array.isArray(two)) return false;
  const names = Object.keys(one);
  return names.length === Object.keys(two).length && names.every((name) => name in two && same(one[name], two[name]));
}

/** A text with its JSON laid out in lines; null: it is no JSON, or is laid out already. @param {string} text */
export function laidOut(text) {
  try {
    const value = JSON.parse(text);
    const made = value && typeof value === 'object' ? JSON.stringify(value, null, 2) : text;
    return made === text ? null : made;
  } catch { return null; }
}
