"""Read YAML into nodes with positions, and nodes into plain values, with a fault for everything that is wrong.

parse ..... text to nodes, and all faults of its syntax
repair .... repairs a fault, so that those after it are found
hints ..... what YAML makes of a text in another way than its writer meant
nodes ..... the nodes
scalars ... nodes to text, booleans, durations, choices and lists
context ... what the parser knows so far, and its faults
"""
