/** The address bar as a signal. Links inside the app are plain <a href>; this module keeps them in the page. */
import { signal } from '@preact/signals';

/** @typedef {{page: 'chat'|'documents'|'redteam'|'routers'|'settings'|'trainer'|'users', id: string|null, section: string, message: string|null,
 *   query: URLSearchParams}} Route */

/** @param {{pathname: string, search: string}} location @returns {Route} */
export function parseRoute({ pathname, search }) {
  const [, first = '', second = '', third = ''] = pathname.split('/').map((part) => {
    try { return decodeURIComponent(part); } catch { return part; }
  });
  const query = new URLSearchParams(search);
  const message = query.get('m');
  if (first === 'settings') return { page: 'settings', id: null, section: second || 'general', message: null, query };
  if (first === 'documents') return { page: 'documents', id: second || null, section: third, message: null, query };
  if (first === 'trainer' || first === 'routers') return { page: first, id: second || null, section: third, message: null, query };
  if (first === 'redteam' || first === 'users') return { page: first, id: second || null, section: '', message: null, query };
  return { page: 'chat', id: second || null, section: '', message, query };
}

/** @type {import('@preact/signals').Signal<Route>} */
export const route = signal(parseRoute(location));

/** Go to an address of this app. @param {string} path @param {{replace?: boolean}} [options] */
export function navigate(path, { replace = false } = {}) {
  if (replace) history.replaceState(null, '', path);
  else if (path !== location.pathname + location.search) history.pushState(null, '', path);
  route.value = parseRoute(location);
}

/** Listen to the browser's buttons and to clicks on links of this app. */
export function startRouter() {
  addEventListener('popstate', () => { route.value = parseRoute(location); });
  document.addEventListener('click', (event) => {
    if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = /** @type {Element} */ (event.target).closest?.('a[href]');
    if (!(link instanceof HTMLAnchorElement) || link.target || link.hasAttribute('download')) return;
    const url = new URL(link.href);
    if (url.origin !== location.origin || !/^\/($|chat|documents|redteam|routers|settings|trainer|users)/.test(url.pathname)) return;
    event.preventDefault();
    navigate(url.pathname + url.search);
  });
}
