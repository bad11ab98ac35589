"""Skills: what a model can have done for it, under the eyes of the person it works for."""
