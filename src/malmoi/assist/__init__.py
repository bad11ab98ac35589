"""What the apps and the gateway build on: the guard that every answer can pass through."""
