/** A run as it comes: events of the stream become what the page shows of each stage. */
import { ApiError, stream } from '../shell/api.js';
import { language } from '../shell/i18n.js';

/**
 * @typedef {{skill: string, operation: string, title: string, arguments: Record<string, any>, sources: Record<string, string>,
 *   missing: string[], question: string}} Plan
 * @typedef {{call_id: string, skill: string, operation: string, title: string, arguments: Record<string, any>, arguments_hash: string}} Call
 * @typedef {{runId: string, routed: any, plan: Plan|null, confirm: Call|null, called: Call|null, observed: any, text: string,
 *   asked: string, reason: string, calls: Call[]}} Run All calls are in `calls`, made or waiting for a yes; the last of each stage stands by itself.
 */

/** @returns {Run} */
export const emptyRun = () => ({ runId: '', routed: null, plan: null, confirm: null, called: null, observed: null, text: '', asked: '', reason: '', calls: [] });

/** The calls of a run with one more, or with one that was waiting. @param {Run} run @param {Call} call */
const withCall = (run, call) => [...run.calls.filter((one) => one.call_id !== call.call_id), call];

/** The run after one more event. @param {Run} run @param {string} event @param {any} data @returns {Run} */
export function step(run, event, data) {
  if (event === 'run') return { ...run, runId: data.run_id, confirm: null };
  if (event === 'routed') return run.routed ? run : { ...run, routed: data };
  if (event === 'planned') return { ...run, plan: data };
  if (event === 'confirm') return { ...run, confirm: data, calls: withCall(run, data) };
  if (event === 'called') return { ...run, called: data, calls: withCall(run, data) };
  if (event === 'observed') return { ...run, observed: data };
  if (event === 'text') return { ...run, text: run.text + data.text };
  if (event === 'asked') return { ...run, asked: data.question };
  if (event === 'ended') return { ...run, reason: data.reason };
  return run;
}

/** What a run needs to know of the person. */
export const here = () => ({ language: language.value, zone: Intl.DateTimeFormat().resolvedOptions().timeZone ?? '' });

/**
 * Follow a run to its end, or to its question.
 * @param {string} address @param {unknown} body @param {(run: Run) => void} onChange @param {AbortSignal} [signal]
 * @returns {Promise<Run>}
 */
export async function follow(address, body, onChange, signal) {
  let run = emptyRun();
  for await (const { event, data } of stream('POST', address, body, signal)) {
    if (event === 'error') throw new ApiError(400, data.error ?? {});
    run = step(run, event, data);
    onChange(run);
  }
  return run;
}
