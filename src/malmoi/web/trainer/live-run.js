/** A run as it comes, stage under stage; when it has ended, the stages can be edited. */
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { stop } from './bench.js';
import { StageCard } from './stage-card.js';
import { operationTitle, skillTitle } from './store.js';

/** Arguments in one line each. @param {{value: Record<string, any>}} props */
export function ArgumentLines({ value }) {
  const all = Object.entries(value ?? {});
  return all.length ? html`<dl class="bench-lines">${all.map(([name, one]) => html`<div key=${name}><dt>${name}</dt><dd>${typeof one === 'string' ? one : JSON.stringify(one)}</dd></div>`)}</dl>` : html`<p class="quiet">${t('trainer.no_arguments')}</p>`;
}

/** @param {{run: import('./running.js').Run, query: string}} props */
export function LiveRun({ run, query }) {
  const { routed, plan, called, observed, text } = run;
  return html`
    <div class="bench-row" aria-busy="true">
      <header class="bench-query"><p class="bench-said">${query}</p><button type="button" class="button small" onClick=${stop}>${t('trainer.stop')}</button></header>
      <ol class="bench-stages">
        <${StageCard} number=${1} title=${t('trainer.stage_route')} state=${routed ? 'done' : 'busy'}>
          ${routed && html`<p>${routed.skill ? `${skillTitle(routed.skill)} · ${operationTitle(routed.skill, routed.operation)}` : t('trainer.no_skill')}</p>`}<//>
        ${routed?.skill && html`<${StageCard} number=${2} title=${t('trainer.stage_arguments')} state=${plan ? 'done' : 'busy'}>${plan && html`<${ArgumentLines} value=${plan.arguments} />`}<//>`}
        ${(called || run.confirm) && html`<${StageCard} number=${3} title=${t('trainer.stage_result')} state=${observed || run.confirm ? 'done' : 'busy'}>${observed && html`<pre class="bench-result">${observed.text.slice(0, 600)}</pre>`}<//>`}
        ${text && html`<${StageCard} number=${4} title=${t('trainer.stage_answer')} state="busy"><p class="bench-answer">${text}</p><//>`}
      </ol>
    </div>`;
}
