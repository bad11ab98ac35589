/** The people of a collection, by key, and the one who is looked at. */
import { useEffect } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { get } from '../shell/api.js';
import { attempt } from '../shell/notices.js';
import { look, path, person } from './store.js';
import { PersonView } from './person-view.js';

export function People() {
  const keys = useSignal(/** @type {string[]} */ ([]));
  const more = useSignal(false);
  const beginning = useSignal('');
  const load = (/** @type {string} */ after) => attempt(async () => {
    const wanted = beginning.value;
    const found = await get(path(`people?beginning=${encodeURIComponent(wanted)}&after=${encodeURIComponent(after)}`));
    if (wanted !== beginning.value) return; // somebody has typed on
    keys.value = after ? [...keys.value, ...found.keys] : found.keys;
    more.value = found.more;
  });
  useEffect(() => { load(''); }, [beginning.value]);
  const gone = (/** @type {string} */ key) => { keys.value = keys.value.filter((item) => item !== key); };
  return html`
    <div class="users-split">
      <section class="users-list" aria-label=${t('users.tab_people')}>
        <label class="users-find">${t('users.find')}<input type="search" autocomplete="off" spellcheck="false" value=${beginning.value} onInput=${(event) => { beginning.value = event.currentTarget.value; }} /></label>
        ${keys.value.length === 0 && html`<p class="quiet">${t('users.nobody')}</p>`}
        <ul>${keys.value.map((key) => html`<li key=${key}><button type="button" aria-pressed=${String(person.value?.key === key)} onClick=${() => attempt(() => look(key))}>${key}</button></li>`)}</ul>
        ${more.value && html`<button type="button" class="button small" onClick=${() => load(keys.value.at(-1) ?? '')}>${t('users.more')}</button>`}
      </section>
      ${person.value ? html`<${PersonView} key=${person.value.key} onGone=${gone} />` : html`<p class="quiet users-hint">${t('users.choose')}</p>`}
    </div>`;
}
