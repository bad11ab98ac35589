/** Keys for programs: made, shown once with a call to try, revoked. */
import { useEffect } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { explain, get, post, remove } from '../shell/api.js';
import { day } from '../shell/format.js';
import { attempt } from '../shell/notices.js';
import { Icon } from '../shell/icons.js';
import { Confirm, Dialog } from '../shell/dialog.js';
import { defaultModel } from '../shell/state.js';
import { Markdown } from '../chat/markdown-view.js';

/** Calls that work as they stand. @param {string} origin @param {string} secret @param {string} model */
export function snippets(origin, secret, model) {
  const question = '안녕하세요!';
  return {
    curl: `curl ${origin}/v1/chat/completions \\\n  -H "Authorization: Bearer ${secret}" \\\n  -H "Content-Type: application/json" \\\n  -d '${JSON.stringify({ model, messages: [{ role: 'user', content: question }] })}'`,
    python: `from openai import OpenAI\n\nclient = OpenAI(base_url="${origin}/v1", api_key="${secret}")\nanswer = client.chat.completions.create(\n    model="${model}",\n    messages=[{"role": "user", "content": "${question}"}],\n)\nprint(answer.choices[0].message.content)`,
  };
}

export function Keys() {
  const keys = useSignal(/** @type {any[]|null} */ (null));
  const making = useSignal(false);
  const made = useSignal(/** @type {any} */ (null));
  const revoking = useSignal(/** @type {any} */ (null));
  const load = async () => {
    const answer = await get('/keys');
    keys.value = (Array.isArray(answer) ? answer : answer.items).filter((/** @type {any} */ key) => !key.revoked_at);
  };
  useEffect(() => { attempt(load); }, []);
  return html`
    <p class="quiet">${t('keys.lead')}</p>
    <p><button type="button" class="button primary" onClick=${() => { making.value = true; }}><${Icon} name="plus" />${t('keys.new')}</button></p>
    ${keys.value?.length === 0 && html`<p class="quiet">${t('keys.none')}</p>`}
    <ul class="lines">${(keys.value ?? []).map((key) => html`<li key=${key.id}>
      <div><strong>${key.name}</strong> ${key.prefix && html`<code>${key.prefix}…</code>`}
        <p class="quiet">${[t('keys.created', { date: day(key.created_at) }), key.expires_at && t('keys.expires', { date: day(key.expires_at) }), key.last_used_at && t('keys.used', { date: day(key.last_used_at) })].filter(Boolean).join(' · ')}</p></div>
      <button type="button" class="button small danger quiet" aria-label=${`${t('keys.revoke')}: ${key.name}`} onClick=${() => { revoking.value = key; }}>${t('keys.revoke')}</button></li>`)}</ul>
    ${making.value && html`<${NewKey} onClose=${() => { making.value = false; }} onMade=${(/** @type {any} */ answer) => { making.value = false; made.value = answer; attempt(load); }} />`}
    ${made.value && html`<${MadeKey} secret=${made.value.secret} onClose=${() => { made.value = null; }} />`}
    ${revoking.value && html`<${Confirm} title=${t('keys.revoke')} text=${t('keys.revoke_ask', { name: revoking.value.name })} action=${t('keys.revoke')}
      onClose=${() => { revoking.value = null; }} onConfirm=${() => { const { id } = revoking.value; attempt(async () => { await remove(`/keys/${id}`); await load(); }); }} />`}`;
}

/** @param {{onClose: () => void, onMade: (answer: any) => void}} props */
function NewKey({ onClose, onMade }) {
  const failed = useSignal('');
  const make = async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const data = new FormData(/** @type {HTMLFormElement} */ (event.currentTarget));
    /** @type {Record<string, any>} */
    const body = { name: String(data.get('name')).trim(), scopes: ['inference'] };
    for (const field of ['expires_days', 'requests_per_minute', 'tokens_per_minute', 'tokens_per_day']) {
      if (data.get(field)) body[field] = Number(data.get(field));
    }
    try { onMade(await post('/keys', body)); } catch (error) {
      const { text, fix } = explain(error, t);
      failed.value = `${text} ${fix}`;
    }
  };
  const limit = (/** @type {string} */ name) => html`<label>${t(`keys.${name}`)}<input type="number" name=${name} min="1" step="1" placeholder=${t('keys.unlimited')} /></label>`;
  return html`
    <${Dialog} title=${t('keys.new')} onClose=${onClose}>
      <form class="form" onSubmit=${make}>
        <label>${t('keys.name')}<input name="name" required maxlength="80" placeholder=${t('keys.name_example')} autofocus /></label>
        <label>${t('keys.expiry')}<select name="expires_days"><option value="">${t('keys.never')}</option>${[7, 30, 90, 365].map((n) => html`<option value=${n}>${t('keys.days', { n })}</option>`)}</select></label>
        <details><summary>${t('keys.limits')}</summary><div class="form">${limit('requests_per_minute')}${limit('tokens_per_minute')}${limit('tokens_per_day')}</div></details>
        ${failed.value && html`<p class="field-error" role="alert">${failed.value}</p>`}
        <div class="dialog-actions"><button type="button" class="button" onClick=${onClose}>${t('action.cancel')}</button><button type="submit" class="button primary">${t('keys.make')}</button></div>
      </form>
    <//>`;
}

/** @param {{secret: string, onClose: () => void}} props */
function MadeKey({ secret, onClose }) {
  const copied = useSignal(false);
  const { curl, python } = snippets(location.origin, secret, defaultModel.value?.name ?? 'standard');
  return html`
    <${Dialog} title=${t('keys.made')} onClose=${onClose} className="wide">
      <p>${t('keys.once')}</p>
      <div class="secret"><code>${secret}</code>
        <button type="button" class="button small" autofocus onClick=${() => attempt(async () => { await navigator.clipboard.writeText(secret); copied.value = true; })}>${copied.value ? t('message.copied') : t('keys.copy')}</button></div>
      <h3>${t('keys.try')}</h3>
      <${Markdown} text=${`\`\`\`bash\n${curl}\n\`\`\`\n\n\`\`\`python\n${python}\n\`\`\``} />
      <div class="dialog-actions"><button type="button" class="button primary" onClick=${onClose}>${t('keys.kept')}</button></div>
    <//>`;
}
