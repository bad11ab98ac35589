/** Hand over a router, or a version of it, as a file. */
import { request } from '../shell/api.js';
import { saveFile } from '../shell/save-file.js';
import { path } from './store.js';

/** @param {import('./store.js').Router} router @param {'json'|'jsonl'} format @param {number|null} [version] */
export async function exportRouter(router, format, version = null) {
  const answer = await request('GET', path(router.id, `/export?format=${format}${version ? `&version=${version}` : ''}`), { accept: '*/*' });
  saveFile(await answer.blob(), `${router.name}${version ? `-v${version}` : ''}.${format}`);
}
