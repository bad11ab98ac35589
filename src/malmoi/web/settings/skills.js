/** All skills: what they can do, which are on, what they need; for admins also installing and removing. */
import { useEffect } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { remove } from '../shell/api.js';
import { isAdmin } from '../shell/state.js';
import { attempt, notify } from '../shell/notices.js';
import { Confirm } from '../shell/dialog.js';
import { Icon } from '../shell/icons.js';
import { broken, forgetOperations, inLanguage, lacks, loadSkills, most, nameOf, operationsOf, skills } from '../chat/skills.js';
import { Credentials } from '../chat/skill-credentials.js';
import { Enough, SkillSwitch } from '../chat/skill-picker.js';
import { InstallSkill } from './skill-install.js';

/** @typedef {import('../chat/skills.js').Skill} Skill */

const ORIGINS = new Set(['builtin', 'operator', 'uploaded']);

/** @param {{name: string}} props */
function Operations({ name }) {
  const operations = operationsOf(name);
  if (!operations.length) return html`<p><span class="spinner" role="img" aria-label=${t('skills.opening')}></span></p>`;
  return html`<ul class="operations">${operations.map((operation) => html`<li key=${operation.name}><span>${inLanguage(operation.title) || operation.name}</span>
    <span class=${`tag ${operation.effect === 'write' ? 'writes' : 'plain'}`}>${operation.effect === 'write' ? t('skills.writes') : t('skills.reads')}</span> <code>${operation.name}</code></li>`)}</ul>`;
}

/** @param {{skill: Skill, onCredentials: () => void, onRemove: () => void}} props */
function SkillItem({ skill, onCredentials, onRemove }) {
  const opened = useSignal(false);
  const isUploaded = skill.origin === 'uploaded';
  const hasFoot = skill.needs.length > 0 || (isAdmin.value && isUploaded);
  return html`<li class="skill-item"><header><div class="skill-about"><${SkillSwitch} skill=${skill} /></div>
      <span class="skill-facts"><span class="tag plain">${ORIGINS.has(skill.origin) ? t(`skills.origin_${skill.origin}`) : skill.origin}</span> <span class="tag plain">${t('skills.version', { version: skill.version })}</span></span></header>
    <details onToggle=${(event) => { opened.value = event.currentTarget.open; }}><summary>${t('skills.operations')}</summary>${opened.value && html`<${Operations} name=${skill.name} />`}</details>
    ${hasFoot && html`<div class="skill-foot">
      ${skill.needs.length > 0 && html`<span class="skill-needs">${lacks(skill) ? html`<${Icon} name="alert" />${t('skills.needs')}` : skill.has_credentials ? t('skills.given') : ''}</span>
        <button type="button" class="button small" aria-label=${`${skill.has_credentials ? t('skills.change_keys') : t('skills.give_keys')}: ${nameOf(skill)}`} onClick=${onCredentials}>${skill.has_credentials ? t('skills.change_keys') : t('skills.give_keys')}</button>`}
      ${isAdmin.value && isUploaded && html`<span class="grow"></span><button type="button" class="button small danger quiet" aria-label=${`${t('skills.remove')}: ${nameOf(skill)}`} onClick=${onRemove}>${t('skills.remove')}</button>`}</div>`}
  </li>`;
}

export function Skills() {
  const giving = useSignal(/** @type {string|null} */ (null));
  const removing = useSignal(/** @type {Skill|null} */ (null));
  const installing = useSignal(false);
  useEffect(() => { attempt(loadSkills); }, []);
  const chosen = skills.value?.find((skill) => skill.name === giving.value);
  const faults = Object.entries(broken.value);
  const drop = (/** @type {Skill} */ skill) => attempt(async () => {
    await remove(`/skills/${encodeURIComponent(skill.name)}`);
    forgetOperations(skill.name);
    await loadSkills();
    notify(t('skills.removed', { name: nameOf(skill) }));
  });
  return html`
    <p class="quiet">${t('skills.lead', { n: most.value })}</p>
    <${Enough} />
    ${isAdmin.value && html`<p><button type="button" class="button" onClick=${() => { installing.value = true; }}><${Icon} name="plus" />${t('skills.install')}</button></p>`}
    ${isAdmin.value && faults.length > 0 && html`<h3>${t('skills.broken')}</h3><ul class="broken">${faults.map(([name, reason]) => html`<li key=${name}><strong>${name}</strong>: ${reason}</li>`)}</ul>`}
    ${!skills.value && html`<div class="opening"><span class="spinner" aria-hidden="true"></span></div>`}
    <ul class="skill-list">${[...(skills.value ?? [])].sort((one, other) => nameOf(one).localeCompare(nameOf(other))).map((skill) => html`<${SkillItem} key=${skill.name} skill=${skill}
      onCredentials=${() => { giving.value = skill.name; }} onRemove=${() => { removing.value = skill; }} />`)}</ul>
    ${chosen && html`<${Credentials} skill=${chosen} onClose=${() => { giving.value = null; }} />`}
    ${removing.value && html`<${Confirm} title=${t('skills.remove')} text=${t('skills.remove_ask', { name: nameOf(removing.value) })} action=${t('skills.remove')}
      onClose=${() => { removing.value = null; }} onConfirm=${() => drop(/** @type {Skill} */ (removing.peek()))} />`}
    ${installing.value && html`<${InstallSkill} onClose=${() => { installing.value = false; }} />`}`;
}
