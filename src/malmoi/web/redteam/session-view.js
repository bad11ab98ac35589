/** A session: the turns with their replies, the keys, the box for the next turn. */
import { useEffect, useRef } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { said, t } from '../shell/i18n.js';
import { explain } from '../shell/api.js';
import { announcement } from '../shell/notices.js';
import { preferences } from '../shell/state.js';
import { Confirm } from '../shell/dialog.js';
import { EnterToSend } from '../chat/ime.js';
import { writeDraft } from '../chat/drafts.js';
import { me, strategies, topics } from './store.js';
import { MAX_TURNS, active, cursor, discard, draftKey, draftOf, finish, goOn, isFrozen, isMine, open, past, scoreCell, send, sending, skipped, undo, wantsRewrite } from './open-session.js';
import { cellsOf, firstUnscored, isPerfect, isScored, isWriting, mostHarmful, moved, whole } from './scoring.js';
import { ReplyCard } from './reply-card.js';
import { RewriteBox } from './rewrite-box.js';
import { KeysHelp } from './keys-help.js';

/** @param {EventTarget|null} target */
const writes = (target) => target instanceof HTMLElement && Boolean(target.closest('textarea, input, select, dialog, [role="menu"]'));
const reduced = () => matchMedia('(prefers-reduced-motion: reduce)').matches;

/** Bring the cell under the keyboard into view and give it the focus. */
function focusCell() {
  const cell = cellsOf(active.value)[cursor.value];
  const element = cell && document.querySelector(`[data-cell="${cell.reply.id}/${cell.scale}"]`);
  if (!(element instanceof HTMLElement)) return;
  element.focus({ preventScroll: true });
  element.closest('.reply')?.scrollIntoView({ block: 'nearest', behavior: reduced() ? 'auto' : 'smooth' });
}

/** @param {string} selector */
const focusOn = (selector) => {
  const element = /** @type {HTMLElement|null} */ (document.querySelector(selector));
  element?.focus();
  element?.scrollIntoView({ block: 'center', behavior: reduced() ? 'auto' : 'smooth' });
};

/** What Enter does now. */
function proceed() {
  const turn = active.value;
  if (isWriting(turn)) return;
  if (turn && whole(turn).length && !isScored(turn)) {
    cursor.value = Math.max(0, firstUnscored(turn, cursor.value));
    focusCell();
  } else if (wantsRewrite.value) focusOn('.rewrite textarea');
  else if (isMine.value) focusOn('.attack textarea');
  else if (open.value?.detail.hidden_turns) goOn();
}

/** @param {{revealed: import('@preact/signals').Signal<Set<string>>, help: import('@preact/signals').Signal<boolean>}} props */
function useKeys({ revealed, help }) {
  useEffect(() => {
    const onKey = (/** @type {KeyboardEvent} */ event) => {
      const turn = active.value;
      if (event.defaultPrevented || event.altKey || writes(event.target) || document.querySelector('dialog[open]')) return;
      if (event.ctrlKey || event.metaKey) {
        if (event.code === 'KeyZ' && !event.shiftKey && undo()) { event.preventDefault(); queueMicrotask(focusCell); }
        return;
      }
      // By their place on the keyboard too: with the Hangul layout J is ㅓ.
      const key = /^Key[JKUR]$/.test(event.code) ? event.code.slice(3).toLowerCase() : event.key;
      const digit = /^[0-9]$/.test(event.key) ? Number(event.key) : /^(Digit|Numpad)[0-7]$/.test(event.code) && !event.shiftKey ? Number(event.code.at(-1)) : NaN;
      const step = { j: 2, ArrowDown: 2, k: -2, ArrowUp: -2, ArrowRight: 1, ArrowLeft: -1 }[key];
      if (digit >= 0 && digit <= 7) {
        const cell = cellsOf(turn)[cursor.value];
        // Nobody scores what is not to be seen: the first digit shows it.
        if (cell && me.value?.blur && !revealed.value.has(cell.reply.id)) revealed.value = new Set([...revealed.value, cell.reply.id]);
        else if (turn && cell && !isFrozen.value) {
          scoreCell(turn, cursor.value, digit);
          announcement.value = `${t(`redteam.${cell.scale}`)} ${cell.reply.label}: ${digit}`;
        }
      } else if (step) cursor.value = moved(turn, cursor.value, step);
      else if (key === 'u') undo();
      else if (key === 'r') revealed.value = new Set([...revealed.value, ...(cellsOf(turn)[cursor.value] ? [cellsOf(turn)[cursor.value].reply.id] : [])]);
      else if (key === '?') { help.value = true; event.preventDefault(); return; }
      else if (key === 'Enter' && !(event.target instanceof HTMLElement && event.target.closest('a, button, summary'))) { event.preventDefault(); proceed(); return; }
      else return;
      event.preventDefault();
      requestAnimationFrame(focusCell);
    };
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  }, []);
}

/** The box for what the attacker says next. */
function Attack() {
  const box = useRef(/** @type {HTMLTextAreaElement|null} */ (null));
  const empty = useSignal(true);
  const enter = useRef(/** @type {EnterToSend|null} */ (null));
  const id = open.value?.id ?? '';
  const number = (open.value?.detail.turns.length ?? 0) + 1;
  const ready = !active.value || (isScored(active.value) && !wantsRewrite.value);
  const isReady = useRef(ready);
  isReady.current = ready;
  useEffect(() => {
    const element = /** @type {HTMLTextAreaElement} */ (box.current);
    element.value = draftOf(id);
    empty.value = !element.value.trim();
    if (!active.value) element.focus({ preventScroll: true });
    enter.current = new EnterToSend(element, {
      sends: (event) => !event.shiftKey && !event.altKey && (preferences.value.send_on_enter || event.ctrlKey || event.metaKey),
      send: (text) => {
        if (sending.value || !isReady.current) return false;
        element.value = '';
        empty.value = true;
        send(text).then((sent) => {
          if (sent) { element.blur(); return; }
          element.value ||= text;
          empty.value = !element.value.trim();
        });
        return true;
      },
    });
  }, [id]);
  return html`
    <section class="attack" aria-label=${t('redteam.attack', { n: number, of: MAX_TURNS })}>
      <label for="attack-box">${t('redteam.attack', { n: number, of: MAX_TURNS })}</label>
      <textarea id="attack-box" ref=${box} rows="2" placeholder=${t('redteam.attack_placeholder')}
        onInput=${(event) => { empty.value = !event.currentTarget.value.trim(); writeDraft(draftKey(id), event.currentTarget.value); }}
        onKeyDown=${(event) => { if (event.key === 'Escape') box.current?.blur(); }}></textarea>
      <div class="attack-actions">
        <span class="quiet">${!ready ? (isWriting(active.value) ? t('redteam.wait') : wantsRewrite.value ? t('redteam.rewrite_first') : t('redteam.score_first')) : ''}</span>
        <button type="button" class="button primary" disabled=${!ready || empty.value || sending.value} onClick=${() => enter.current?.now()}>${t('redteam.send')}</button>
      </div>
    </section>`;
}

/** @param {{turn: import('./scoring.js').Turn, revealed: import('@preact/signals').Signal<Set<string>>}} props */
function TurnView({ turn, revealed }) {
  const isActive = turn.id === active.value?.id;
  const cells = cellsOf(turn);
  const here = isActive ? cells[cursor.value] : null;
  const goesOn = turn.next_reply_id && !isActive ? turn.next_reply_id : mostHarmful(turn)?.id;
  const ready = turn.replies.filter((reply) => reply.status !== 'writing').length;
  const isLater = !isActive || skipped.value.has(turn.id);
  const showsRewrite = isScored(turn) && (!isPerfect(turn) || turn.rewrite);
  return html`
    <section class="turn" aria-label=${t('redteam.turn', { n: turn.number })}>
      <div class="turn-head"><h2>${t('redteam.turn', { n: turn.number })}</h2>${isWriting(turn) && html`<span class="quiet" role="status">${t('redteam.ready', { n: ready, of: turn.replies.length })}</span>`}</div>
      <div class="turn-prompt">${turn.content}</div>
      <div class="replies">${turn.replies.map((reply) => html`<${ReplyCard} key=${reply.id} reply=${reply}
        hidden=${Boolean(me.value?.blur) && !revealed.value.has(reply.id)} onShow=${() => { revealed.value = new Set([...revealed.value, reply.id]); }}
        here=${here?.reply.id === reply.id ? here.scale : null} disabled=${isFrozen.value} isNext=${whole(turn).length > 1 && goesOn === reply.id && (isMine.value || !isActive)}
        canRetry=${isMine.value && isActive && !isFrozen.value}
        onPick=${(/** @type {'harmlessness'|'overall'} */ scale, /** @type {number} */ points) => scoreCell(turn, cells.findIndex((cell) => cell.reply.id === reply.id && cell.scale === scale), points)}
        onFocus=${(/** @type {'harmlessness'|'overall'} */ scale) => { if (isActive) cursor.value = cells.findIndex((cell) => cell.reply.id === reply.id && cell.scale === scale); }} />`)}</div>
      ${showsRewrite && (isLater && !turn.rewrite
        ? html`<details class="rewrite-later"><summary>${t('redteam.rewrite')}</summary><${RewriteBox} turn=${turn} canSkip=${false} onDone=${() => {}} /></details>`
        : html`<${RewriteBox} key=${turn.id} turn=${turn} canSkip=${!isLater} onDone=${() => requestAnimationFrame(proceed)} />`)}
    </section>`;
}

export function SessionView() {
  const revealed = useSignal(/** @type {Set<string>} */ (new Set()));
  const help = useSignal(false);
  const ending = useSignal(false);
  const dropping = useSignal(false);
  useKeys({ revealed, help });
  const now = open.value;
  const activeId = active.value?.id;
  const writing = isWriting(active.value);
  useEffect(() => {
    // A turn that has just arrived, or whose replies have, is where the work is.
    if (activeId && !writing) requestAnimationFrame(() => { if (!writes(document.activeElement)) focusCell(); });
  }, [activeId, writing]);
  if (now?.status === 'failed') {
    const { text, fix } = explain(now.error, t);
    return html`<section class="empty"><h2>${text}</h2><p class="lead">${fix}</p><p><a class="button" href="/redteam">${t('redteam.work')}</a></p></section>`;
  }
  if (!now?.detail) return html`<div class="opening" role="status"><span class="spinner" aria-hidden="true"></span></div>`;
  const { session, turns, hidden_turns: hidden, models } = now.detail;
  const topic = topics.value.get(session.topic);
  const part = topic?.subtopics.find((/** @type {any} */ item) => item.id === session.subtopic);
  const scored = isScored(active.value);
  return html`
    <div class="session">
      <header class="session-head">
        <div><strong>${said(topic?.title)}${part ? ` › ${said(part.title)}` : ''} × ${said(strategies.value.get(session.strategy)?.title)}</strong>
          <small class="quiet">${isMine.value ? said(strategies.value.get(session.strategy)?.description) : t('redteam.blind')}${models ? ` · ${models.join(', ')}` : ''}</small></div>
        <div class="session-actions">
          <button type="button" class="button small" disabled=${!past.value.length || isFrozen.value} onClick=${() => undo()}>${t('action.undo')}</button>
          <button type="button" class="button small" aria-haspopup="dialog" onClick=${() => { help.value = true; }}>${t('redteam.keys')} <kbd aria-hidden="true">?</kbd></button>
          ${isMine.value && !session.is_finished && html`<button type="button" class="button small" disabled=${!scored} onClick=${() => { ending.value = true; }}>${t('redteam.finish')}</button>
            <button type="button" class="button small danger quiet" onClick=${() => { dropping.value = true; }}>${t('action.delete')}</button>`}
        </div>
      </header>
      ${turns.map((/** @type {any} */ turn) => html`<${TurnView} key=${turn.id} turn=${turn} revealed=${revealed} />`)}
      ${isMine.value && !session.is_finished && turns.length < MAX_TURNS && html`<${Attack} />`}
      ${isMine.value && !session.is_finished && turns.length >= MAX_TURNS && html`<p class="quiet">${t('redteam.full', { n: MAX_TURNS })}</p>`}
      ${isFrozen.value && html`<p class="quiet" role="status">${t('redteam.ended')}</p>`}
      ${!isMine.value && hidden > 0 && html`<p class="session-next"><button type="button" class="button primary" disabled=${whole(active.value).length > 0 && !scored} onClick=${goOn}>${t('redteam.next_turn', { n: hidden })}</button></p>`}
      ${!isMine.value && hidden === 0 && scored && html`<div class="session-next" role="status"><p>${t('redteam.all_scored')}</p><a class="button primary" href="/redteam">${t('redteam.work')}</a></div>`}
    </div>
    ${help.value && html`<${KeysHelp} onClose=${() => { help.value = false; }} />`}
    ${ending.value && html`<${Confirm} title=${t('redteam.finish')} text=${t('redteam.finish_ask')} action=${t('redteam.finish')} onConfirm=${finish} onClose=${() => { ending.value = false; }} />`}
    ${dropping.value && html`<${Confirm} title=${t('action.delete')} text=${t('redteam.delete_ask')} action=${t('action.delete')} onConfirm=${discard} onClose=${() => { dropping.value = false; }} />`}`;
}
