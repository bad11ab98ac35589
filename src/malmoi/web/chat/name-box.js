/** A name being typed in place: Enter or leaving the box keeps it, Escape does not. */
import { useEffect, useRef } from 'preact/hooks';
import { html } from '../shell/view.js';

/** @param {{label: string, value: string, onDone: (name: string|null) => void}} props `null`: leave it as it was */
export function NameBox({ label, value, onDone }) {
  const box = useRef(/** @type {HTMLInputElement|null} */ (null));
  const over = useRef(false);
  useEffect(() => { box.current?.focus(); box.current?.select(); }, []);
  const done = (/** @type {boolean} */ keep) => {
    if (over.current) return;
    over.current = true;
    const name = box.current?.value.trim() ?? '';
    onDone(keep && name && name !== value ? name : null);
  };
  return html`<input ref=${box} class="name-box" aria-label=${label} placeholder=${label} defaultValue=${value} maxlength="200"
    onBlur=${() => done(true)}
    onKeyDown=${(event) => {
      if (event.key === 'Escape') { event.stopPropagation(); done(false); }
      if (event.key !== 'Enter') return;
      event.preventDefault();
      // A syllable may still be composed: leaving the box ends the composition, and then the name is whole.
      event.currentTarget.blur();
    }} />`;
}
