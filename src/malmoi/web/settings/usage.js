/** How much has been used: totals, a bar for each day, and the same as a table. */
import { useEffect } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { get } from '../shell/api.js';
import { number } from '../shell/format.js';
import { attempt } from '../shell/notices.js';

/**
 * One entry for each of the last `days` days (UTC), zero where nothing was used.
 * @param {{day: string, requests: number, prompt_tokens: number, completion_tokens: number}[]} rows
 * @param {number} days @param {Date} [today]
 */
export function perDay(rows, days, today = new Date()) {
  const found = new Map();
  for (const row of rows) {
    const at = found.get(row.day) ?? { day: row.day, requests: 0, prompt: 0, completion: 0 };
    at.requests += row.requests;
    at.prompt += row.prompt_tokens;
    at.completion += row.completion_tokens;
    found.set(row.day, at);
  }
  return Array.from({ length: days }, (_, index) => {
    const day = new Date(today.getTime() - (days - 1 - index) * 86_400_000).toISOString().slice(0, 10);
    return found.get(day) ?? { day, requests: 0, prompt: 0, completion: 0 };
  });
}

/** @param {{days: ReturnType<typeof perDay>}} props */
function Plot({ days }) {
  const [width, height] = [600, 120];
  const most = Math.max(1, ...days.map((item) => item.prompt + item.completion));
  const step = width / days.length;
  const y = (/** @type {number} */ value) => (value / most) * (height - 4);
  return html`
    <figure class="plot">
      <svg viewBox=${`0 0 ${width} ${height}`} preserveAspectRatio="none" role="img" aria-label=${t('usage.plot', { n: days.length, most: number(most) })}>
        ${days.map((item, at) => html`<g key=${item.day}><title>${`${item.day}: ${number(item.prompt + item.completion)}`}</title>
          <rect class="bar-back" x=${at * step} y="0" width=${step} height=${height} />
          <rect class="bar-prompt" x=${at * step + 1} y=${height - y(item.prompt)} width=${step - 2} height=${y(item.prompt)} />
          <rect class="bar-completion" x=${at * step + 1} y=${height - y(item.prompt) - y(item.completion)} width=${step - 2} height=${y(item.completion)} /></g>`)}
      </svg>
      <figcaption><span>${days[0]?.day}</span><span><i class="key prompt"></i>${t('usage.prompt')} <i class="key completion"></i>${t('usage.completion')}</span><span>${days.at(-1)?.day}</span></figcaption>
    </figure>`;
}

export function Usage() {
  const usage = useSignal(/** @type {any} */ (null));
  useEffect(() => { attempt(async () => { usage.value = await get('/usage?days=30'); }); }, []);
  if (!usage.value) return html`<div class="opening"><span class="spinner" aria-hidden="true"></span></div>`;
  const { totals, by_day: byDay } = usage.value;
  const days = perDay(byDay, 30);
  const used = days.filter((item) => item.requests > 0).toReversed();
  return html`
    <p class="quiet">${t('usage.lead')}</p>
    <dl class="totals">${[['requests', totals.requests], ['prompt', totals.prompt_tokens], ['completion', totals.completion_tokens], ['cached', totals.cached_tokens]].map(([name, value]) => html`
      <div key=${name}><dt>${t(`usage.${name}`)}</dt><dd>${number(value ?? 0)}</dd></div>`)}</dl>
    <${Plot} days=${days} />
    ${used.length > 0 && html`<details><summary>${t('usage.table')}</summary><div class="table-frame" tabindex="0"><table class="figures-table">
      <thead><tr><th scope="col">${t('usage.day')}</th><th scope="col">${t('usage.requests')}</th><th scope="col">${t('usage.prompt')}</th><th scope="col">${t('usage.completion')}</th></tr></thead>
      <tbody>${used.map((item) => html`<tr key=${item.day}><th scope="row">${item.day}</th><td>${number(item.requests)}</td><td>${number(item.prompt)}</td><td>${number(item.completion)}</td></tr>`)}</tbody></table></div></details>`}`;
}
