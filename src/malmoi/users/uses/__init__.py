"""Four uses of user models, each shown from logs to a figure on a simulated company.

booking    who among new customers will book, by what they did elsewhere
audience   whom to send a message, from a few who answered one
webtoons   which webtoons to show, to people known from other services
new-shop   which products of a shop to show whose products were in no training data
"""

from malmoi.users.uses.setting import USES, Row, Use, UseResult, run_use

__all__ = ["USES", "Row", "Use", "UseResult", "run_use"]
