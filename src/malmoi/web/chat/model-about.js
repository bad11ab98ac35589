/** What a model is good for, in the chosen language where the interface knows the model. */
import { has, t } from '../shell/i18n.js';

/** @param {import('../shell/state.js').Model} model @returns {string} */
export function about({ name, description }) {
  return description && has(`model.about_${name}`) ? t(`model.about_${name}`) : description;
}
