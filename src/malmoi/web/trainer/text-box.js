/** Boxes that keep what is being written until it is done, whatever else changes on the page meanwhile. */
import { useEffect } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import { html } from '../shell/view.js';

/**
 * @param {{value: string, onDone: (text: string) => void, lines?: number, type?: string, mono?: boolean, id?: string, label?: string,
 *   invalid?: boolean, describedBy?: string, placeholder?: string, maxlength?: number}} props
 */
export function TextBox({ value, onDone, lines = 1, type = 'text', mono = false, id, label, invalid = false, describedBy, placeholder, maxlength }) {
  const draft = useSignal(/** @type {string|null} */ (null));
  useEffect(() => { draft.value = null; }, [value]);
  const shared = {
    id, placeholder, maxlength, 'aria-label': label, 'aria-invalid': invalid ? 'true' : undefined, 'aria-describedby': describedBy, autocomplete: 'off', spellcheck: !mono,
    value: draft.value ?? value,
    onInput: (/** @type {any} */ event) => { draft.value = event.currentTarget.value; },
    onChange: (/** @type {any} */ event) => { const text = event.currentTarget.value; if (text !== value) onDone(text); },
  };
  return lines > 1
    ? html`<textarea class=${`trainer-text ${mono ? 'mono' : ''}`} rows=${lines} ...${shared}></textarea>`
    : html`<input class=${mono ? 'mono' : ''} type=${type} ...${shared} />`;
}
