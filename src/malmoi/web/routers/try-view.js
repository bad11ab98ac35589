/** Queries that are tried: what the router says, how sure it is, and a way to teach it better. */
import { useEffect } from 'preact/hooks';
import { signal, useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { has, t } from '../shell/i18n.js';
import { get, post } from '../shell/api.js';
import { attempt, notify } from '../shell/notices.js';
import { number } from '../shell/format.js';
import { draft, fault, isChanged, path, save, savedContent, teach } from './store.js';

const KEPT = 12;
/** @typedef {import('./store.js').Router} Router @typedef {import('./store.js').Score} Score */
/** @typedef {{key: number, query: string, before: string, version: number|null, trace: import('./store.js').Trace, taught: string}} Tried */

const tried = signal(/** @type {Record<string, Tried[]>} */ ({}));
let keys = 0;

/** @param {string} name */
const needTitle = (name) => (has(`routers.safety_${name}`) ? t(`routers.safety_${name}`) : name);

/** Margins on one scale, with the threshold as a line. @param {{scores: Score[], chosen: string[], threshold: number, title: string}} props */
function Scores({ scores, chosen, threshold, title }) {
  const low = Math.min(-0.2, threshold, ...scores.map((one) => one.margin)) - 0.1;
  const high = Math.max(1, threshold, ...scores.map((one) => one.margin));
  const at = (/** @type {number} */ value) => (100 * (value - low)) / (high - low);
  return html`<section class="router-scores" aria-label=${title}><h3>${title}</h3><ol>${scores.map((one) => html`<li key=${one.name} class=${chosen.includes(one.name) ? 'found' : ''}>
      <span class="score-name">${one.name}${chosen.includes(one.name) && html` <span class="visually-hidden">${t('routers.found')}</span>`}</span>
      <svg class="score-bar" height="14" aria-hidden="true" focusable="false"><rect class="track" width="100%" y="4" height="6" rx="3" /><rect class="bar" width=${`${Math.max(0.5, at(one.margin))}%`} y="4" height="6" rx="3" /><line x1=${`${at(threshold)}%`} x2=${`${at(threshold)}%`} y1="0" y2="14" /></svg>
      <span class="score-value">${number(one.margin, 2)}</span>
      <span class="score-near quiet">${t('routers.nearest', { text: one.nearest })}</span></li>`)}</ol>
    <p class="quiet">${t('routers.threshold', { value: number(threshold, 2) })}</p></section>`;
}

/** @param {{router: Router, one: Tried, onTaught: (label: string) => void}} props */
function Result({ router, one, onTaught }) {
  const { trace } = one;
  const known = draft(router.id);
  const { domains, blocked } = trace.figures;
  const correct = (/** @type {string} */ value) => attempt(async () => {
    const [part, key] = value.split('/');
    const where = part === 'others' ? null : { part: /** @type {import('./store.js').Part} */ (part), key: Number(key) };
    const label = where ? known?.[where.part].find((card) => card.key === where.key)?.name ?? '' : t('routers.none_domain');
    if (await teach(router.id, one.query, where)) onTaught(label);
    else notify(fault.value?.text ?? t('routers.state_wrong'), { kind: 'error' });
  });
  return html`<article class="router-tried" aria-label=${one.query}>
    <header><p class="bench-said">${one.query}</p><span class="quiet">${one.version ? t('routers.version', { n: one.version }) : t('routers.as_saved')}</span></header>
    ${one.before && html`<p class="quiet">${t('routers.after', { text: one.before })}</p>`}
    <dl class="router-says">
      ${domains && html`<div><dt>${t('routers.domain')}</dt><dd>${trace.domain ? html`<span class="tag">${trace.domain}</span>` : t('routers.none_domain')}</dd></div>`}
      ${blocked && html`<div><dt>${t('routers.blocked_short')}</dt><dd>${trace.blocked.length ? trace.blocked.map((name) => html`<span class="tag bad" key=${name}>${name}</span>`) : t('routers.none_blocked')}</dd></div>`}
      ${trace.safety_checked && html`<div><dt>${t('routers.safety_short')}</dt><dd>${trace.safety.length ? trace.safety.map((name) => html`<span class="tag bad" key=${name}>${needTitle(name)}</span>`) : t('routers.none_safety')}</dd></div>`}
    </dl>
    ${domains && html`<${Scores} scores=${trace.domains} chosen=${[trace.domain]} threshold=${domains.threshold} title=${t('routers.domains')} />`}
    ${blocked && html`<${Scores} scores=${trace.filters} chosen=${trace.blocked} threshold=${blocked.threshold} title=${t('routers.blocked')} />`}
    ${one.taught ? html`<p class="router-taught" role="status">${t('routers.taught', { name: one.taught })}</p>` : known && html`
      <label class="router-teach"><span>${t('routers.should_be')}</span><select value="" onChange=${(event) => { const { value } = event.currentTarget; event.currentTarget.value = ''; if (value) correct(value); }}>
        <option value="">${t('routers.choose')}</option>
        ${known.domains.length > 0 && html`<optgroup label=${t('routers.domains')}>${known.domains.map((card) => html`<option key=${card.key} value=${`domains/${card.key}`}>${card.name}</option>`)}</optgroup>`}
        ${known.blocked.length > 0 && html`<optgroup label=${t('routers.blocked')}>${known.blocked.map((card) => html`<option key=${card.key} value=${`blocked/${card.key}`}>${card.name}</option>`)}</optgroup>`}
        <option value="others">${t('routers.none_domain')}</option></select></label>`}
  </article>`;
}

/** @param {{router: Router}} props */
export function TryView({ router }) {
  const query = useSignal('');
  const before = useSignal('');
  const version = useSignal('');
  const busy = useSignal(false);
  const versions = useSignal(/** @type {import('./store.js').Version[]} */ ([]));
  useEffect(() => { attempt(async () => { versions.value = (await get(path(router.id, '/versions'))).versions; }); }, [router.id, router.versions]);
  const known = tried.value[router.id] ?? [];
  const keep = (/** @type {Tried[]} */ now) => { tried.value = { ...tried.value, [router.id]: now.slice(0, KEPT) }; };
  const run = (/** @type {string} */ asked, /** @type {string} */ earlier, /** @type {number|null} */ number) => attempt(async () => {
    busy.value = true;
    try {
      const trace = await post(path(router.id, '/test'), { query: asked, history: earlier ? [earlier] : [], version: number });
      keep([{ key: ++keys, query: asked, before: earlier, version: number, trace, taught: '' }, ...(tried.value[router.id] ?? [])]);
    } finally { busy.value = false; }
  });
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    const asked = query.value.trim();
    if (asked && !busy.value) run(asked, before.value.trim(), version.value ? Number(version.value) : null);
  };
  const taught = (/** @type {Tried} */ one, /** @type {string} */ label) => {
    keep((tried.value[router.id] ?? []).map((other) => (other.key === one.key ? { ...other, taught: label } : other)));
    run(one.query, one.before, null); // what it says now that it knows
  };
  const empty = !savedContent(router.id)?.domains.length && !savedContent(router.id)?.blocked.length;
  return html`
    <section class="router-try" aria-label=${t('routers.tab_try')}>
      <form class="bench-ask" onSubmit=${submit}>
        <label class="visually-hidden" for="router-query">${t('routers.query')}</label>
        <div class="bench-line"><textarea id="router-query" rows="1" maxlength="4000" placeholder=${t('routers.query_hint')} value=${query.value} onInput=${(event) => { query.value = event.currentTarget.value; }}
            onKeyDown=${(event) => { if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) submit(event); }}></textarea>
          <button class="button primary" disabled=${!query.value.trim() || busy.value}>${t('routers.try')}</button></div>
        <div class="bench-options"><label class="bench-model"><span class="visually-hidden">${t('routers.by')}</span><select value=${version.value} onChange=${(event) => { version.value = event.currentTarget.value; }}><option value="">${t('routers.as_saved')}</option>${versions.value.map((one) => html`<option key=${one.number} value=${one.number}>${t('routers.version', { n: one.number })}</option>`)}</select></label>
          <label class="router-before"><span>${t('routers.before')}</span><input value=${before.value} maxlength="4000" autocomplete="off" placeholder=${t('routers.before_hint')} onInput=${(event) => { before.value = event.currentTarget.value; }} /></label></div>
      </form>
      ${isChanged(router.id) && html`<p class="router-unsaved">${t('routers.unsaved')} <button type="button" class="link small" onClick=${() => attempt(async () => { if (!(await save(router.id))) notify(fault.value?.text ?? t('routers.state_wrong'), { kind: 'error' }); })}>${t('action.save')}</button></p>`}
      <div aria-live="polite">${busy.value && html`<div class="opening small"><span class="spinner" aria-hidden="true"></span></div>`}
        ${known.map((one) => html`<${Result} key=${one.key} router=${router} one=${one} onTaught=${(/** @type {string} */ label) => taught(one, label)} />`)}</div>
      ${!known.length && !busy.value && html`<p class="trainer-empty">${empty ? t('routers.try_empty') : t('routers.try_lead')}</p>`}
    </section>`;
}
