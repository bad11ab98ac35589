/** Make a set, or change its name, its texts and its skills. */
import { useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { language, t } from '../shell/i18n.js';
import { ApiError, explain } from '../shell/api.js';
import { complain } from '../shell/notices.js';
import { Dialog } from '../shell/dialog.js';
import { changeSet, createSet, skills } from './store.js';

const MOST = 10;

/** @param {{set: import('./store.js').SkillSet|null, onClose: () => void}} props */
export function SetEditor({ set, onClose }) {
  const chosen = useSignal(new Set(set?.skills ?? []));
  const problem = useSignal('');
  const toggle = (/** @type {string} */ name, /** @type {boolean} */ wanted) => {
    const next = new Set(chosen.value);
    if (wanted) next.add(name); else next.delete(name);
    chosen.value = next;
  };
  const save = async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const given = new FormData(/** @type {HTMLFormElement} */ (event.currentTarget));
    const body = { ...Object.fromEntries(['name', 'description', 'tone', 'format'].map((name) => [name, String(given.get(name)).trim()])), skills: [...chosen.value] };
    if (!chosen.value.size) { problem.value = t('trainer.needs_skill'); return; }
    try {
      if (set) await changeSet(set.id, body); else await createSet(body);
      onClose();
    } catch (error) {
      if (error instanceof ApiError && error.status === 409) problem.value = `${explain(error, t).text} ${error.fix}`;
      else complain(error);
    }
  };
  return html`
    <${Dialog} title=${(set ? t('trainer.edit_set') : t('trainer.new_set'))} onClose=${onClose}>
      <form class="form" onSubmit=${save}>
        <label>${t('trainer.set_name')}<input name="name" required maxlength="60" defaultValue=${set?.name ?? ''} autocomplete="off" autofocus placeholder=${t('trainer.set_name_hint')} /></label>
        <fieldset class="trainer-pick"><legend>${t('trainer.skills')} <small>${t('trainer.skills_most', { n: MOST })}</small></legend>
          ${[...skills.value.values()].map((skill) => { const told = skill.people[language.value] ?? skill.people.ko; return html`
            <label key=${skill.name} class="check"><input type="checkbox" checked=${chosen.value.has(skill.name)} disabled=${!chosen.value.has(skill.name) && chosen.value.size >= MOST} onChange=${(event) => toggle(skill.name, event.currentTarget.checked)} /><span>${told?.name ?? skill.name}<small>${told?.description ?? ''}</small></span></label>`; })}</fieldset>
        <label>${t('trainer.set_about')}<textarea name="description" rows="2" maxlength="4000" defaultValue=${set?.description ?? ''}></textarea><small>${t('trainer.set_about_hint')}</small></label>
        <div class="trainer-two">
          <label>${t('trainer.tone')}<input name="tone" maxlength="500" defaultValue=${set?.tone ?? ''} autocomplete="off" placeholder=${t('trainer.tone_hint')} /></label>
          <label>${t('trainer.format')}<input name="format" maxlength="500" defaultValue=${set?.format ?? ''} autocomplete="off" placeholder=${t('trainer.format_hint')} /></label></div>
        ${problem.value && html`<p class="field-error" role="alert">${problem.value}</p>`}
        <div class="dialog-actions"><button type="button" class="button" onClick=${onClose}>${t('action.cancel')}</button><button class="button primary">${t('action.save')}</button></div>
      </form>
    <//>`;
}
