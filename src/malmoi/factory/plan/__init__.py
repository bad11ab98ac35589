"""What a training will take: time, memory, layout, energy and cost, from stated equations."""
