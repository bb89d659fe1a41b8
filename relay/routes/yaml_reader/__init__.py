"""Read YAML into nodes with positions, and nodes into plain values, with a fault for everything that is wrong."""
