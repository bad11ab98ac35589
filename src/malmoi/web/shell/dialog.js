/** A modal dialog on the browser's own <dialog>: it holds the focus, closes on Escape, and gives the focus back. */
import { useEffect, useRef } from 'preact/hooks';
import { html } from './view.js';
import { t } from './i18n.js';
import { Icon } from './icons.js';

/** @param {{title: string, onClose: () => void, className?: string, children?: any}} props */
export function Dialog({ title, onClose, className = '', children }) {
  const ref = useRef(/** @type {HTMLDialogElement|null} */ (null));
  useEffect(() => {
    const before = /** @type {HTMLElement|null} */ (document.activeElement);
    const dialog = /** @type {HTMLDialogElement} */ (ref.current);
    dialog.showModal();
    return () => {
      dialog.close();
      if (before?.isConnected) before.focus();
    };
  }, []);
  return html`
    <dialog ref=${ref} class=${`dialog ${className}`} aria-label=${title}
      onCancel=${(event) => { event.preventDefault(); onClose(); }}
      onPointerDown=${(event) => { if (event.target === ref.current) onClose(); }}>
      <div class="dialog-body">
        <header class="dialog-head"><h2>${title}</h2>
          <button type="button" class="icon-button" aria-label=${t('action.close')} onClick=${onClose}><${Icon} name="close" /></button>
        </header>
        ${children}
      </div>
    </dialog>`;
}

/**
 * A question before something that cannot be undone.
 * @param {{title: string, text: string, action: string, onConfirm: () => void, onClose: () => void}} props
 */
export function Confirm({ title, text, action, onConfirm, onClose }) {
  return html`
    <${Dialog} title=${title} onClose=${onClose} className="narrow">
      <p>${text}</p>
      <div class="dialog-actions">
        <button type="button" class="button" autofocus onClick=${onClose}>${t('action.cancel')}</button>
        <button type="button" class="button danger" onClick=${() => { onConfirm(); onClose(); }}>${action}</button>
      </div>
    <//>`;
}
