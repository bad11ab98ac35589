/** The chat: the bar above, the conversation, the box below. */
import { useEffect } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { route } from '../shell/router.js';
import { explain } from '../shell/api.js';
import { drawerOpen, models, runnable } from '../shell/state.js';
import { Icon } from '../shell/icons.js';
import { current, resetFresh, startNew } from './store.js';
import { leave, openConversation, reload } from './conversation.js';
import { Composer } from './composer.js';
import { Empty } from './empty.js';
import { FirstRun } from './first-run.js';
import { MessageList } from './message-list.js';
import { DocumentPicker } from './document-picker.js';
import { ModelPicker } from './model-picker.js';
import { PersonaPicker } from './persona-picker.js';
import { SamplingPanel } from './sampling-panel.js';

/** Whether there is no model at all yet: then there is nothing to write to. */
const isFirstRun = () => !current.value && Boolean(models.value?.length) && !models.value?.some(runnable);

function Body() {
  const open = current.value;
  if (open?.status === 'failed') {
    const { text, fix } = explain(open.error, t);
    return html`<section class="empty"><h1>${t('chat.not_opened')}</h1><p class="lead">${text} ${fix}</p>
      <p><button type="button" class="button" onClick=${reload}>${t('action.retry')}</button> <button type="button" class="button primary" onClick=${() => startNew()}>${t('sidebar.new')}</button></p></section>`;
  }
  if (open?.status === 'loading') return html`<div class="opening" role="status"><span class="spinner" aria-hidden="true"></span><span class="visually-hidden">${t('chat.opening')}</span></div>`;
  if (!open) {
    return html`<div class="log" tabindex="0" role="region" aria-label=${t('chat.start')}>${isFirstRun() ? html`<${FirstRun} />` : html`<${Empty} />`}</div>`;
  }
  return html`<${MessageList} key=${open.id} />`;
}

export function ChatPage() {
  const tuning = useSignal(false);
  const { id } = route.value;
  useEffect(() => {
    if (id) openConversation(id);
    else if (current.value) { leave(); resetFresh(); }
  }, [id]);
  const title = current.value?.conversation?.title;
  useEffect(() => { document.title = title ? `${title} · ${t('app.name')}` : t('app.name'); });
  return html`
    <header class="bar">
      <button type="button" class="icon-button drawer-button" aria-label=${t('sidebar.open')} aria-expanded=${String(drawerOpen.value)} onClick=${() => { drawerOpen.value = true; }}><${Icon} name="menu" /></button>
      <${ModelPicker} />
      <span class="grow"></span>
      <${DocumentPicker} />
      <${PersonaPicker} />
      <button type="button" class="icon-button" aria-label=${t('sampling.title')} title=${t('sampling.title')} aria-haspopup="dialog" onClick=${() => { tuning.value = true; }}><${Icon} name="settings" /></button>
    </header>
    <main id="main" class="chat" tabindex="-1">
      ${title && html`<h1 class="visually-hidden">${title}</h1>`}
      <${Body} />
      ${!isFirstRun() && html`<${Composer} />`}
    </main>
    ${tuning.value && html`<${SamplingPanel} onClose=${() => { tuning.value = false; }} />`}`;
}
