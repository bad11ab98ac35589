/** A conversation is a tree: editing and regenerating add branches. These pure functions find the way through it. */

/**
 * @typedef {object} Message
 * @property {string} id
 * @property {string} conversation_id
 * @property {string|null} parent_id
 * @property {'user'|'assistant'|'system'} role
 * @property {string} content
 * @property {string} reasoning
 * @property {'complete'|'streaming'|'waiting'|'stopped'|'interrupted'|'failed'|'pending'} status
 * @property {string|null} finish_reason
 * @property {{code: string, message: string, fix: string}|null} error
 * @property {string|null} model
 * @property {any} usage
 * @property {import('./citations.js').Grounds|null} [grounds] what a reply from documents rests on
 * @property {string|null} [run_id] the run of skills from which it comes
 * @property {string} created_at
 */
/** @typedef {Map<string, Message>} Messages in the order of creation */

/** The messages with the same parent, oldest first. @param {Messages} messages @param {string|null} parentId */
export function childrenOf(messages, parentId) {
  return [...messages.values()].filter((message) => (message.parent_id ?? null) === parentId);
}

/** From the first message to `leafId`. @param {Messages} messages @param {string|null} leafId @returns {Message[]} */
export function pathTo(messages, leafId) {
  const path = [];
  const seen = new Set();
  for (let message = leafId ? messages.get(leafId) : undefined; message && !seen.has(message.id);
    message = message.parent_id ? messages.get(message.parent_id) : undefined) {
    seen.add(message.id);
    path.push(message);
  }
  return path.reverse();
}

/** The end of the newest branch below a message (or of the whole tree). @param {Messages} messages @param {string|null} id */
export function newestLeaf(messages, id) {
  const seen = new Set();
  let at = id;
  for (;;) {
    const last = childrenOf(messages, at).at(-1);
    if (!last || seen.has(last.id)) return at;
    seen.add(last.id);
    at = last.id;
  }
}

/** Which of how many versions a message is. @param {Messages} messages @param {Message} message */
export function versionsOf(messages, message) {
  const ids = childrenOf(messages, message.parent_id ?? null)
    .filter((other) => other.role === message.role).map((other) => other.id);
  return { ids, index: ids.indexOf(message.id) };
}
