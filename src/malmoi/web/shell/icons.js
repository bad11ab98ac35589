/** The app's icons, drawn for it on a 20-unit grid; decoration only, so hidden from screen readers. */
import { html } from './view.js';

const paths = {
  plus: 'M10 4v12M4 10h12',
  search: 'M9 3.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11ZM13 13l4 4',
  menu: 'M3 6h14M3 10h14M3 14h14',
  sidebar: 'M4.5 3.5h11a1.5 1.5 0 0 1 1.5 1.5v10a1.5 1.5 0 0 1-1.5 1.5h-11A1.5 1.5 0 0 1 3 15V5a1.5 1.5 0 0 1 1.5-1.5ZM8 3.5v13',
  close: 'M5 5l10 10M15 5L5 15',
  more: 'M5 10h.01M10 10h.01M15 10h.01',
  send: 'M10 16V4M5 9l5-5 5 5',
  stop: 'M6 6h8v8H6z',
  copy: 'M7 7V4.5A1.5 1.5 0 0 1 8.500 3h7A1.500 1.500 0 0 1 17 4.500v7a1.500 1.500 0 0 1-1.500 1.500H13M4.500 7h7A1.500 1.500 0 0 1 13 8.500v7a1.500 1.500 0 0 1-1.500 1.500h-7A1.500 1.500 0 0 1 3 15.500v-7A1.500 1.500 0 0 1 4.500 7Z',
  check: 'M4 10.500l4 4 8-9',
  edit: 'M12.500 4.500l3 3M4 16l.8-3.600L13.500 3.700a1.400 1.400 0 0 1 2 0l.8.8a1.400 1.400 0 0 1 0 2L7.600 15.200 4 16Z',
  again: 'M15.500 8A6 6 0 1 0 16 11.500M16 4v4h-4',
  left: 'M12 5l-5 5 5 5',
  right: 'M8 5l5 5-5 5',
  down: 'M5 8l5 5 5-5',
  pin: 'M10 12.500V17M6.500 3.500h7l-1 5 2 2.500v1.500h-9V11l2-2.500-1-5Z',
  folder: 'M3 6a1.500 1.500 0 0 1 1.500-1.500H8l1.500 2h6A1.500 1.500 0 0 1 17 8v6.500a1.500 1.500 0 0 1-1.500 1.500h-11A1.500 1.500 0 0 1 3 14.500V6Z',
  trash: 'M4 6h12M8 6V4h4v2M5.500 6l.7 10h7.600l.7-10M8.500 9v4.500M11.500 9v4.500',
  download: 'M10 3.500v9M6 9l4 4 4-4M4 16.500h12',
  upload: 'M10 13V4M6 7.500l4-4 4 4M4 16.500h12',
  settings: 'M4 6.500h7M15 6.500h1M4 13.500h1M9 13.500h7M13 4.500a2 2 0 1 1 0 4 2 2 0 0 1 0-4ZM7 11.500a2 2 0 1 1 0 4 2 2 0 0 1 0-4Z',
  gear: 'M10 7.200a2.800 2.800 0 1 0 0 5.600 2.800 2.800 0 0 0 0-5.600ZM10 2.500v2M10 15.500v2M2.500 10h2M15.500 10h2M4.700 4.700l1.400 1.400M13.900 13.900l1.400 1.400M4.700 15.300l1.400-1.400M13.900 6.100l1.400-1.400',
  person: 'M10 3.500a3 3 0 1 1 0 6 3 3 0 0 1 0-6ZM4 17c.5-3.500 2.800-5 6-5s5.500 1.500 6 5',
  alert: 'M10 6.500v4.500M10 13.800v.01M10 2.800l7.500 13.400h-15L10 2.800Z',
  image: 'M4.500 4h11A1.500 1.500 0 0 1 17 5.500v9a1.500 1.500 0 0 1-1.500 1.500h-11A1.500 1.500 0 0 1 3 14.500v-9A1.500 1.500 0 0 1 4.500 4ZM3.500 14l4-4 3 3 2-2 4 4M13 7.500v.01',
  shield: 'M10 2.800l6 2v4.700c0 3.800-2.500 6.500-6 7.700-3.500-1.200-6-3.900-6-7.700V4.800l6-2ZM10 7v3.500M10 13v.01',
  thought: 'M10 3c3.900 0 7 2.500 7 5.700s-3.100 5.700-7 5.700c-.7 0-1.400-.1-2-.2L4.500 16.500l.6-3.300C3.800 12.100 3 10.500 3 8.700 3 5.500 6.100 3 10 3Z',
};

/** @param {{name: keyof typeof paths}} props */
export function Icon({ name }) {
  return html`<svg class="icon" viewBox="0 0 20 20" aria-hidden="true" focusable="false"><path d=${paths[name]} /></svg>`;
}

/** The mark: ㅁ, the first letter of 말모이, in a speech balloon with the word it has gathered. */
export function Mark() {
  return html`<svg class="mark" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
    <path class="mark-balloon" d="M8 3h16a5 5 0 0 1 5 5v12a5 5 0 0 1-5 5h-9.200l-5.100 4.300a1 1 0 0 1-1.700-.8V25a5 5 0 0 1-5-5V8a5 5 0 0 1 5-5Z" />
    <path class="mark-letter" d="M10.500 9h11v10h-11z" /><circle class="mark-seed" cx="16" cy="14" r="1.900" /></svg>`;
}
