/** What a skill did for a reply: one line while it works and afterwards, which opens to every stage. */
import { useEffect } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { number } from '../shell/format.js';
import { Icon } from '../shell/icons.js';
import { argumentsInWords, operationTitle, skillName } from './skills.js';

/** @typedef {import('./runs.js').Story} Story */
/** @typedef {import('./runs.js').Call} Call */

const OPEN_CHOICES = 3;
const LONG = 400; // characters of an argument that gets a box which scrolls
const LINE = 60; // characters of an argument in the line

/** @param {string} text */
const clipped = (text) => { const line = text.replace(/\s+/g, ' '); return line.length > LINE ? `${line.slice(0, LINE)}…` : line; };

/** @param {string} skill @param {string} operation @param {Record<string, any>} given */
const inLine = (skill, operation, given) =>
  argumentsInWords(skill, operation, given).map(({ label, text }) => `${label}: ${clipped(text)}`).join(' · ');

/** Every skill and operation of a run, as "Car rental: Find cars, Book a car". @param {Story} story */
function titleOf(story) {
  const ways = story.calls.length
    ? story.calls.map((call) => ({ skill: call.skill, operation: call.operation, title: call.title }))
    : story.plans.length ? [story.plans.at(-1)] : story.routes.filter((route) => route.skill);
  /** @type {Map<string, Set<string>>} */
  const found = new Map();
  for (const { skill, operation, title } of ways) {
    const name = skillName(skill);
    found.set(name, (found.get(name) ?? new Set()).add(operationTitle(skill, operation, title)));
  }
  return [...found].map(([name, titles]) => (titles.size === 1 && titles.has(name) ? name : `${name}: ${[...titles].join(', ')}`)).join(' · ');
}

/** How a run ended, where that is worth a word. @param {Story} story @param {boolean} waits */
function endOf(story, waits) {
  const { reason } = story;
  if (waits) return t('skills.end_confirm');
  if (reason === 'denied') return t('skills.end_denied');
  if (reason === 'asked') return t('skills.end_asked');
  if (reason === 'credentials') return t('skills.end_credentials');
  if (reason === 'confirm' || reason === 'expired') return t('skills.end_expired');
  return !reason || reason === 'answered' || reason === 'none' ? '' : t('skills.end_failed');
}

/** What happens at this moment. @param {Story} story */
function nowOf(story) {
  const call = story.calls.at(-1);
  if (call?.called && !call.observed) return t('skills.now_call', { name: skillName(call.skill) });
  if (call?.observed) return t('skills.now_answer');
  if (story.routes.length) return t('skills.now_plan');
  return t('skills.now_route');
}

/** Seconds since a stage came, counted on. @param {{since: string}} props */
function Clock({ since }) {
  const seconds = useSignal(0);
  useEffect(() => {
    const began = performance.now();
    seconds.value = 0;
    const timer = setInterval(() => { seconds.value = Math.floor((performance.now() - began) / 1000); }, 1000);
    return () => clearInterval(timer);
  }, [since]);
  // Told by the line itself: a screen reader that hears every second hears nothing else.
  return seconds.value ? html`<span class="trace-time" aria-hidden="true">${t('time.seconds', { n: seconds.value })}</span>` : null;
}

/** @param {{skill: string, operation: string, given: Record<string, any>, sources?: Record<string, string>}} props */
export function Arguments({ skill, operation, given, sources = {} }) {
  const told = argumentsInWords(skill, operation, given);
  if (!told.length) return null;
  return html`<dl class="arguments">${told.map(({ name, label, text }) => html`<div key=${name}><dt>${label}</dt>
    <dd>${text.includes('\n') || text.length > LONG ? html`<pre tabindex="0">${text}</pre>` : text}
      ${sources[name] && html` <small>${t(`skills.from_${sources[name]}`)}</small>`}</dd></div>`)}</dl>`;
}

/** @param {{route: any}} props */
function RouteStage({ route }) {
  const others = route.choices.filter((/** @type {any} */ one) => one.share >= 0.02 || one.operation === route.operation).slice(0, OPEN_CHOICES);
  const nearest = route.choices.find((/** @type {any} */ one) => one.skill === route.skill && one.operation === route.operation)?.nearest;
  return html`<li class="stage"><h4>${t('skills.stage_route')}</h4>
    <p>${route.skill ? html`<strong>${skillName(route.skill)} › ${operationTitle(route.skill, route.operation)}</strong>` : t('skills.no_match')}
      ${route.skill && !route.is_sure && html` <span class="quiet">${t('skills.unsure')}</span>`}</p>
    ${nearest && html`<p class="quiet">${t('skills.nearest', { query: nearest })}</p>`}
    ${others.length > 1 && html`<ul class="choices" aria-label=${t('skills.choices')}>${others.map((/** @type {any} */ one) => html`<li key=${`${one.skill}.${one.operation}`}>
      <span>${operationTitle(one.skill, one.operation)}</span><meter min="0" max="1" value=${one.share} aria-label=${operationTitle(one.skill, one.operation)}></meter><span class="quiet">${number(one.share * 100)}%</span></li>`)}</ul>`}</li>`;
}

/** @param {{plan: any}} props */
function PlanStage({ plan }) {
  const words = argumentsInWords(plan.skill, plan.operation, Object.fromEntries([...plan.missing, ...plan.wrong].map((/** @type {string} */ name) => [name, name])));
  return html`<li class="stage"><h4>${t('skills.stage_plan')}</h4>
    <p>${operationTitle(plan.skill, plan.operation, plan.title)}</p>
    <${Arguments} skill=${plan.skill} operation=${plan.operation} given=${plan.arguments} sources=${plan.sources} />
    ${words.length > 0 && html`<p class="quiet">${t('skills.missing', { names: words.map(({ label }) => label).join(', ') })}</p>`}</li>`;
}

/** @param {{call: Call, plan: any, waits: boolean}} props */
function CallStages({ call, plan, waits }) {
  const { called, observed, confirm, denied } = call;
  const writes = Boolean(confirm) || called?.effect === 'write';
  const exchanges = observed?.exchanges ?? [];
  return html`
    <li class="stage"><h4>${t('skills.stage_call')}</h4>
      <p><strong>${operationTitle(call.skill, call.operation, call.title)}</strong> <span class=${`tag ${writes ? 'writes' : 'plain'}`}>${writes ? t('skills.writes') : t('skills.reads')}</span>
        ${confirm && html` <span class="quiet">${denied ? t('skills.was_denied') : called ? t('skills.was_approved') : waits ? t('skills.waits') : t('skills.was_left')}</span>`}</p>
      ${(!plan || JSON.stringify(plan.arguments) !== JSON.stringify(call.arguments)) && html`<${Arguments} skill=${call.skill} operation=${call.operation} given=${call.arguments} />`}
      ${exchanges.map((/** @type {any} */ one, /** @type {number} */ at) => html`<p key=${at} class="exchange"><code>${one.method} ${one.url}</code> ${one.status != null && html`<span class="quiet">${one.status}</span>`}</p>`)}</li>
    ${observed && html`<li class=${`stage ${observed.is_error ? 'bad' : ''}`}><h4>${t('skills.stage_observe')}</h4>
      <p>${observed.is_error ? html`<${Icon} name="alert" /><strong>${t('skills.failed')}</strong> ` : ''}<span class="quiet">${t('skills.took', { n: number(observed.seconds, 2) })}</span></p>
      ${observed.said && html`<p>${observed.said}</p>`}
      ${observed.text && html`<details><summary>${t('skills.response')}</summary><pre class="response" tabindex="0" aria-label=${t('skills.response')}>${pretty(observed.text)}</pre></details>`}</li>`}`;
}

/** A response that is JSON with its lines; anything else as it is. @param {string} text */
function pretty(text) {
  try { return JSON.stringify(JSON.parse(text), null, 1); } catch { return text; }
}

/** @param {{story: Story, waits: boolean}} props */
export function Stages({ story, waits }) {
  return html`<ol class="stages">
    ${story.order.map(({ kind, at }, place) => {
      if (kind === 'route') return html`<${RouteStage} key=${place} route=${at} />`;
      if (kind === 'plan') return html`<${PlanStage} key=${place} plan=${at} />`;
      if (kind === 'call') return html`<${CallStages} key=${place} call=${at} waits=${waits}
        plan=${story.plans.findLast((plan) => plan.skill === at.skill && plan.operation === at.operation)} />`;
      return html`<li class="stage" key=${place}><h4>${t('skills.stage_ask')}</h4><p>${at.question}</p></li>`;
    })}
    ${story.reason && html`<li class="stage"><h4>${t('skills.stage_answer')}</h4>
      ${story.sources.length > 0 && html`<p>${story.sources.map((source) => t(`skills.words_${source}`)).join(' ')}</p>`}
      ${!story.sources.length && story.reason === 'none' && html`<p>${t('skills.words_none')}</p>`}
      <p class="quiet">${[story.seconds && t('skills.took', { n: number(story.seconds, 1) }), story.tokens ? t('skills.tokens', { n: number(story.tokens), cached: number(story.cached) }) : t('skills.no_tokens')].filter(Boolean).join(' · ')}</p></li>`}
  </ol>`;
}

/**
 * The line, and what it opens to.
 * @param {{story: Story, isLive?: boolean, waits?: boolean}} props
 */
export function Trace({ story, isLive = false, waits = false }) {
  const opened = useSignal(false);
  const title = titleOf(story);
  const going = isLive && !story.reason;
  const end = going ? '' : endOf(story, waits);
  const call = story.calls.at(-1);
  const plan = story.plans.at(-1);
  const given = call ? inLine(call.skill, call.operation, call.arguments) : plan ? inLine(plan.skill, plan.operation, plan.arguments) : '';
  const isNone = !title && (story.reason === 'none' || story.routes.length > 0);
  return html`
    <details class=${`trace ${going ? 'going' : ''}`} open=${opened.value} onToggle=${(event) => { opened.value = event.currentTarget.open; }}>
      <summary><${Icon} name="skill" />
        <span class="trace-title">${title || (isNone ? t('skills.none_fits') : t('skills.now_route'))}</span>
        ${going && html`<span class="shimmer">${nowOf(story)}</span><${Clock} since=${`${story.order.length}.${Boolean(call?.observed)}`} />`}
        ${end && html`<span class=${`trace-end end-${story.reason}`}>${end}</span>`}
        <${Icon} name="down" /></summary>
      ${opened.value && html`<${Stages} story=${story} waits=${waits} />`}
    </details>
    ${going && given && html`<p class="trace-given quiet">${given}</p>`}`;
}
