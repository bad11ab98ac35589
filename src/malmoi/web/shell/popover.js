/** A button with a panel that opens beside it in the top layer; Escape and clicks outside close it. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { html } from './view.js';

const MARGIN = 8;

/** Place a panel under (or over) its button, inside the window. @param {HTMLElement} panel @param {HTMLElement} anchor */
function place(panel, anchor) {
  const at = anchor.getBoundingClientRect();
  const { width, height } = panel.getBoundingClientRect();
  const right = innerWidth - width - MARGIN;
  const left = panel.dataset.align === 'end' ? at.right - width : at.left;
  const below = at.bottom + 4;
  const top = below + height + MARGIN <= innerHeight ? below : Math.max(MARGIN, at.top - height - 4);
  panel.style.left = `${Math.max(MARGIN, Math.min(left, right))}px`;
  panel.style.top = `${top}px`;
}

/**
 * @param {{label: string, button: any, className?: string, panelClass?: string, align?: 'start'|'end', menu?: boolean,
 *   title?: string, disabled?: boolean, children: (close: () => void) => any}} props
 *   `children` is called when the panel is open, with the function that closes it.
 */
export function Popover({ label, button, className = 'icon-button', panelClass = '', align = 'start', menu = false, title, disabled = false, children }) {
  const [open, setOpen] = useState(false);
  const anchor = useRef(/** @type {HTMLButtonElement|null} */ (null));
  const panel = useRef(/** @type {HTMLDivElement|null} */ (null));
  // A click on the button first closes an open panel from outside; that click must not open it again.
  const closedAt = useRef(-Infinity);
  const close = () => { panel.current?.hidePopover(); anchor.current?.focus(); };

  useEffect(() => {
    if (!open || !panel.current || !anchor.current) return undefined;
    const element = panel.current;
    element.showPopover();
    place(element, anchor.current);
    const first = element.querySelector('[autofocus], [aria-checked="true"], [role="menuitem"], input, button');
    /** @type {HTMLElement|null} */ (first)?.focus();
    const onToggle = (/** @type {any} */ event) => { if (event.newState === 'closed') { closedAt.current = event.timeStamp; setOpen(false); } };
    const onResize = () => anchor.current && place(element, anchor.current);
    element.addEventListener('toggle', onToggle);
    addEventListener('resize', onResize);
    const grown = new ResizeObserver(onResize); // what it shows may arrive after it has opened
    grown.observe(element);
    return () => { grown.disconnect(); element.removeEventListener('toggle', onToggle); removeEventListener('resize', onResize); };
  }, [open]);

  const onKeyDown = (/** @type {KeyboardEvent} */ event) => {
    if (event.key === 'Escape') { event.stopPropagation(); close(); event.preventDefault(); return; }
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || (event.target instanceof HTMLElement && event.target.matches('input:not([type=radio]), textarea'))) return;
    const items = [...(panel.current?.querySelectorAll('[role^="menuitem"]:not(:disabled)') ?? [])];
    if (!items.length) return;
    event.preventDefault();
    const now = items.indexOf(/** @type {Element} */ (document.activeElement));
    /** @type {HTMLElement} */ (items[(now + step + items.length) % items.length]).focus();
  };

  return html`
    <button type="button" ref=${anchor} class=${className} aria-label=${label} title=${title ?? label} disabled=${disabled}
      aria-haspopup=${menu ? 'menu' : 'dialog'} aria-expanded=${String(open)}
      onClick=${(event) => { if (open) close(); else if (event.timeStamp - closedAt.current > 150) setOpen(true); }}>${button}</button>
    ${open && html`
      <div popover="auto" ref=${panel} class=${`popover ${panelClass}`} data-align=${align}
        role=${menu ? 'menu' : 'dialog'} aria-label=${label} onKeyDown=${onKeyDown}>${children(close)}</div>`}`;
}

/**
 * One line of a menu.
 * @param {{icon?: any, onClick?: () => void, danger?: boolean, checked?: boolean, disabled?: boolean, children?: any}} props
 */
export function MenuItem({ icon, onClick, danger = false, checked, disabled = false, children }) {
  return html`<button type="button" role=${checked === undefined ? 'menuitem' : 'menuitemradio'} aria-checked=${checked}
    class=${`menu-item ${danger ? 'danger' : ''}`} disabled=${disabled} onClick=${onClick}>${icon}<span>${children}</span></button>`;
}
