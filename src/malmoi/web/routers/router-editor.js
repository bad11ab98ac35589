/** Make a router, or change its name and description. */
import { useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { ApiError, explain } from '../shell/api.js';
import { complain } from '../shell/notices.js';
import { Dialog } from '../shell/dialog.js';
import { createRouter, describe } from './store.js';

/** @param {{router: import('./store.js').Router|null, onClose: () => void}} props */
export function RouterEditor({ router, onClose }) {
  const problem = useSignal('');
  const save = async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const given = new FormData(/** @type {HTMLFormElement} */ (event.currentTarget));
    const [name, description] = ['name', 'description'].map((one) => String(given.get(one)).trim());
    try {
      if (router) await describe(router.id, { name, description }); else await createRouter(name, description);
      onClose();
    } catch (error) {
      if (error instanceof ApiError && (error.status === 409 || error.status === 400)) problem.value = `${explain(error, t).text} ${error.fix}`.trim();
      else complain(error);
    }
  };
  return html`
    <${Dialog} title=${(router ? t('routers.edit') : t('routers.new'))} onClose=${onClose} className="narrow">
      <form class="form" onSubmit=${save}>
        <label>${t('routers.name')}<input name="name" required maxlength="60" defaultValue=${router?.name ?? ''} autocomplete="off" autofocus placeholder=${t('routers.name_hint')} /></label>
        <label>${t('routers.description')}<textarea name="description" rows="2" maxlength="2000" defaultValue=${router?.description ?? ''}></textarea></label>
        ${problem.value && html`<p class="field-error" role="alert">${problem.value}</p>`}
        <div class="dialog-actions"><button type="button" class="button" onClick=${onClose}>${t('action.cancel')}</button><button class="button primary">${t('action.save')}</button></div>
      </form>
    <//>`;
}
