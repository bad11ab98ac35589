/** The start: words first, then the page. */
import { render } from 'preact';
import { html } from './view.js';
import { chooseLanguage, useLanguage } from './i18n.js';
import { startRouter } from './router.js';
import { App, start } from './app.js';

await useLanguage(chooseLanguage(null));
startRouter();
render(html`<${App} />`, /** @type {HTMLElement} */ (document.getElementById('app')));
start();
