"""Finds faults in template sources without running them."""
