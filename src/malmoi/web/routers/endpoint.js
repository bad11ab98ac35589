/** How a program asks a router: a call that works as it stands. */
import { useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { notify } from '../shell/notices.js';
import { session } from '../shell/state.js';
import { Icon } from '../shell/icons.js';

/**
 * @param {string} origin @param {string} router @param {number|'latest'} version @param {string} query
 * @param {boolean} needsKey
 */
export function curlOf(origin, router, version, query, needsKey) {
  const body = JSON.stringify({ query }).replaceAll("'", "'\\''");
  return [
    `curl ${origin}/v1/routers/${encodeURIComponent(router)}/versions/${version}/route`,
    ...(needsKey ? ['-H "Authorization: Bearer $MALMOI_API_KEY"'] : []),
    "-H 'Content-Type: application/json'",
    `-d '${body}'`,
  ].join(' \\\n  ');
}

/** @param {{router: import('./store.js').Router, version: number, query: string}} props */
export function Endpoint({ router, version, query }) {
  const which = useSignal(/** @type {number|'latest'} */ (version));
  const copied = useSignal(false);
  const needsKey = Boolean(session.value?.login_required);
  const text = curlOf(location.origin, router.id, which.value, query, needsKey);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    copied.value = true;
    setTimeout(() => { copied.value = false; }, 1500);
  };
  return html`<section class="trainer-gain router-endpoint" aria-label=${t('routers.endpoint')}>
    <header><h3>${t('routers.endpoint')}</h3>
      <fieldset class="segments"><legend class="visually-hidden">${t('routers.endpoint_version')}</legend>
        ${/** @type {const} */ ([version, 'latest']).map((one) => html`<label key=${one}><input type="radio" name="endpoint" checked=${which.value === one} onChange=${() => { which.value = one; }} /><span>${one === 'latest' ? t('routers.newest') : t('routers.version', { n: one })}</span></label>`)}</fieldset></header>
    <pre tabindex="0"><code>${text}</code></pre>
    <p><button type="button" class="button small" onClick=${() => copy().catch(() => notify(t('error.clipboard'), { kind: 'error' }))}><${Icon} name=${copied.value ? 'check' : 'copy'} />${copied.value ? t('message.copied') : t('message.copy')}</button></p>
    ${needsKey && html`<p class="quiet">${t('routers.endpoint_key')} <code>malmoi keys add NAME --scope skills</code></p>`}</section>`;
}
