/** A model that is being fetched or could be: the button, the progress, and what to do after a failure. */
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { bytes, duration, number } from '../shell/format.js';
import { cancelDownload, downloadModel } from '../shell/state.js';
import { attempt } from '../shell/notices.js';
import { Icon } from '../shell/icons.js';

/** @param {{model: import('../shell/state.js').Model, primary?: boolean}} props */
export function DownloadState({ model, primary = false }) {
  const { state, download } = model;
  const start = () => attempt(() => downloadModel(model.name));
  if (state === 'downloading') return html`<${Progress} model=${model} />`;
  if (state === 'available' && !download?.error) {
    return html`<button type="button" class=${`button small ${primary ? 'primary' : ''}`} onClick=${start}>
      <${Icon} name="download" />${t('model.download', { size: bytes(model.size_bytes) })}</button>`;
  }
  if (download?.error) {
    return html`<div class="banner error" role="alert"><${Icon} name="alert" />
      <div>${download.error.code === 'download_failed'
        ? html`<strong>${t('model.download_failed')}</strong><span>${t('model.download_failed_fix')}</span><small>${download.error.message} ${download.error.fix}</small>`
        : html`<strong>${download.error.message}</strong><span>${download.error.fix}</span>`}
        ${download.done_bytes > 0 && html`<span>${t('model.kept', { size: bytes(download.done_bytes) })}</span>`}</div>
      <button type="button" class="button small" onClick=${start}>${download.done_bytes > 0 ? t('model.resume') : t('action.retry')}</button></div>`;
  }
  if (model.error) {
    return html`<div class="banner error" role="alert"><${Icon} name="alert" /><div><strong>${model.error.message}</strong><span>${model.error.fix}</span></div></div>`;
  }
  return null;
}

/** @param {{model: import('../shell/state.js').Model}} props */
function Progress({ model }) {
  const { stage = 'download', done_bytes = 0, total_bytes = model.size_bytes, bytes_per_second = 0 } = model.download ?? {};
  const left = bytes_per_second > 0 && total_bytes > done_bytes ? (total_bytes - done_bytes) / bytes_per_second : null;
  const percent = total_bytes ? Math.floor((100 * done_bytes) / total_bytes) : 0;
  return html`
    <div class="progress">
      <div class="progress-line"><span>${t(`model.stage_${stage}`)}</span><span>${number(percent)}%</span></div>
      <progress max="1" value=${total_bytes ? done_bytes / total_bytes : undefined} aria-label=${t('model.progress', { model: model.title })}></progress>
      <div class="progress-line quiet">
        <span>${bytes(done_bytes)} / ${bytes(total_bytes)}${bytes_per_second > 0 ? ` · ${bytes(bytes_per_second)}/s` : ''}</span>
        <span>${left === null ? '' : t('time.left', { time: duration(left) })}</span></div>
      <button type="button" class="link" onClick=${() => attempt(() => cancelDownload(model.name))}>${t('model.cancel')}</button>
    </div>`;
}
