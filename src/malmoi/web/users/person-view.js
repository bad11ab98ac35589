/** One user: the history, who is alike, what is recommended and why, and the way to take the user out. */
import { useEffect } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { remove } from '../shell/api.js';
import { moment, number } from '../shell/format.js';
import { attempt, notify } from '../shell/notices.js';
import { Confirm } from '../shell/dialog.js';
import { Icon } from '../shell/icons.js';
import { addSeed, loadOverview, look, overview, path, person, recommend } from './store.js';
import { Items } from './items.js';

/** @param {{onGone: (key: string) => void}} props */
export function PersonView({ onGone }) {
  const items = useSignal(/** @type {import('./store.js').Item[]|null} */ (null));
  const asking = useSignal(false);
  const shown = /** @type {import('./store.js').Person} */ (person.value);
  const served = Boolean(overview.value?.models.length);
  useEffect(() => {
    if (served) attempt(async () => { items.value = await recommend(shown.history); });
  }, [shown.key]);
  const forget = () => attempt(async () => {
    await remove(path(`person?key=${encodeURIComponent(shown.key)}`));
    person.value = null;
    onGone(shown.key);
    notify(t('users.forgotten'));
    await loadOverview();
  });
  return html`
    <article class="users-person" aria-label=${shown.key}>
      <header><h2>${shown.key}</h2>
        <p class="quiet">${t('users.events', { n: number(shown.events) })}${shown.last !== null && html` · ${t('users.last', { date: moment(new Date(shown.last * 1000).toISOString()) })}`}</p>
        <p class="users-actions"><button type="button" class="button small" onClick=${() => { addSeed(shown.key); notify(t('users.seed_added')); }}><${Icon} name="plus" />${t('users.add_seed')}</button>
          <button type="button" class="button small danger quiet" aria-haspopup="dialog" onClick=${() => { asking.value = true; }}><${Icon} name="trash" />${t('users.forget')}</button></p></header>
      <section><h3>${t('users.history')}</h3>
        ${shown.events > shown.history.length && html`<p class="quiet">${t('users.newest', { n: shown.history.length })}</p>`}
        ${shown.history.length === 0 && html`<p class="quiet">${t('users.no_history')}</p>`}
        <ol class="users-history" reversed>${[...shown.history].reverse().map((text, place) => html`<li key=${place}>${text}</li>`)}</ol></section>
      <section><h3>${t('users.neighbours')}</h3>
        <ul class="users-neighbours">${shown.neighbours.map((near) => html`<li key=${near.key}><button type="button" class="link" onClick=${() => attempt(() => look(near.key))}>${near.key}</button> <span class="quiet">${number(near.score, 3)}</span></li>`)}</ul></section>
      <section aria-live="polite"><h3>${t('users.recommended')}</h3>
        ${!served ? html`<p class="quiet">${t('users.no_model')}</p>` : items.value ? html`<${Items} items=${items.value} />` : html`<span class="spinner" aria-hidden="true"></span>`}</section>
      ${asking.value && html`<${Confirm} title=${t('users.forget')} text=${t('users.forget_ask', { name: shown.key })} action=${t('users.forget')} onConfirm=${forget} onClose=${() => { asking.value = false; }} />`}
    </article>`;
}
