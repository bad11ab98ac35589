/** Runs of skills: their stages as they come or as they were kept, and what these add up to. */
import { signal } from '@preact/signals';
import { get } from '../shell/api.js';

/**
 * Something that happened in a run.
 * @typedef {{number: number, kind: string, data: any, at?: string}} Stage
 */
/** @typedef {{status: 'loading'|'ready'|'failed', stages: Stage[]}} Run */
/**
 * One call, from the question before it to what came of it.
 * @typedef {object} Call
 * @property {string} id
 * @property {string} skill
 * @property {string} operation
 * @property {string} title
 * @property {Record<string, any>} arguments
 * @property {any} confirm what waits, or has waited, for a yes
 * @property {boolean} denied
 * @property {any} called
 * @property {any} observed
 */
/**
 * @typedef {object} Story
 * @property {any[]} routes
 * @property {any[]} plans the newest of each operation
 * @property {Call[]} calls
 * @property {{skill: string, card: any}[]} cards
 * @property {{skill: string, id: string, name: string, media_type: string, size: number}[]} files
 * @property {any} asked
 * @property {string[]} sources whose words the answer is: skill, model or runner
 * @property {string} reason why the run ended; empty: it goes on
 * @property {number} seconds
 * @property {number} tokens
 * @property {number} cached
 * @property {{kind: string, at: any}[]} order stages in the order in which they are told
 */

const MOST = 100;
/** @type {Map<string, import('@preact/signals').Signal<Run>>} */
const known = new Map();

/** A run that is kept by the server; it is fetched when somebody first asks. @param {string} id */
export function runOf(id) {
  let run = known.get(id);
  if (!run) {
    run = signal(/** @type {Run} */ ({ status: 'loading', stages: [] }));
    keep(id, run);
    fetchRun(id, run);
  }
  return run;
}

/** The stages of a run that the page has already; nothing is fetched. @param {string|null|undefined} id */
export const stagesSeen = (id) => (id && known.get(id)?.peek().stages) || [];

/** @param {string} id @param {import('@preact/signals').Signal<Run>} run */
function keep(id, run) {
  known.set(id, run);
  if (known.size > MOST) known.delete(/** @type {string} */ (known.keys().next().value));
}

/** @param {string} id @param {import('@preact/signals').Signal<Run>} run */
function fetchRun(id, run) {
  get(`/skills/runs/${encodeURIComponent(id)}`).then(
    (trace) => { run.value = { status: 'ready', stages: trace.stages }; },
    () => { run.value = { ...run.peek(), status: 'failed' }; });
}

/** Fetch a run again. @param {string} id */
export function refetchRun(id) {
  const run = known.get(id);
  if (run) fetchRun(id, run);
  else runOf(id);
}

/** Keep what has been seen of a run, so that nothing need be fetched. @param {string} id @param {Stage[]} stages */
export function noteRun(id, stages) {
  const run = known.get(id);
  if (run) run.value = { status: 'ready', stages };
  else keep(id, signal(/** @type {Run} */ ({ status: 'ready', stages })));
}

/** All cards that the page has seen, newest run first. @returns {{skill: string, card: any}[]} */
export function seenCards() {
  return [...known.values()].reverse().flatMap((run) => storyOf(run.peek().stages).cards);
}

/**
 * Stages with one more; pieces of the answer become one, and a stage that comes again takes its own place.
 * @param {Stage[]} stages @param {Stage} stage @returns {Stage[]}
 */
export function withStage(stages, stage) {
  const at = stages.findIndex((one) => one.number === stage.number);
  if (at < 0) return [...stages, { at: new Date().toISOString(), ...stage }];
  if (stage.kind !== 'text' || stages[at].kind !== 'text') return stages;
  const joined = { ...stages[at], data: { ...stages[at].data, text: stages[at].data.text + stage.data.text } };
  return [...stages.slice(0, at), joined, ...stages.slice(at + 1)];
}

/** What the stages of a run add up to. @param {Stage[]} stages @returns {Story} */
export function storyOf(stages) {
  /** @type {Story} */
  const story = { routes: [], plans: [], calls: [], cards: [], files: [], asked: null, sources: [], reason: '', seconds: 0, tokens: 0, cached: 0, order: [] };
  /** @param {any} data @returns {Call} */
  const callOf = (data) => {
    let call = story.calls.find((one) => one.id === data.call_id);
    if (!call) {
      call = { id: data.call_id, skill: data.skill ?? '', operation: data.operation ?? '', title: data.title ?? '', arguments: data.arguments ?? {}, confirm: null, denied: false, called: null, observed: null };
      story.calls.push(call);
      story.order.push({ kind: 'call', at: call });
    }
    return call;
  };
  for (const { kind, data, at } of [...stages].sort((one, other) => one.number - other.number)) {
    if (kind !== 'ended' && kind !== 'run') story.reason = '';
    if (kind === 'routed') {
      story.routes.push(data);
      story.order.push({ kind: 'route', at: data });
    } else if (kind === 'planned') {
      story.plans.push(data);
      story.order.push({ kind: 'plan', at: data });
    } else if (kind === 'confirm') callOf(data).confirm = { ...data, at };
    else if (kind === 'denied') { callOf(data).denied = true; story.reason = 'denied'; }
    else if (kind === 'called') callOf(data).called = data;
    else if (kind === 'observed') callOf(data).observed = data;
    else if (kind === 'card') story.cards.push({ skill: data.skill, card: data.card });
    else if (kind === 'file') story.files.push({ skill: data.skill, id: data.file_id, name: data.name, media_type: data.media_type, size: data.size });
    else if (kind === 'asked') { story.asked = data; story.order.push({ kind: 'ask', at: data }); }
    else if (kind === 'text') {
      if (!story.sources.includes(data.source)) story.sources.push(data.source);
    } else if (kind === 'aborted') story.reason = data.reason || 'aborted';
    else if (kind === 'ended') {
      story.reason = data.reason;
      story.seconds += data.seconds ?? 0;
      story.tokens = Math.max(story.tokens, (data.prompt_tokens ?? 0) + (data.completion_tokens ?? 0));
      story.cached = Math.max(story.cached, data.cached_tokens ?? 0);
    }
  }
  return story;
}

/** The call that waits for a yes, if one does. @param {Story} story @returns {Call|null} */
export const waitingCall = (story) => story.calls.findLast((call) => call.confirm && !call.called && !call.denied) ?? null;
