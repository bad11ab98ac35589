/** A model's reasoning, folded away: a line that opens on demand and shows that it is still going on. */
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { Icon } from '../shell/icons.js';
import { Markdown } from './markdown-view.js';

/** @param {{text: string, streaming: boolean}} props */
export function Reasoning({ text, streaming }) {
  return html`
    <details class="reasoning">
      <summary><${Icon} name="thought" /><span class=${streaming ? 'shimmer' : ''}>${streaming ? t('message.reasoning_now') : t('message.reasoning')}</span><${Icon} name="down" /></summary>
      <${Markdown} text=${text} streaming=${streaming} />
    </details>`;
}
