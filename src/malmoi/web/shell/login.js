/** The log-in page, shown when the server asks for an account. */
import { useSignal } from '@preact/signals';
import { html } from './view.js';
import { t } from './i18n.js';
import { ApiError, explain } from './api.js';
import { signIn } from './state.js';
import { Mark } from './icons.js';

/** @param {{onSignedIn: () => void}} props */
export function Login({ onSignedIn }) {
  const failed = useSignal('');
  const busy = useSignal(false);
  const submit = async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const data = new FormData(/** @type {HTMLFormElement} */ (event.currentTarget));
    busy.value = true;
    failed.value = '';
    try {
      await signIn(String(data.get('name')), String(data.get('password')));
      onSignedIn();
    } catch (error) {
      const { text, fix, retryAfter } = explain(error, t);
      failed.value = error instanceof ApiError && error.status === 401 ? t('login.wrong')
        : error instanceof ApiError && error.status === 429 ? t('login.paused', { n: retryAfter ?? 60 }) : `${text} ${fix}`;
    }
    busy.value = false;
  };
  return html`
    <main id="main" class="login">
      <form class="login-card form" onSubmit=${submit}>
        <${Mark} /><h1>${t('login.title')}</h1>
        <label>${t('login.name')}<input name="name" autocomplete="username" required autofocus /></label>
        <label>${t('login.password')}<input name="password" type="password" autocomplete="current-password" required /></label>
        ${failed.value && html`<p class="field-error" role="alert">${failed.value}</p>`}
        <button type="submit" class="button primary" disabled=${busy.value}>${t('login.in')}</button>
      </form>
    </main>`;
}
