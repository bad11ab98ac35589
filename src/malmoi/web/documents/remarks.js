/**
 * What a reader says of a document, in the person's language. The server says it in English and keeps it with the
 * document: a sentence that is not known here is shown as it came.
 */
import { language, t } from '../shell/i18n.js';
import { day, moment, number } from '../shell/format.js';

/** @typedef {{message: string, fix?: string, reason?: string}} Failure */

const REASONS = new Set(['encrypted', 'locked', 'damaged', 'too_large', 'unsupported', 'empty', 'timeout', 'memory', 'crash', 'output', 'exception']);
const PICTURE = / is a picture[,;]/;

/** Sentences of the readers, and what they are here. @type {[RegExp, (found: string[]) => string][]} */
const REMARKS = [
  [/^Slide (\d+) is missing from the file\.$/, ([n]) => t('documents.remark_slide', { n })],
  [/^(\d+) charts were not read\.$/, ([n]) => t('documents.remark_charts', { n })],
  [/^(\d+) attached files were not opened\.$/, ([n]) => t('documents.remark_attached', { n })],
  [/^The message has more parts than are read\.$/, () => t('documents.remark_parts')],
  [/^The page is nested too deep; what stands deeper was left out\.$/, () => t('documents.remark_deep')],
  [/^The sheet '(.+)' holds no cells that could be read\.$/, ([name]) => t('documents.remark_sheet_empty', { name })],
  [/^The sheet '(.+)' is hidden in the workbook; it was read as well\.$/, ([name]) => t('documents.remark_sheet_hidden', { name })],
  [/^(.+): (\d+) formulas have no value yet; open and save it with Excel\.$/, ([name, n]) => t('documents.remark_formulas', { name, n })],
  [/^The text was recognised in a picture and may hold mistakes\.$/, () => t('documents.remark_recognised')],
  [/^The text was recognised in a picture and may hold mistakes\. It is doubtful\.$/, () => t('documents.remark_doubtful')],
  [/^Left out, since it stands on most pages: '(.+)'\.$/, ([words]) => t('documents.remark_edges', { words })],
  [/^The name promises (.+); the content is (.+)\.$/, ([name, format]) => t('documents.remark_name', { name, format })],
  [/^(\d+) characters could not be read as (.+)\.$/, ([n, charset]) => t('documents.remark_letters', { n, charset })],
  [/^Its author asks that text not be copied out of it\.$/, () => t('documents.remark_no_copies')],
  [/^Page (\d+) could not be read\.$/, ([n]) => t('documents.remark_page', { n })],
  [/^(.+): text recognised in a picture, which may hold mistakes\.$/, ([pages]) => t('documents.remark_recognised_pages', { pages: numbers(pages) })],
  [/^(.+): text recognised in a picture, which is doubtful\.$/, ([pages]) => t('documents.remark_doubtful_pages', { pages: numbers(pages) })],
  [/^(.+) of (\d+) without text: a picture that would need text recognition\.$/, ([pages, n]) => t('documents.remark_pictures', { pages: numbers(pages), n })],
  [/^(\d+) more remarks of this kind were left out\.$/, ([n]) => t('documents.remark_more', { n })],
];

/** "Pages 3-5, 9 and others" without its English words. @param {string} pages */
const numbers = (pages) => pages.replace(/^Pages? /, '').replace(' and others', ' …');

/** @param {string} sentence */
export function remarkOf(sentence) {
  if (language.value === 'en') return sentence;
  for (const [pattern, words] of REMARKS) {
    const found = pattern.exec(sentence);
    if (found) return words(found.slice(1));
  }
  return sentence;
}

/** Why a document could not be read, and what the server says of it where that is more. @param {Failure|null} failure */
export function failureOf(failure) {
  const detail = [failure?.message, failure?.fix].filter(Boolean).join(' ');
  if (language.value === 'en' || !failure?.reason || !REASONS.has(failure.reason)) return { text: detail, detail: '' };
  const text = PICTURE.test(failure.message) ? t('documents.failed_picture') : t(`documents.failed_${failure.reason}`);
  return { text, detail };
}

const FACTS = new Set(['author', 'subject', 'description', 'keywords', 'created', 'changed', 'changed_by', 'from', 'to', 'cc', 'bcc', 'date', 'rows', 'columns']);
const DAY = /^\d{4}-\d{2}-\d{2}$/;
const ISO = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}/;

/** @param {string} value */
function worded(value) {
  if (Number.isNaN(Date.parse(value))) return value;
  return DAY.test(value) ? day(value) : ISO.test(value) ? moment(value) : value;
}

/**
 * What a file says of itself, without the title that stands above it.
 * @param {Record<string, string>} properties @param {string} title
 * @returns {{name: string, label: string, text: string}[]}
 */
export function factsOf(properties, title) {
  return Object.entries(properties).filter(([name, value]) => !(['title', 'subject'].includes(name) && value === title)).map(([name, value]) => {
    const key = name.replace(' ', '_');
    return { name, label: FACTS.has(key) ? t(`documents.fact_${key}`) : name, text: worded(value) };
  });
}

/** How long a document is, in what its format counts. @param {{format: string, pages: number|null}} item */
export function pagesOf(item) {
  if (!item.pages) return '';
  const n = number(item.pages);
  return item.format === 'xlsx' ? t('documents.sheets', { n }) : item.format === 'pptx' ? t('documents.slides', { n }) : t('documents.pages', { n });
}
