/** A text of which some parts are marked. */
import { html } from '../shell/view.js';
import { cut } from './spans.js';

/** @param {{text: string, ranges: [number, number][]}} props */
export function Marked({ text, ranges }) {
  if (!ranges.length) return text;
  return cut(text, ranges).map((piece, place) => (piece.marked ? html`<mark key=${place}>${piece.text}</mark>` : piece.text));
}
