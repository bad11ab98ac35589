/** The arguments of a call, as a form made of the operation's schema, or as JSON. */
import { useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { language, t } from '../shell/i18n.js';
import { fieldsOf, textOf, valueOf, withValue } from './schema.js';
import { TextBox } from './text-box.js';

/**
 * @typedef {{operation: import('./store.js').Operation, value: Record<string, any>, sources?: Record<string, string>,
 *   fault: {field: string, text: string}|null, mark?: string, onChange: (value: Record<string, any>) => void}} Props
 */

/** What is wrong with one argument, in the person's words where we have them. @param {Props['fault']} fault @param {import('./schema.js').Field} field @param {unknown} value */
function problemOf(fault, field, value) {
  const at = `stages.arguments.${field.name}`;
  if (!fault || (fault.field !== at && !fault.field.startsWith(`${at}.`))) return '';
  return value === undefined ? t('trainer.needed') : fault.text;
}

/** @param {{field: import('./schema.js').Field, value: unknown, source: string, problem: string, mark: string, onValue: (value: unknown) => void}} props */
function Control({ field, value, source, problem, mark, onValue }) {
  const id = `argument${mark}-${field.name}`;
  const under = problem ? `${id}-problem` : undefined;
  const shared = { id, 'aria-invalid': problem ? 'true' : undefined, 'aria-describedby': under };
  const text = textOf(value, field.kind);
  const read = (/** @type {string} */ given) => onValue(valueOf(given, field));
  const known = field.kind === 'choice' ? field.choices.map(String) : ['true', 'false'];
  return html`
    <div class=${`bench-argument ${problem ? 'wrong' : ''}`}>
      <label for=${id}>${field.title}${field.required && html`<span class="bench-needed" title=${t('trainer.required')}>*</span>`}${field.title !== field.name && html`<code>${field.name}</code>`}</label>
      ${field.kind === 'choice' || field.kind === 'yesno' ? html`<select ...${shared} value=${known.includes(text) ? text : ''} onChange=${(/** @type {any} */ event) => read(event.currentTarget.value)}>
          <option value="">${t('trainer.not_given')}</option>
          ${known.map((one) => html`<option key=${one} value=${one}>${field.kind === 'yesno' ? t(`trainer.is_${one}`) : field.words[one] ? `${field.words[one]} (${one})` : one}</option>`)}</select>`
        : html`<${TextBox} ...${{ id, describedBy: under, invalid: Boolean(problem), value: text, lines: field.kind === 'list' || text.length > 60 ? 2 : 1, mono: field.kind === 'json', onDone: read,
          type: field.kind === 'date' ? 'date' : 'text', placeholder: field.kind === 'list' ? t('trainer.one_a_line') : field.kind === 'json' ? 'JSON' : '' }} />`}
      ${source && html`<span class=${`bench-source ${source}`}>${t(`trainer.source_${source}`)}</span>`}
      ${problem ? html`<small class="field-error" id=${under}>${problem}</small>` : field.about && html`<small>${field.about}${field.unit ? ` (${field.unit})` : ''}</small>`}
    </div>`;
}

/** @param {Props} props */
export function ArgumentsForm({ operation, value, sources = {}, fault, mark = '', onChange }) {
  const asJson = useSignal(false);
  const wrongJson = useSignal('');
  const fields = fieldsOf(operation.parameters, language.value);
  const whole = JSON.stringify(value, null, 2);
  const others = Object.keys(value).filter((name) => !fields.some((field) => field.name === name));
  const general = fault && (fault.field === 'stages.arguments' || others.some((name) => fault.field === `stages.arguments.${name}`)) ? fault.text : '';
  const readJson = (/** @type {string} */ text) => {
    try {
      const given = JSON.parse(text || '{}');
      if (!given || typeof given !== 'object' || Array.isArray(given)) throw new SyntaxError(t('trainer.json_object'));
      wrongJson.value = '';
      onChange(given);
    } catch (error) { wrongJson.value = `${t('trainer.json_wrong')} ${/** @type {Error} */ (error).message}`; }
  };
  return html`
    <div class="bench-arguments">
      ${asJson.value ? html`<${TextBox} lines=${Math.min(14, whole.split('\n').length + 1)} mono label=${t('trainer.arguments_json')} value=${whole} invalid=${Boolean(wrongJson.value || fault)} onDone=${readJson} />`
        : fields.length ? html`<div class="bench-grid">${fields.map((field) => html`<${Control} key=${`${operation.name}.${field.name}`} field=${field} value=${value[field.name]} source=${field.name in value ? sources[field.name] ?? '' : ''}
            problem=${problemOf(fault, field, value[field.name])} mark=${mark} onValue=${(/** @type {unknown} */ given) => onChange(withValue(value, field.name, given))} />`)}</div>`
          : html`<p class="quiet">${t('trainer.no_arguments')}</p>`}
      ${others.length > 0 && !asJson.value && html`<p class="quiet">${t('trainer.other_arguments', { names: others.join(', ') })}</p>`}
      ${(wrongJson.value || general || (asJson.value && fault?.field.startsWith('stages.arguments') && fault.text)) && html`<p class="field-error" role="alert">${wrongJson.value || general || fault?.text}</p>`}
      ${(fields.length > 0 || others.length > 0) && html`<button type="button" class="link small" aria-pressed=${String(asJson.value)} onClick=${() => { asJson.value = !asJson.value; wrongJson.value = ''; }}>${(asJson.value ? t('trainer.as_form') : t('trainer.as_json'))}</button>`}
    </div>`;
}
