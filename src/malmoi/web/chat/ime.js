/**
 * Enter and the Hangul input method. A Korean input method is always composing the last syllable, so Enter comes
 * while it composes, and browsers differ in what they then say:
 *
 * 1. sending at once puts the last syllable back into the emptied box ("안녕하세요", then "요");
 * 2. ignoring Enter while composing makes people press it twice;
 * 3. some systems report Enter as not composing before compositionend, and sending then cuts the last syllable.
 *
 * So: composition is tracked by its own events. Enter while Hangul is composed asks for one send, which happens after
 * the composition has ended and the box holds the whole text. Other input methods (kana, pinyin) keep their Enter,
 * which chooses a candidate.
 */

const HANGUL = /[\u1100-\u11ff\u3130-\u318f\ua960-\ua97f\uac00-\ud7ff]/;
/** If a browser never ends the composition after Enter, end it ourselves after this many milliseconds. */
const PATIENCE = 250;
/** An input method that puts back a syllable after sending does so at once. */
const ECHO = 80;

export class EnterToSend {
  #composing = false;
  #hangul = false;
  #pending = false;
  #endedAt = -Infinity;
  #sent = { text: '', at: -Infinity };
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #timer;

  /**
   * @param {HTMLTextAreaElement} box
   * @param {{sends: (event: KeyboardEvent) => boolean, send: (text: string) => boolean}} options
   *   `sends` tells whether this Enter is meant to send; `send` gets the text and returns whether it took it.
   */
  constructor(box, { sends, send }) {
    this.box = box;
    this.sends = sends;
    this.send = send;
    box.addEventListener('compositionstart', () => { this.#composing = true; this.#hangul = false; });
    box.addEventListener('compositionupdate', (event) => { this.#hangul = HANGUL.test(event.data); });
    box.addEventListener('compositionend', (event) => {
      this.#composing = false;
      this.#hangul ||= HANGUL.test(event.data);
      this.#endedAt = performance.now();
      if (this.#pending) this.#sendSoon(0);
    });
    box.addEventListener('keydown', (event) => this.#onKey(event));
    box.addEventListener('input', () => this.#dropEcho());
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    // With an input method, Chromium and Safari may name the key "Process" and keep only the physical code.
    const isEnter = event.key === 'Enter' || ((event.key === 'Process' || event.keyCode === 229)
      && (event.code === 'Enter' || event.code === 'NumpadEnter'));
    if (!isEnter) { this.#sent.at = -Infinity; return; }
    if (!this.sends(event)) return;
    if (this.#composing || event.isComposing) {
      if (!this.#hangul && !HANGUL.test(this.box.value.slice(-1))) return;
      event.preventDefault();
      this.#pending = true;
      this.#sendSoon(PATIENCE);
      return;
    }
    event.preventDefault();
    // Safari ends the composition just before it reports this Enter: the text is there once this task is over.
    if (event.keyCode === 229 && performance.now() - this.#endedAt < ECHO) {
      if (!this.#hangul) return;
      this.#pending = true;
      this.#sendSoon(0);
    } else if (!this.#pending) {
      this.now();
    }
  }

  /** @param {number} delay */
  #sendSoon(delay) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (!this.#pending) return;
      if (this.#composing) { // the browser has not ended it: leaving the box makes it do so
        this.box.blur();
        this.box.focus();
        this.#composing = false;
      }
      this.now();
    }, delay);
  }

  /** Send what the box holds, once. */
  now() {
    this.#pending = false;
    clearTimeout(this.#timer);
    const text = this.box.value;
    if (!text.trim() || !this.send(text)) return;
    this.#sent = { text: text.trimEnd(), at: performance.now() };
  }

  #dropEcho() {
    const { text, at } = this.#sent;
    const back = this.box.value;
    if (back && back.length <= 2 && performance.now() - at < ECHO && text.endsWith(back)) {
      this.box.value = '';
      this.box.dispatchEvent(new Event('input', { bubbles: true }));
    }
  }
}
