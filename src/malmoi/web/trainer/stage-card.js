/** One stage of a run: its place in the order, its name, what is said about it, and its content. */
import { html } from '../shell/view.js';
import { Icon } from '../shell/icons.js';

/**
 * @param {{number: number, title: string, about?: any, state?: 'done'|'busy'|'waiting'|'changed'|'wrong', children?: any}} props
 */
export function StageCard({ number, title, about, state = 'done', children }) {
  return html`<li class=${`bench-stage ${state}`}>
    <span class="bench-mark" aria-hidden="true">${state === 'busy' ? html`<span class="spinner"></span>` : state === 'changed' ? html`<${Icon} name="edit" />` : number}</span>
    <section class="bench-body" aria-label=${title}><header><h2>${title}</h2>${about}</header>${children}</section></li>`;
}
