"""What a run costs: parameters, operations, memory, time."""
