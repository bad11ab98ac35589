"""A small server to try skills against: places, rental cars and weather, with sample prices.

Nothing here is sold and no weather is forecast: places are real and public, all else is made up and says so
(`"sample": true`). It is there so that travel and car rental work without a network, end to end.
"""

from malmoi.assist.skills.sandbox_server.app import openapi_documents, sandbox_app
from malmoi.assist.skills.sandbox_server.tokens import account_token

__all__ = ["account_token", "openapi_documents", "sandbox_app"]
