"""How a model learns from examples in its prompt: do the labels of the examples matter?"""
