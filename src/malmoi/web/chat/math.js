/** Typeset math: KaTeX and its fonts are loaded when the first formula appears. */

/** @type {Promise<any>|null} */
let katex = null;

/** @returns {Promise<any>} */
function load() {
  katex ??= import('katex').then(() => new Promise((resolve, reject) => {
    const sheet = document.createElement('link');
    sheet.rel = 'stylesheet';
    sheet.href = new URL('katex.min.css', import.meta.resolve('katex')).href;
    sheet.addEventListener('load', () => resolve(globalThis.katex));
    sheet.addEventListener('error', reject);
    document.head.append(sheet);
  })).catch((error) => { katex = null; throw error; });
  return katex;
}

// These two set style attributes, which the policy forbids; these forms look the same without.
const MACROS = { '\\pmb': '\\boldsymbol', '\\fcolorbox': '\\colorbox{#2}{#3}' };

/** Typeset every formula under an element; one that cannot be read stays as its source. @param {ParentNode} root */
export async function typeset(root) {
  const formulas = /** @type {HTMLElement[]} */ ([...root.querySelectorAll('.math:not([data-done])')]);
  if (!formulas.length) return;
  try {
    const engine = await load();
    for (const element of formulas) {
      if (element.dataset.done) continue;
      element.dataset.done = 'true';
      const tex = element.textContent ?? '';
      const shown = document.createElement('span');
      try {
        engine.render(tex, shown, {
          displayMode: element.classList.contains('math-display'), throwOnError: true, trust: false,
          maxExpand: 300, maxSize: 20, strict: 'ignore', macros: { ...MACROS },
        });
        element.replaceChildren(shown);
      } catch {
        element.classList.add('math-source');
      }
    }
  } catch {
    // KaTeX did not arrive: the formulas stay readable as their source.
  }
}
