"""How well skills are found and planned: queries with what is right for them, and the shares that get it."""
