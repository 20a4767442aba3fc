"""A run as a live page on this machine: texts and programs of one's own, tried on the model as one types."""
