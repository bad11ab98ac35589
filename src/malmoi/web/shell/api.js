/** Calls to the server: JSON in, JSON out, errors as one class that says what to do. */
import { eventsOf } from './sse.js';

/** An answer that is not a success, or no answer at all (`status` 0). */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {{code?: string, message?: string, fix?: string, field?: string|null}} detail
   * @param {number|null} [retryAfter] seconds
   */
  constructor(status, detail, retryAfter = null) {
    super(detail.message || `HTTP ${status}`);
    this.status = status;
    this.code = detail.code || (status === 0 ? 'offline' : `http_${status}`);
    this.fix = detail.fix || '';
    this.field = detail.field ?? null;
    this.retryAfter = retryAfter;
  }
}

let csrf = '';
let onSignedOut = () => {};

/** Remember the token that unsafe requests must carry. @param {string} token */
export function useCsrf(token) {
  csrf = token;
}

/** Say what happens when the session has ended. @param {() => void} listener */
export function whenSignedOut(listener) {
  onSignedOut = listener;
}

/**
 * @param {string} method
 * @param {string} path under /api, such as "/chat/folders"
 * @param {{body?: unknown, signal?: AbortSignal, accept?: string}} [options]
 * @returns {Promise<Response>}
 */
export async function request(method, path, { body, signal, accept = 'application/json' } = {}) {
  /** @type {Record<string, string>} */
  const headers = { Accept: accept };
  if (method !== 'GET') headers['X-Malmoi-CSRF'] = csrf;
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  let response;
  try {
    response = await fetch(`/api${path}`, {
      method, headers, signal, credentials: 'same-origin', cache: 'no-store',
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, { code: 'offline', message: String(error) });
  }
  if (response.ok) return response;
  const detail = await response.json().then((answer) => answer.error ?? {}, () => ({}));
  if (response.status === 401 && path !== '/session') onSignedOut();
  const after = Number.parseInt(response.headers.get('Retry-After') ?? '', 10);
  throw new ApiError(response.status, detail, Number.isFinite(after) ? after : null);
}

/** @param {string} method @param {string} path @param {unknown} [body] @returns {Promise<any>} */
async function json(method, path, body) {
  const response = await request(method, path, { body });
  return response.status === 204 || response.headers.get('Content-Length') === '0' ? null : response.json();
}

/** @param {string} path */
export const get = (path) => json('GET', path);
/** @param {string} path @param {unknown} [body] */
export const post = (path, body) => json('POST', path, body);
/** @param {string} path @param {unknown} body */
export const put = (path, body) => json('PUT', path, body);
/** @param {string} path @param {unknown} body */
export const patch = (path, body) => json('PATCH', path, body);
/** @param {string} path */
export const remove = (path) => json('DELETE', path);

/**
 * Send a file as it is. `fetch` does not tell how much of a body has left; this does.
 * @param {string} path
 * @param {Blob} file
 * @param {{onProgress?: (share: number) => void, signal?: AbortSignal}} [options]
 * @returns {Promise<any>}
 */
export function upload(path, file, { onProgress = () => {}, signal } = {}) {
  return new Promise((resolve, reject) => {
    const sending = new XMLHttpRequest();
    sending.open('POST', `/api${path}`);
    sending.responseType = 'json';
    sending.setRequestHeader('Accept', 'application/json');
    sending.setRequestHeader('Content-Type', 'application/octet-stream');
    sending.setRequestHeader('X-Malmoi-CSRF', csrf);
    sending.upload.onprogress = (event) => { if (event.lengthComputable) onProgress(event.loaded / event.total); };
    sending.onload = () => {
      if (sending.status >= 200 && sending.status < 300) { resolve(sending.response); return; }
      if (sending.status === 401) onSignedOut();
      const after = Number.parseInt(sending.getResponseHeader('Retry-After') ?? '', 10);
      reject(new ApiError(sending.status, sending.response?.error ?? {}, Number.isFinite(after) ? after : null));
    };
    sending.onerror = () => reject(new ApiError(0, { code: 'offline' }));
    sending.onabort = () => reject(new DOMException('stopped', 'AbortError'));
    signal?.addEventListener('abort', () => sending.abort());
    sending.send(file);
  });
}

/**
 * The events that a request answers with.
 * @param {'GET'|'POST'} method
 * @param {string} path
 * @param {unknown} [body]
 * @param {AbortSignal} [signal]
 */
export async function* stream(method, path, body, signal) {
  const response = await request(method, path, { body, signal, accept: 'text/event-stream' });
  yield* eventsOf(response);
}

/**
 * Turn an error into what a person reads: what happened, what to do.
 * @param {unknown} error
 * @param {(key: string, values?: Record<string, string|number>) => string} t
 * @returns {{text: string, fix: string, retryAfter: number|null}}
 */
export function explain(error, t) {
  if (!(error instanceof ApiError)) return { text: t('error.unexpected'), fix: String(error), retryAfter: null };
  const { status, retryAfter } = error;
  if (status === 0) return { text: t('error.offline'), fix: t('error.offline_fix'), retryAfter: null };
  if (status === 429) return { text: t('error.busy'), fix: '', retryAfter: retryAfter ?? 5 };
  if (status === 503) return { text: t('error.starting'), fix: '', retryAfter: retryAfter ?? 5 };
  if (status >= 500) return { text: t('error.server'), fix: error.fix || error.message, retryAfter };
  return { text: error.message, fix: error.fix, retryAfter };
}
