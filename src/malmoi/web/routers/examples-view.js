/** What a router learns from: domains, subjects that are not answered, and what is about neither. */
import { useEffect, useRef } from 'preact/hooks';
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { navigate } from '../shell/router.js';
import { attempt, notify } from '../shell/notices.js';
import { number } from '../shell/format.js';
import { Icon } from '../shell/icons.js';
import { discard, draft, fault, isChanged, linesOf, newCard, save, savedContent, write } from './store.js';
import { freeze } from './freezing.js';

const MOST = 600; // examples of one router
const MOST_TOPICS = 30;

/** @typedef {import('./store.js').Router} Router @typedef {import('./store.js').Part} Part */

/** @param {{router: Router, part: Part, card: import('./store.js').Card}} props */
function TopicCard({ router, part, card }) {
  const id = `topic-${card.key}`;
  const name = useRef(/** @type {HTMLInputElement|null} */ (null));
  useEffect(() => { if (card.isNew) name.current?.focus(); }, []);
  const wrong = fault.value?.router === router.id && fault.value.key === card.key ? fault.value.text : '';
  const count = linesOf(card.lines).length;
  const change = (/** @type {Partial<import('./store.js').Card>} */ changes) => {
    const known = draft(router.id);
    if (known) write(router.id, { [part]: known[part].map((one) => (one.key === card.key ? { ...one, ...changes } : one)) });
  };
  const drop = () => {
    const before = draft(router.id)?.[part] ?? [];
    const place = before.findIndex((one) => one.key === card.key);
    write(router.id, { [part]: before.filter((one) => one.key !== card.key) });
    if (card.name || count) {
      notify(t('routers.dropped', { name: card.name || t('routers.unnamed') }), { action: { label: t('action.undo'), run: () => {
        const now = draft(router.id)?.[part] ?? [];
        write(router.id, { [part]: [...now.slice(0, place), card, ...now.slice(place)] });
      } } });
    }
  };
  return html`
    <section class=${`topic ${wrong ? 'wrong' : ''}`} aria-label=${card.name || t('routers.unnamed')}>
      <header><label class="visually-hidden" for=${`${id}-name`}>${t('routers.topic_name')}</label>
        <input ref=${name} id=${`${id}-name`} class="topic-name" maxlength="40" autocomplete="off" placeholder=${part === 'domains' ? t('routers.domain_hint') : t('routers.blocked_hint')} value=${card.name} onInput=${(event) => change({ name: event.currentTarget.value })} />
        <button type="button" class="icon-button small" aria-label=${t('routers.drop', { name: card.name || t('routers.unnamed') })} title=${t('action.delete')} onClick=${drop}><${Icon} name="trash" /></button></header>
      <label class="visually-hidden" for=${`${id}-about`}>${t('routers.topic_about')}</label>
      <input id=${`${id}-about`} class="topic-about" maxlength="500" autocomplete="off" placeholder=${t('routers.topic_about')} value=${card.description} onInput=${(event) => change({ description: event.currentTarget.value })} />
      <label for=${`${id}-lines`}>${t('routers.examples', { n: number(count) })}</label>
      <textarea id=${`${id}-lines`} class="trainer-text" rows="4" spellcheck="false" placeholder=${t('routers.one_a_line')} aria-invalid=${wrong ? 'true' : undefined} aria-describedby=${wrong ? `${id}-wrong` : undefined} value=${card.lines} onInput=${(event) => change({ lines: event.currentTarget.value })}></textarea>
      ${wrong && html`<p class="field-error" role="alert" id=${`${id}-wrong`}>${wrong}</p>`}
    </section>`;
}

/** @param {{router: Router, part: Part}} props */
function Topics({ router, part }) {
  const known = draft(router.id);
  if (!known) return null;
  const cards = known[part];
  const add = () => write(router.id, { [part]: [...cards, { ...newCard(), isNew: true }] });
  const title = part === 'domains' ? t('routers.domains') : t('routers.blocked');
  return html`
    <section class="topics" aria-label=${title}>
      <header><h2>${title}</h2><p class="quiet">${part === 'domains' ? t('routers.domains_about') : t('routers.blocked_about')}</p></header>
      ${cards.length > 0 && html`<div class="topic-grid">${cards.map((card) => html`<${TopicCard} key=${card.key} router=${router} part=${part} card=${card} />`)}</div>`}
      <p><button type="button" class="button small" disabled=${cards.length >= MOST_TOPICS} onClick=${add}><${Icon} name="plus" />${part === 'domains' ? t('routers.add_domain') : t('routers.add_blocked')}</button></p>
    </section>`;
}

/** @param {{router: Router}} props */
function Others({ router }) {
  const known = draft(router.id);
  if (!known) return null;
  return html`
    <section class="topics" aria-label=${t('routers.others')}>
      <header><h2>${t('routers.others')}</h2><p class="quiet">${t('routers.others_about')}</p></header>
      <label class="visually-hidden" for="others">${t('routers.others')}</label>
      <textarea id="others" class="trainer-text" rows="3" spellcheck="false" placeholder=${t('routers.one_a_line')} value=${known.others} onInput=${(event) => write(router.id, { others: event.currentTarget.value })}></textarea>
      <label class="check small"><input type="checkbox" checked=${known.usual_others} onChange=${(event) => write(router.id, { usual_others: event.currentTarget.checked })} /><span>${t('routers.usual_others')}<small>${t('routers.usual_others_about')}</small></span></label>
      <label class="check small"><input type="checkbox" checked=${known.safety} onChange=${(event) => write(router.id, { safety: event.currentTarget.checked })} /><span>${t('routers.safety')}<small>${t('routers.safety_about')}</small></span></label>
    </section>`;
}

/** @param {{router: Router}} props */
function SaveBar({ router }) {
  const known = draft(router.id);
  const changed = isChanged(router.id);
  const wrong = fault.value?.router === router.id ? fault.value : null;
  const kept = savedContent(router.id);
  const count = known ? [...known.domains, ...known.blocked].reduce((sum, card) => sum + linesOf(card.lines).length, linesOf(known.others).length) : 0;
  const isEmpty = !kept || !(kept.domains.length || kept.blocked.length);
  const state = wrong ? (wrong.key === null ? wrong.text : t('routers.state_wrong')) : changed ? t('routers.state_changed') : isEmpty ? t('routers.state_empty') : t('routers.state_saved', { n: number(count) });
  const store = () => attempt(async () => {
    if (!(await save(router.id)) && fault.value) document.querySelector('.topic.wrong')?.scrollIntoView({ block: 'nearest' });
  });
  return html`<footer class="bench-save">
    <p class=${`bench-state ${wrong ? 'wrong' : ''}`} role="status">${state}${count > MOST * 0.8 ? ` · ${t('routers.most', { n: number(count), most: number(MOST) })}` : ''}</p>
    ${changed && html`<button type="button" class="button" onClick=${() => discard(router.id)}>${t('routers.discard')}</button>`}
    ${(changed || wrong) ? html`<button type="button" class="button primary" onClick=${store}>${t('action.save')}</button>`
      : html`<button type="button" class="button" disabled=${isEmpty} onClick=${() => navigate(`/routers/${router.id}/try`)}>${t('routers.try')}</button>
        <button type="button" class="button primary" disabled=${isEmpty} onClick=${() => attempt(() => freeze(router.id))}>${t('routers.freeze')}</button>`}
  </footer>`;
}

/** @param {{router: Router}} props */
export function ExamplesView({ router }) {
  const changed = isChanged(router.id);
  useEffect(() => {
    if (!changed) return undefined;
    const onLeave = (/** @type {BeforeUnloadEvent} */ event) => event.preventDefault();
    addEventListener('beforeunload', onLeave);
    return () => removeEventListener('beforeunload', onLeave);
  }, [changed]);
  if (!draft(router.id)) return html`<div class="opening"><span class="spinner" aria-hidden="true"></span></div>`;
  return html`<div class="router-examples">
    <${Topics} router=${router} part="domains" /><${Topics} router=${router} part="blocked" /><${Others} router=${router} />
    <${SaveBar} router=${router} /></div>`;
}
