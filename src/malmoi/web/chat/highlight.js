/** Colours for code: highlight.js and each language are loaded when the first block in that language appears. */
import { sanitized } from './sanitize.js';

const ALIASES = {
  py: 'python', python3: 'python', js: 'javascript', mjs: 'javascript', jsx: 'javascript', node: 'javascript',
  ts: 'typescript', tsx: 'typescript', sh: 'bash', shell: 'bash', zsh: 'bash', console: 'bash', html: 'xml', svg: 'xml',
  vue: 'xml', yml: 'yaml', toml: 'ini', conf: 'ini', 'c++': 'cpp', cc: 'cpp', hpp: 'cpp', h: 'c', cs: 'csharp', 'c#': 'csharp',
  rs: 'rust', golang: 'go', kt: 'kotlin', md: 'markdown', patch: 'diff', docker: 'dockerfile', make: 'makefile',
  ps1: 'powershell', rb: 'ruby', jsonc: 'json', json5: 'json', sqlite: 'sql', postgresql: 'sql', mysql: 'sql',
};
const LANGUAGES = new Set(['bash', 'c', 'cpp', 'csharp', 'css', 'diff', 'dockerfile', 'go', 'ini', 'java', 'javascript', 'json',
  'kotlin', 'lua', 'makefile', 'markdown', 'php', 'powershell', 'python', 'r', 'ruby', 'rust', 'scala', 'sql', 'swift',
  'typescript', 'xml', 'yaml']);
/** A longer block stays plain: colouring it would hold up the page. */
const LONGEST = 60_000;

/** @type {Promise<any>|null} */
let core = null;
/** @type {Map<string, Promise<void>>} */
const loaded = new Map();

/** @param {string} name @returns {Promise<any>} */
async function engineFor(name) {
  core ??= import('highlight/core.js').then((module) => module.default);
  const hljs = await core;
  if (!loaded.has(name)) {
    loaded.set(name, import(`highlight/languages/${name}.js`).then((grammar) => hljs.registerLanguage(name, grammar.default)));
  }
  await loaded.get(name);
  return hljs;
}

/** Colour a <code> element in place; unknown languages stay as they are. @param {HTMLElement} code @param {string} language */
export async function highlight(code, language) {
  const name = ALIASES[language] ?? language;
  const text = code.textContent ?? '';
  if (!LANGUAGES.has(name) || text.length > LONGEST) return;
  try {
    const hljs = await engineFor(name);
    if (code.isConnected && code.textContent === text) code.replaceChildren(sanitized(hljs.highlight(text, { language: name }).value));
  } catch {
    // Offline or an old tab after an upgrade: code without colours is still the code.
    loaded.delete(name);
    core = null;
  }
}
