"""From files of events to logs: a typed schema, bad rows counted and kept, larger than memory."""
