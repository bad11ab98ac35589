"""Understand users by what they did: representations, recommendation, graphs.

Behaviour is text: every event of every service is a short sentence, so that a user is a list of texts, and
one model serves a shop, a travel site and a library alike, also for people and items that it has never seen.
"""
