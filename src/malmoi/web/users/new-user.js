/** Somebody new: type what was done, one thing a line, and see at once what comes of it. Nothing of it is kept. */
import { useEffect, useRef } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { get } from '../shell/api.js';
import { attempt } from '../shell/notices.js';
import { overview, recommend } from './store.js';
import { Items } from './items.js';

const PAUSE = 350; // ms without a key before the server is asked

export function NewUser() {
  const text = useSignal('');
  const items = useSignal(/** @type {import('./store.js').Item[]|null} */ (null));
  const services = useSignal(/** @type {string[]} */ ([]));
  const off = useSignal(/** @type {string[]} */ ([]));
  const newest = useRef(0);
  useEffect(() => {
    attempt(async () => { services.value = (await get(`/users/models/${encodeURIComponent(overview.value?.models[0] ?? '')}`)).services; });
  }, []);
  useEffect(() => {
    const mine = ++newest.current;
    const history = text.value.split('\n').map((line) => line.trim()).filter(Boolean);
    if (!history.length) { items.value = null; return undefined; }
    const timer = setTimeout(() => attempt(async () => {
      const wanted = off.value.length ? services.value.filter((name) => !off.value.includes(name)) : null;
      const found = await recommend(history, wanted);
      if (mine === newest.current) items.value = found;
    }), PAUSE);
    return () => clearTimeout(timer);
  }, [text.value, off.value]);
  const toggle = (/** @type {string} */ name) => { off.value = off.value.includes(name) ? off.value.filter((item) => item !== name) : [...off.value, name]; };
  return html`
    <div class="users-new">
      <section class="form">
        <p class="quiet">${t('users.new_lead')}</p>
        <label>${t('users.new_history')}<textarea rows="8" value=${text.value} placeholder=${t('users.new_example')} onInput=${(event) => { text.value = event.currentTarget.value; }}></textarea></label>
        ${services.value.length > 1 && html`<fieldset class="users-services"><legend>${t('users.services')}</legend>
          ${services.value.map((name) => html`<label key=${name} class="check"><input type="checkbox" checked=${!off.value.includes(name)} onChange=${() => toggle(name)} />${name}</label>`)}</fieldset>`}
      </section>
      <section aria-live="polite"><h2>${t('users.recommended')}</h2>
        ${items.value ? html`<${Items} items=${items.value} />` : html`<p class="quiet">${t('users.new_none')}</p>`}</section>
    </div>`;
}
