/** What the keys do. */
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { Dialog } from '../shell/dialog.js';

/** @param {{onClose: () => void}} props */
export function KeysHelp({ onClose }) {
  const rows = [
    [['0', '7'], t('redteam.key_digits')],
    [['J', 'K'], t('redteam.key_replies')],
    [['←', '→'], t('redteam.key_scales')],
    [['Enter'], t('redteam.key_enter')],
    [['U'], t('redteam.key_undo')],
    [['R'], t('redteam.key_reveal')],
    [['Esc'], t('redteam.key_escape')],
    [['?'], t('redteam.key_help')],
  ];
  return html`
    <${Dialog} title=${t('redteam.keys')} onClose=${onClose} className="narrow">
      <table class="keys"><tbody>${rows.map(([keys, words]) => html`<tr key=${words}><th scope="row">${/** @type {string[]} */ (keys).map((key, at) => html`${at > 0 && ' '}<kbd key=${key}>${key}</kbd>`)}</th><td>${words}</td></tr>`)}</tbody></table>
    <//>`;
}
