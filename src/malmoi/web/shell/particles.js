/** Which form of a Korean particle follows a word. */

/** The forms behind a final consonant and behind a vowel, by how both are written together. */
const FORMS = /** @type {Record<string, [string, string]>} */ ({
  '을(를)': ['을', '를'], '은(는)': ['은', '는'], '이(가)': ['이', '가'], '과(와)': ['과', '와'], '(으)로': ['으로', '로'],
});
// How digits end when they are read aloud: 영, 일, 이, 삼, 사, 오, 육, 칠, 팔, 구.
const DIGITS = ['ㅇ', 'ㄹ', '', 'ㅁ', '', '', 'ㄱ', 'ㄹ', 'ㄹ', ''];

/** The consonant that a word ends in: '' for none, '?' where nobody knows how it is read. @param {string} word */
function finalOf(word) {
  const last = word.normalize('NFC').replace(/[^\p{L}\p{N}]+$/u, '').slice(-1);
  if (/[가-힣]/.test(last)) {
    const tail = (last.charCodeAt(0) - 0xAC00) % 28;
    return tail === 0 ? '' : tail === 8 ? 'ㄹ' : 'ㅇ';
  }
  return /[0-9]/.test(last) ? DIGITS[Number(last)] : '?';
}

/**
 * The form of `pair` that follows `word`; both forms as they are where its sound is not known.
 * @param {string} word
 * @param {string} pair such as "을(를)"
 */
export function particleOf(word, pair) {
  const forms = FORMS[pair];
  const final = finalOf(word);
  if (!forms || final === '?') return pair;
  if (pair === '(으)로' && final === 'ㄹ') return forms[1];
  return final ? forms[0] : forms[1];
}
