/** Versions of a router: frozen, measured, called by programs, brought back. */
import { useEffect } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { navigate, route } from '../shell/router.js';
import { get } from '../shell/api.js';
import { attempt, notify } from '../shell/notices.js';
import { moment, number } from '../shell/format.js';
import { MenuItem, Popover } from '../shell/popover.js';
import { Icon } from '../shell/icons.js';
import { contentOf, draft, isChanged, path, savedContent, writeAll } from './store.js';
import { exportRouter } from './exporting.js';
import { freeze } from './freezing.js';
import { PartView } from './figures-view.js';
import { Endpoint } from './endpoint.js';

/** @typedef {import('./store.js').Router} Router @typedef {import('./store.js').Version} Version */

/** @param {Version} version */
const summary = ({ figures }) => [figures.domains, figures.blocked].flatMap((part) => (part ? [t('routers.sum', { count: number(part.found.count), total: number(part.found.total) })] : [])).join(' · ');

/** @param {{router: Router, version: Version}} props */
function OpenVersion({ router, version }) {
  const { domains, blocked } = version.figures;
  const example = savedContent(router.id)?.domains[0]?.examples[0] ?? t('routers.query_example');
  return html`<div class="trainer-measures"><header class="measures-head"><h2>${t('routers.measured', { n: version.number })}</h2></header>
    ${(domains || blocked) && html`<p class="quiet">${t('routers.measured_about')}</p>`}
    ${domains && html`<${PartView} title=${t('routers.domains')} figures=${domains} none=${t('routers.none_domain')} />`}
    ${blocked && html`<${PartView} title=${t('routers.blocked')} figures=${blocked} none=${t('routers.none_blocked')} />`}
    ${!domains && !blocked && html`<p class="quiet">${t('routers.measured_none')}</p>`}
    <${Endpoint} key=${version.number} router=${router} version=${version.number} query=${example} /></div>`;
}

/** @param {{router: Router}} props */
export function VersionsView({ router }) {
  const versions = useSignal(/** @type {Version[]|null} */ (null));
  useEffect(() => { attempt(async () => { versions.value = (await get(path(router.id, '/versions'))).versions; }); }, [router.id, router.versions]);
  const known = versions.value;
  if (!known) return html`<div class="opening"><span class="spinner" aria-hidden="true"></span></div>`;
  const open = known.find((one) => String(one.number) === route.value.query.get('v')) ?? known[0] ?? null;
  const kept = savedContent(router.id);
  const isEmpty = !kept || !(kept.domains.length || kept.blocked.length || kept.safety);
  const bring = (/** @type {number} */ n) => attempt(async () => {
    const before = draft(router.id);
    const now = before ? contentOf(before) : null;
    writeAll(router.id, (await get(path(router.id, `/versions/${n}`))).content);
    navigate(`/routers/${router.id}/examples`);
    notify(t('routers.brought', { n }), now ? { action: { label: t('action.undo'), run: () => writeAll(router.id, now) } } : {});
  });
  return html`
    <section class="trainer-versions" aria-label=${t('routers.tab_versions')}>
      <div class="versions-side">
        <div class="versions-now"><p>${isChanged(router.id) ? t('routers.unsaved_freeze') : t('routers.freeze_about')}</p><button type="button" class="button primary small" disabled=${isEmpty} onClick=${() => attempt(() => freeze(router.id))}>${t('routers.freeze')}</button></div>
        ${known.length > 0 && html`<ol class="versions-list" reversed>${known.map((one) => html`<li key=${one.number} class=${one.number === open?.number ? 'open' : ''}>
          <a href=${`/routers/${router.id}/versions?v=${one.number}`} aria-current=${one.number === open?.number ? 'true' : undefined}><strong>${t('routers.version', { n: one.number })}</strong>
            <small class="quiet">${[summary(one), moment(one.created_at)].filter(Boolean).join(' · ')}</small></a>
          <${Popover} menu align="end" label=${t('routers.version_menu', { n: one.number })} className="icon-button small" button=${html`<${Icon} name="more" />`}>${(shut) => html`
            <${MenuItem} onClick=${() => { shut(); bring(one.number); }}>${t('routers.bring')}<//>
            <${MenuItem} onClick=${() => { shut(); attempt(() => exportRouter(router, 'json', one.number)); }}>${t('routers.export')} · JSON<//>
            <${MenuItem} onClick=${() => { shut(); attempt(() => exportRouter(router, 'jsonl', one.number)); }}>${t('routers.export')} · JSONL<//>`}<//></li>`)}</ol>`}
      </div>
      ${open ? html`<${OpenVersion} key=${open.number} router=${router} version=${open} />` : html`<div class="trainer-empty"><p>${t('routers.no_versions')}</p></div>`}
    </section>`;
}
