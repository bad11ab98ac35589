/** Users in the plane: zoomed and moved by pointer and keys; the same as a table for whoever does not see it. */
import { useEffect, useRef } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { get } from '../shell/api.js';
import { number } from '../shell/format.js';
import { attempt } from '../shell/notices.js';
import { look, path, person } from './store.js';
import { PersonView } from './person-view.js';

const SIZE = 600;
const MARGIN = 24;
const MOST = 40;
const START = { x: 0, y: 0, zoom: 1 };

/**
 * A view that is zoomed around a place and stays within the map.
 * @param {{x: number, y: number, zoom: number}} view @param {number} factor @param {number} x @param {number} y
 */
export function zoomed(view, factor, x = view.x + SIZE / view.zoom / 2, y = view.y + SIZE / view.zoom / 2) {
  const zoom = Math.min(MOST, Math.max(1, view.zoom * factor));
  const scale = view.zoom / zoom;
  return held({ x: x - (x - view.x) * scale, y: y - (y - view.y) * scale, zoom });
}

/** @param {{x: number, y: number, zoom: number}} view */
export function held({ x, y, zoom }) {
  const room = SIZE - SIZE / zoom;
  return { x: Math.min(room, Math.max(0, x)), y: Math.min(room, Math.max(0, y)), zoom };
}

/** Points as places on the map. @param {{key: string, x: number, y: number}[]} points */
export function places(points) {
  const most = Math.max(1e-9, ...points.map((point) => Math.max(Math.abs(point.x), Math.abs(point.y))));
  const at = (/** @type {number} */ value) => SIZE / 2 + (value / most) * (SIZE / 2 - MARGIN);
  return points.map((point) => ({ key: point.key, x: at(point.x), y: at(-point.y) }));
}

export function MapView() {
  const found = useSignal(/** @type {{points: {key: string, x: number, y: number}[], explained: number, count: number}|null} */ (null));
  const view = useSignal(START);
  const drag = useRef(/** @type {{x: number, y: number, moved: boolean}|null} */ (null));
  const plot = useRef(/** @type {SVGSVGElement|null} */ (null));
  useEffect(() => { attempt(async () => { found.value = await get(path('map?limit=1000')); }); }, []);
  useEffect(() => {
    const frame = plot.current;
    // A listener of its own: the browser must be told that the page does not scroll meanwhile.
    const onWheel = (/** @type {WheelEvent} */ event) => {
      event.preventDefault();
      const box = /** @type {SVGSVGElement} */ (frame).getBoundingClientRect();
      const side = SIZE / view.value.zoom;
      view.value = zoomed(view.value, event.deltaY < 0 ? 1.25 : 0.8,
        view.value.x + ((event.clientX - box.left) / box.width) * side, view.value.y + ((event.clientY - box.top) / box.height) * side);
    };
    frame?.addEventListener('wheel', onWheel, { passive: false });
    return () => frame?.removeEventListener('wheel', onWheel);
  }, [found.value]);
  if (!found.value) return html`<div class="opening"><span class="spinner" aria-hidden="true"></span></div>`;
  const { points, explained, count } = found.value;
  const marks = places(points);
  const side = SIZE / view.value.zoom;
  const move = (/** @type {number} */ x, /** @type {number} */ y) => { view.value = held({ ...view.value, x: view.value.x + x * side, y: view.value.y + y * side }); };
  const keys = /** @type {Record<string, () => void>} */ ({
    '+': () => { view.value = zoomed(view.value, 1.5); }, '=': () => { view.value = zoomed(view.value, 1.5); },
    '-': () => { view.value = zoomed(view.value, 1 / 1.5); }, 0: () => { view.value = START; },
    ArrowLeft: () => move(-0.2, 0), ArrowRight: () => move(0.2, 0), ArrowUp: () => move(0, -0.2), ArrowDown: () => move(0, 0.2),
  });
  const onKey = (/** @type {KeyboardEvent} */ event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  };
  const onMove = (/** @type {PointerEvent} */ event) => {
    if (!drag.current || !plot.current) return;
    const { x, y } = drag.current;
    if (!drag.current.moved && Math.hypot(event.clientX - x, event.clientY - y) < 4) return;
    if (!drag.current.moved) plot.current.setPointerCapture(event.pointerId);
    const box = plot.current.getBoundingClientRect();
    move((x - event.clientX) / box.width, (y - event.clientY) / box.height);
    drag.current = { x: event.clientX, y: event.clientY, moved: true };
  };
  const pick = (/** @type {string} */ key) => { if (!drag.current?.moved) attempt(() => look(key)); };
  return html`
    <div class="users-map">
      <section>
        <p class="quiet">${t('users.map_lead', { n: number(points.length), of: number(count), share: number(100 * explained) })}</p>
        <div class="users-plot" role="application" tabindex="0" aria-label=${t('users.map_label')} aria-describedby="users-map-keys" onKeyDown=${onKey}>
          <svg ref=${plot} viewBox=${`${view.value.x} ${view.value.y} ${side} ${side}`} aria-hidden="true" focusable="false"
            onPointerDown=${(event) => { drag.current = { x: event.clientX, y: event.clientY, moved: false }; }}
            onPointerMove=${onMove} onPointerUp=${() => { setTimeout(() => { drag.current = null; }); }} onPointerLeave=${() => { if (!drag.current?.moved) drag.current = null; }}>
            <path class="users-axes" d=${`M0 ${SIZE / 2}H${SIZE}M${SIZE / 2} 0V${SIZE}`} stroke-width=${1 / view.value.zoom} />
            ${marks.map((mark) => html`<circle key=${mark.key} class=${person.value?.key === mark.key ? 'here' : ''} cx=${mark.x} cy=${mark.y} r=${(person.value?.key === mark.key ? 8 : 5) / view.value.zoom} onClick=${() => pick(mark.key)}><title>${mark.key}</title></circle>`)}
          </svg>
        </div>
        <p class="users-zoom">
          <button type="button" class="button small" onClick=${keys['+']}>${t('users.closer')}</button>
          <button type="button" class="button small" onClick=${keys['-']}>${t('users.farther')}</button>
          <button type="button" class="button small" onClick=${keys[0]}>${t('users.whole')}</button>
          <span class="quiet" aria-live="polite">${t('users.zoom', { n: number(view.value.zoom, 1) })}</span></p>
        <p class="quiet" id="users-map-keys">${t('users.map_keys')}</p>
        <details><summary>${t('users.as_table')}</summary>
          <div class="table-frame users-table" tabindex="0" role="region" aria-label=${t('users.as_table')}><table class="figures-table">
            <thead><tr><th scope="col">${t('users.user')}</th><th scope="col">x</th><th scope="col">y</th></tr></thead>
            <tbody>${points.map((point) => html`<tr key=${point.key}><th scope="row"><button type="button" class="link" onClick=${() => attempt(() => look(point.key))}>${point.key}</button></th><td>${number(point.x, 3)}</td><td>${number(point.y, 3)}</td></tr>`)}</tbody></table></div></details>
      </section>
      ${person.value && html`<${PersonView} key=${person.value.key} onGone=${(/** @type {string} */ key) => { if (found.value) found.value = { ...found.value, points: found.value.points.filter((point) => point.key !== key), count: count - 1 }; }} />`}
    </div>`;
}
