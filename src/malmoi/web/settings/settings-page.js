/** The settings: one page, a section an address. */
import { useEffect } from 'preact/hooks';
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { route } from '../shell/router.js';
import { drawerOpen, isAdmin, may } from '../shell/state.js';
import { Icon } from '../shell/icons.js';
import { General } from './general.js';
import { Models } from './models.js';
import { Personas } from './personas.js';
import { Data } from './data.js';
import { Keys } from './keys.js';
import { Usage } from './usage.js';
import { Accounts } from './accounts.js';
import { Skills } from './skills.js';
import { Activity } from './activity.js';

const SECTIONS = { general: General, models: Models, personas: Personas, skills: Skills, activity: Activity, data: Data, keys: Keys, usage: Usage, accounts: Accounts };

export function SettingsPage() {
  const { section } = route.value;
  const names = Object.keys(SECTIONS).filter((name) => (name !== 'accounts' || isAdmin.value) && (!['skills', 'activity'].includes(name) || may('skills')));
  const name = names.includes(section) ? section : 'general';
  const View = SECTIONS[/** @type {keyof typeof SECTIONS} */ (name)];
  // On a narrow window the sections are one line that scrolls.
  useEffect(() => { document.querySelector('.settings-nav [aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'center' }); }, [name]);
  useEffect(() => { document.title = `${t(`settings.${name}`)} · ${t('app.name')}`; });
  return html`
    <header class="bar">
      <button type="button" class="icon-button drawer-button" aria-label=${t('sidebar.open')} onClick=${() => { drawerOpen.value = true; }}><${Icon} name="menu" /></button>
      <h1 class="bar-title">${t('settings.title')}</h1>
      <span class="grow"></span>
      <a class="icon-button" href="/chat" aria-label=${t('settings.close')} title=${t('settings.close')}><${Icon} name="close" /></a>
    </header>
    <main id="main" class="settings" tabindex="-1">
      <nav class="settings-nav" aria-label=${t('settings.title')}>${names.map((item) => html`
        <a key=${item} href=${`/settings/${item}`} aria-current=${item === name ? 'page' : undefined}>${t(`settings.${item}`)}</a>`)}</nav>
      <section class="settings-body" key=${name} aria-labelledby="settings-heading"><h2 id="settings-heading">${t(`settings.${name}`)}</h2><${View} /></section>
    </main>`;
}
