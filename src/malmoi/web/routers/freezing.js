/** Make a version of a router as it is saved, and open it. */
import { post } from '../shell/api.js';
import { t } from '../shell/i18n.js';
import { navigate } from '../shell/router.js';
import { notify } from '../shell/notices.js';
import { current, path, refresh } from './store.js';

/** @param {string} id */
export async function freeze(id) {
  const before = current.value?.versions ?? 0;
  const made = await post(path(id, '/versions'));
  await refresh(id);
  navigate(`/routers/${id}/versions?v=${made.number}`);
  notify(current.value?.versions === before ? t('routers.frozen_already', { n: made.number }) : t('routers.frozen', { n: made.number }));
}
