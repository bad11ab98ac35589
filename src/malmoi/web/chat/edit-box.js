/** A sent message opened for editing; sending it makes a new branch, the old one stays. */
import { useEffect, useRef } from 'preact/hooks';
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { EnterToSend } from './ime.js';

/** @param {{text: string, onSend: (text: string) => void, onCancel: () => void}} props */
export function EditBox({ text, onSend, onCancel }) {
  const box = useRef(/** @type {HTMLTextAreaElement|null} */ (null));
  const enter = useRef(/** @type {EnterToSend|null} */ (null));
  useEffect(() => {
    const element = /** @type {HTMLTextAreaElement} */ (box.current);
    const grow = () => {
      element.style.height = 'auto';
      element.style.height = `${element.scrollHeight}px`;
    };
    element.value = text;
    element.focus();
    grow();
    element.addEventListener('input', grow);
    enter.current = new EnterToSend(element, {
      sends: (event) => event.ctrlKey || event.metaKey,
      send: (value) => { onSend(value); return true; },
    });
  }, []);
  return html`
    <form class="edit-box" onSubmit=${(event) => { event.preventDefault(); enter.current?.now(); }}
      onKeyDown=${(event) => { if (event.key === 'Escape' && !event.isComposing) onCancel(); }}>
      <textarea ref=${box} rows="2" aria-label=${t('message.edit')}></textarea>
      <div class="dialog-actions">
        <button type="button" class="button" onClick=${onCancel}>${t('action.cancel')}</button>
        <button type="submit" class="button primary">${t('message.resend')}</button>
      </div>
    </form>`;
}
