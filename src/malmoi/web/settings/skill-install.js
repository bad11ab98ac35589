/** A new skill: its manifest and its OpenAPI document, looked through line by line before it is kept. */
import { useRef } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { explain, post } from '../shell/api.js';
import { notify } from '../shell/notices.js';
import { Dialog } from '../shell/dialog.js';
import { Icon } from '../shell/icons.js';
import { forgetOperations, loadSkills } from '../chat/skills.js';

/** @typedef {{level: string, file: string, line: number, key: string, message: string}} Finding */

/** @param {{onClose: () => void}} props */
export function InstallSkill({ onClose }) {
  const form = useRef(/** @type {HTMLFormElement|null} */ (null));
  const findings = useSignal(/** @type {Finding[]|null} */ (null));
  const failed = useSignal('');
  const busy = useSignal(false);
  const body = () => {
    const data = new FormData(/** @type {HTMLFormElement} */ (form.current));
    const document = String(data.get('document'));
    return { manifest: String(data.get('manifest')), document_name: document.trim() ? String(data.get('document_name')).trim() : '', document: document.trim() ? document : null };
  };
  /** @param {string} path */
  const send = async (path) => {
    if (busy.value || !form.current?.reportValidity()) return;
    busy.value = true;
    failed.value = '';
    try {
      const answer = await post(path, body());
      findings.value = answer.findings;
      if (answer.installed) {
        forgetOperations(answer.installed);
        await loadSkills();
        notify(t('skills.installed', { name: answer.installed }));
        onClose();
      }
    } catch (error) {
      const { text, fix } = explain(error, t);
      failed.value = `${text} ${fix}`;
    }
    busy.value = false;
    requestAnimationFrame(() => form.current?.querySelector('.dialog-actions')?.scrollIntoView({ block: 'nearest' }));
  };
  /** Take a file into a box. @param {Event} event @param {string} box */
  const take = async (event, box) => {
    const file = /** @type {HTMLInputElement} */ (event.currentTarget).files?.[0];
    const fields = form.current?.elements;
    if (!file || !fields) return;
    /** @type {HTMLTextAreaElement} */ (fields.namedItem(box)).value = await file.text();
    if (box === 'document') /** @type {HTMLInputElement} */ (fields.namedItem('document_name')).value = file.name;
    findings.value = null;
  };
  const errors = (findings.value ?? []).filter((one) => one.level === 'error').length;
  return html`
    <${Dialog} title=${t('skills.install')} onClose=${onClose} className="wide">
      <p class="quiet">${t('skills.install_lead')}</p>
      <form ref=${form} class="form install" onSubmit=${(event) => { event.preventDefault(); send('/skills'); }} onInput=${() => { findings.value = null; }}>
        <label>${t('skills.manifest')}<input type="file" accept=".toml,text/plain" onChange=${(event) => take(event, 'manifest')} />
          <textarea name="manifest" required maxlength="262144" spellcheck=${false} aria-label=${t('skills.manifest')} placeholder='name = "cafe"'></textarea></label>
        <label>${t('skills.document')}<input type="file" accept=".json,.yaml,.yml" onChange=${(event) => take(event, 'document')} />
          <textarea name="document" maxlength="2097152" spellcheck=${false} aria-label=${t('skills.document')} placeholder='{"openapi": "3.1.0"}'></textarea></label>
        <label>${t('skills.document_name')}<input name="document_name" maxlength="255" pattern="[A-Za-z0-9._\\-]*" defaultValue="openapi.json" autocomplete="off" /></label>
        ${failed.value && html`<p class="field-error" role="alert">${failed.value}</p>`}
        <div role="status">${findings.value && html`<p><strong>${findings.value.length ? t('skills.findings', { errors, all: findings.value.length }) : t('skills.no_findings')}</strong></p>
          <ul class="findings">${findings.value.map((one, at) => html`<li key=${at} class=${one.level}><code>${one.file}${one.line ? `:${one.line}` : ''}</code>${one.key && html`<strong>${one.key}</strong> `}${one.message}</li>`)}</ul>`}</div>
        <div class="dialog-actions"><button type="button" class="button" onClick=${onClose}>${t('action.cancel')}</button>
          <button type="button" class="button" disabled=${busy.value} onClick=${() => send('/skills/validate')}><${Icon} name="check" />${t('skills.validate')}</button>
          <button type="submit" class="button primary" disabled=${busy.value}>${t('skills.do_install')}</button></div>
      </form>
    <//>`;
}
