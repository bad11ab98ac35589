"""The gateway: HTTP APIs, identity, limits, metering, database, and the seam that apps plug into."""
