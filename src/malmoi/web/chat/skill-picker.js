/** Which skills the model may use: a button with all of them as switches, and those that are on as chips. */
import { useEffect } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { may } from '../shell/state.js';
import { attempt } from '../shell/notices.js';
import { Icon } from '../shell/icons.js';
import { Popover } from '../shell/popover.js';
import { Credentials } from './skill-credentials.js';
import { aboutOf, enough, examplesOf, lacks, loadSkills, most, nameOf, obstacle, skills, switchedOn, switchSkill } from './skills.js';

/** @typedef {import('./skills.js').Skill} Skill */

const EXAMPLES = 3;
const ENOUGH = 'skills-enough';

/** Why no further skill can be switched on, said once above all of them. */
export function Enough() {
  const why = enough();
  return why && html`<p class="skill-why" id=${ENOUGH}><${Icon} name="alert" /><span>${why}</span></p>`;
}

/** A switch of a skill; one that a rule stops says which. @param {{skill: Skill}} props */
export function SkillSwitch({ skill }) {
  const why = obstacle(skill);
  const isFull = why === enough();
  const id = `skill-${skill.name}`;
  return html`<label class="skill-switch"><input type="checkbox" role="switch" checked=${skill.switched_on} disabled=${Boolean(why)}
      aria-describedby=${`${id}-about${why ? ` ${isFull ? ENOUGH : `${id}-why`}` : ''}`} onChange=${(event) => { const box = event.currentTarget; attempt(() => switchSkill(skill.name, box.checked)).then(() => { box.checked = Boolean(skills.value?.find((one) => one.name === skill.name)?.switched_on); }); }} />
      <span>${nameOf(skill)}</span></label>
    <p class="quiet" id=${`${id}-about`}>${aboutOf(skill)}</p>
    ${why && !isFull && html`<p class="skill-why" id=${`${id}-why`}><${Icon} name="alert" /><span>${why}</span></p>`}`;
}

/** @param {{skill: Skill, onExample: (text: string) => void, onCredentials: () => void}} props */
function SkillRow({ skill, onExample, onCredentials }) {
  return html`<li class=${`skill-row ${skill.switched_on ? 'on' : ''}`}>
    <${SkillSwitch} skill=${skill} />
    ${skill.needs.length > 0 && html`<p class="skill-needs">${lacks(skill) ? html`<${Icon} name="alert" />${t('skills.needs')}` : skill.has_credentials && t('skills.given')}
      <button type="button" class="link" onClick=${onCredentials}>${skill.has_credentials ? t('skills.change_keys') : t('skills.give_keys')}</button></p>`}
    ${skill.switched_on && skill.examples.length > 0 && html`<ul class="skill-examples" aria-label=${t('skills.examples')}>${examplesOf(skill, EXAMPLES).map((text) => html`
      <li key=${text}><button type="button" onClick=${() => onExample(text)}>${text}</button></li>`)}</ul>`}
  </li>`;
}

/** @param {{onExample: (text: string) => void}} props */
export function SkillPicker({ onExample }) {
  const giving = useSignal(/** @type {string|null} */ (null));
  const mayUse = may('skills');
  useEffect(() => { if (mayUse && !skills.value) attempt(loadSkills); }, [mayUse]);
  if (!mayUse) return null;
  const names = switchedOn.value.map(nameOf).join(', ');
  const chosen = skills.value?.find((skill) => skill.name === giving.value);
  return html`
    <${Popover} label=${names ? t('skills.choose', { names }) : t('skills.choose_none')} className=${`skills-button ${names ? 'on' : ''}`} panelClass="skills-panel"
      button=${html`<${Icon} name="skill" /><span>${t('skills.title')}</span>`}>
      ${(/** @type {() => void} */ close) => html`
        <h2>${t('skills.title')}</h2>
        <p class="quiet">${t('skills.lead', { n: most.value })}</p>
        <${Enough} />
        <ul class="skill-rows">${[...(skills.value ?? [])].sort((one, other) => nameOf(one).localeCompare(nameOf(other))).map((skill) => html`<${SkillRow} key=${skill.name} skill=${skill}
          onExample=${(/** @type {string} */ text) => { close(); onExample(text); }} onCredentials=${() => { close(); giving.value = skill.name; }} />`)}</ul>
        <p><a href="/settings/skills">${t('skills.all')}</a></p>`}
    <//>
    ${chosen && html`<${Credentials} skill=${chosen} onClose=${() => { giving.value = null; }} />`}`;
}

/** The skills that are on, each with a way to switch it off. */
export function SkillChips() {
  if (!may('skills') || !switchedOn.value.length) return null;
  return html`<ul class="skill-chips" aria-label=${t('skills.on')}>${switchedOn.value.map((skill) => html`<li key=${skill.name} class=${lacks(skill) ? 'lacks' : ''} title=${lacks(skill) ? t('skills.needs') : undefined}><${Icon} name=${lacks(skill) ? 'alert' : 'skill'} /><span>${nameOf(skill)}</span>
    <button type="button" aria-label=${t('skills.off', { name: nameOf(skill) })} title=${t('skills.off', { name: nameOf(skill) })} onClick=${() => attempt(() => switchSkill(skill.name, false))}><${Icon} name="close" /></button></li>`)}</ul>`;
}
