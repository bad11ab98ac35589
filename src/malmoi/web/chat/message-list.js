/** The open branch as a log; it keeps to its end while a reply grows, unless the reader has scrolled away. */
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { route } from '../shell/router.js';
import { Icon } from '../shell/icons.js';
import { current } from './store.js';
import { live, reveal, waiting } from './conversation.js';
import { pathTo, versionsOf } from './tree.js';
import { Reply, UserMessage } from './message.js';
import { Starters } from './template-gallery.js';

const NEAR = 80;

export function MessageList() {
  const scroller = useRef(/** @type {HTMLDivElement|null} */ (null));
  const inner = useRef(/** @type {HTMLDivElement|null} */ (null));
  const stick = useRef(true);
  const away = useSignal(false);
  const open = current.value;
  const path = open ? pathTo(open.messages, open.leaf) : [];

  const toEnd = () => {
    const element = scroller.current;
    if (element) element.scrollTop = element.scrollHeight;
  };
  useEffect(() => {
    const element = /** @type {HTMLDivElement} */ (scroller.current);
    let before = element.scrollTop;
    const onScroll = () => {
      const near = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR;
      // What has grown below is followed; only a reader who goes up leaves the end.
      if (near) stick.current = true;
      else if (element.scrollTop < before) stick.current = false;
      before = element.scrollTop;
      away.value = !near && !stick.current;
    };
    // What somebody unfolds stays where it is.
    const onUnfold = (/** @type {Event} */ event) => { if (/** @type {Element} */ (event.target).closest('summary')) stick.current = false; };
    element.addEventListener('click', onUnfold);
    element.addEventListener('scroll', onScroll, { passive: true });
    const watch = new ResizeObserver(() => { if (stick.current) toEnd(); });
    watch.observe(/** @type {HTMLDivElement} */ (inner.current));
    watch.observe(element);
    return () => { element.removeEventListener('scroll', onScroll); element.removeEventListener('click', onUnfold); watch.disconnect(); };
  }, []);
  // A message of one's own, or another conversation, goes to the end.
  useLayoutEffect(() => {
    stick.current = true;
    toEnd();
  }, [open?.id, waiting.value]);
  // A search result names a message: show it and mark it for a moment.
  const wanted = route.value.message;
  useEffect(() => {
    if (!wanted || open?.status !== 'ready' || !reveal(wanted)) return;
    requestAnimationFrame(() => {
      const element = inner.current?.querySelector(`[data-id="${CSS.escape(wanted)}"]`);
      if (!element) return;
      stick.current = false;
      element.scrollIntoView({ block: 'center' });
      element.classList.add('found');
      setTimeout(() => element.classList.remove('found'), 2500);
    });
  }, [wanted, open?.id, open?.status]);

  return html`
    <div class="log" ref=${scroller} role="log" aria-label=${t('chat.log')} aria-busy=${String(Boolean(live.value) || waiting.value)} tabindex="0">
      <div class="log-inner" ref=${inner}>
        ${path.map((message) => {
          const versions = versionsOf(/** @type {any} */ (open).messages, message);
          const View = message.role === 'user' ? UserMessage : Reply;
          return html`<${View} key=${message.id} message=${message} versions=${versions} />`;
        })}
        ${path.length === 1 && path[0].finish_reason === 'opening' && html`<${Starters} />`}
        ${waiting.value && html`<div class="thinking" role="img" aria-label=${t('message.writing')}><i></i><i></i><i></i></div>`}
      </div>
    </div>
    ${away.value && html`<button type="button" class="to-end" aria-label=${t('chat.to_end')} onClick=${() => { stick.current = true; toEnd(); }}><${Icon} name="down" /></button>`}`;
}
