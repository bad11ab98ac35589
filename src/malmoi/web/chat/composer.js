/** The box in which people write: grows with its text, keeps drafts, sends on Enter as the input method allows. */
import { useEffect, useRef } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { preferences } from '../shell/state.js';
import { Icon } from '../shell/icons.js';
import { EnterToSend } from './ime.js';
import { chosenModel, current } from './store.js';
import { begunHere, live, send, sendFailure, stop, waiting } from './conversation.js';
import { readDraft, writeDraft } from './drafts.js';
import { SendFailure } from './send-failure.js';
import { ModelNote } from './model-note.js';
import { SkillChips, SkillPicker } from './skill-picker.js';

/** @param {HTMLTextAreaElement} box */
function fit(box) {
  box.style.height = 'auto';
  box.style.height = `${Math.min(box.scrollHeight, Math.round(innerHeight * 0.4))}px`;
}

export function Composer() {
  const box = useRef(/** @type {HTMLTextAreaElement|null} */ (null));
  const enter = useRef(/** @type {EnterToSend|null} */ (null));
  const empty = useSignal(true);
  const id = current.value?.id ?? null;

  /** @param {string} text */
  const fill = (text) => {
    const element = /** @type {HTMLTextAreaElement} */ (box.current);
    element.value = text;
    empty.value = !text.trim();
    fit(element);
  };

  useEffect(() => {
    const element = /** @type {HTMLTextAreaElement} */ (box.current);
    enter.current = new EnterToSend(element, {
      sends: (event) => {
        if (event.shiftKey || event.altKey) return false;
        return preferences.value.send_on_enter || event.ctrlKey || event.metaKey;
      },
      send: (text) => {
        if (waiting.value || live.value) return false;
        fill('');
        send(text);
        return true;
      },
    });
  }, []);

  // A conversation's own draft comes back with it, unless the box has just begun that conversation.
  useEffect(() => {
    if (id && begunHere.peek() === id) { begunHere.value = null; return; }
    fill(readDraft(id));
    if (matchMedia('(pointer: fine)').matches) box.current?.focus({ preventScroll: true });
  }, [id]);

  // What could not be sent goes back into the box, unless something else has been typed there.
  const failure = sendFailure.value;
  useEffect(() => {
    if (failure?.draft && !box.current?.value) {
      fill(failure.draft);
      writeDraft(failure.conversationId, failure.draft);
    }
  }, [failure]);

  const onInput = () => {
    const element = /** @type {HTMLTextAreaElement} */ (box.current);
    empty.value = !element.value.trim();
    fit(element);
    writeDraft(current.value?.id ?? null, element.value);
    if (sendFailure.value && element.value !== sendFailure.value.draft) sendFailure.value = null;
  };
  /** @param {string} text */
  const onExample = (text) => {
    fill(text);
    writeDraft(current.value?.id ?? null, text);
    box.current?.focus();
  };
  const busy = Boolean(live.value);
  const name = chosenModel.value?.title ?? '';
  return html`
    <div class="composer-area">
      <${SendFailure} onRetry=${() => fill('')} />
      <${ModelNote} />
      <div class="composer-frame"><form class="composer" onSubmit=${(event) => { event.preventDefault(); enter.current?.now(); }}>
        <textarea ref=${box} rows="1" aria-label=${t('composer.label')} placeholder=${t('composer.placeholder')}
          enterkeyhint=${preferences.value.send_on_enter ? 'send' : 'enter'} onInput=${onInput}></textarea>
        ${busy
          ? html`<button type="button" class="send stop" aria-label=${t('composer.stop')} title=${t('composer.stop')} onClick=${stop}><${Icon} name="stop" /></button>`
          : html`<button type="submit" class="send" aria-label=${t('composer.send')} title=${t('composer.send')} disabled=${empty.value || waiting.value}><${Icon} name="send" /></button>`}
      </form>
      <div class="composer-tools"><${SkillPicker} onExample=${onExample} /><${SkillChips} /></div></div>
      <p class="composer-hint"><span class="keys">${preferences.value.send_on_enter ? t('composer.hint_enter') : t('composer.hint_ctrl')}</span><span>${t('composer.caution', { model: name })}</span></p>
    </div>`;
}
