/** Server-sent events read from a fetch body, so that they work on POST and never reconnect by themselves. */

/** @typedef {{event: string, data: any}} ServerEvent */

/**
 * A parser of the event stream: give it text cut anywhere, get the events that are complete.
 * Comments (heartbeats) yield nothing. Data is JSON.
 */
export class EventParser {
  #rest = '';

  /** @param {string} text @returns {ServerEvent[]} */
  push(text) {
    // A lone \r at the very end may be half of \r\n: it waits for the next piece.
    this.#rest += text;
    const held = this.#rest.endsWith('\r') ? '\r' : '';
    const blocks = (held ? this.#rest.slice(0, -1) : this.#rest).replace(/\r\n?/g, '\n').split('\n\n');
    this.#rest = (blocks.pop() ?? '') + held;
    return blocks.flatMap((block) => {
      let event = 'message';
      const data = [];
      for (const line of block.split('\n')) {
        const colon = line.indexOf(':');
        if (colon === 0) continue;
        const field = colon < 0 ? line : line.slice(0, colon);
        const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
        if (field === 'event') event = value;
        if (field === 'data') data.push(value);
      }
      return data.length ? [{ event, data: JSON.parse(data.join('\n')) }] : [];
    });
  }
}

/**
 * The events of a response, one after another; ends when the server closes the stream.
 * @param {Response} response
 * @returns {AsyncGenerator<ServerEvent>}
 */
export async function* eventsOf(response) {
  const reader = /** @type {ReadableStream} */ (response.body).pipeThrough(new TextDecoderStream()).getReader();
  const parser = new EventParser();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield* parser.push(value);
    }
  } finally {
    reader.cancel().catch(() => {}); // the stream may already have failed; the reader of events knows
  }
}
