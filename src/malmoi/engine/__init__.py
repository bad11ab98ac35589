"""Run a model: one protocol, several engines, the catalog of models, chat templates and output parsers."""
