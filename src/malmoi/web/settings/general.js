/** Language, appearance, the Enter key, and the session. */
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { attempt } from '../shell/notices.js';
import { preferences, savePreferences, session, signOut } from '../shell/state.js';

/**
 * A choice among a few words.
 * @param {{name: string, label: string, value: any, options: [any, string][]}} props
 */
function Choice({ name, label, value, options }) {
  return html`
    <fieldset class="choice"><legend>${label}</legend>
      <div class="segments">${options.map(([option, words]) => html`
        <label key=${String(option)}><input type="radio" name=${name} checked=${value === option} onChange=${() => attempt(() => savePreferences({ [name]: option }))} /><span>${words}</span></label>`)}</div>
    </fieldset>`;
}

export function General() {
  const { language, theme, send_on_enter: sendOnEnter } = preferences.value;
  const { account, login_required: loginRequired, version } = session.value;
  return html`
    <${Choice} name="language" label=${t('general.language')} value=${language} options=${[[null, t('general.automatic')], ['ko', '한국어'], ['en', 'English']]} />
    <${Choice} name="theme" label=${t('general.theme')} value=${theme} options=${[['system', t('general.system')], ['light', t('general.light')], ['dark', t('general.dark')]]} />
    <${Choice} name="send_on_enter" label=${t('general.send')} value=${sendOnEnter} options=${[[true, t('general.send_enter')], [false, t('general.send_ctrl')]]} />
    <p class="quiet">${t('general.send_help')}</p>
    <hr />
    <p class="quiet">${t('general.version', { version: version ?? '' })}${account ? ` · ${t('general.account', { name: account.name })}` : ''}</p>
    ${loginRequired && html`<button type="button" class="button" onClick=${() => attempt(signOut)}>${t('login.out')}</button>`}`;
}
