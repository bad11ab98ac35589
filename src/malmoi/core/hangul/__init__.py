"""Korean text: syllables and their letters, particles, numbers, and terms to search by. Pure functions."""

from malmoi.core.hangul.letters import (
    LEADS,
    TAILS,
    VOWELS,
    Jamo,
    choseong,
    compose,
    decompose,
    is_hangul,
    is_syllable,
    nfc,
)
from malmoi.core.hangul.numbers import parse_number, read_count, read_digits, read_native, read_number
from malmoi.core.hangul.particles import final_consonant, has_batchim, particle, with_particle
from malmoi.core.hangul.terms import bigrams, fold, is_cjk, words

__all__ = [
    "LEADS",
    "TAILS",
    "VOWELS",
    "Jamo",
    "bigrams",
    "choseong",
    "compose",
    "decompose",
    "final_consonant",
    "fold",
    "has_batchim",
    "is_cjk",
    "is_hangul",
    "is_syllable",
    "nfc",
    "parse_number",
    "particle",
    "read_count",
    "read_digits",
    "read_native",
    "read_number",
    "with_particle",
    "words",
]
