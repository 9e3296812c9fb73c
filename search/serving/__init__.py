"""The dashboard for others than its author: who may ask it, for what, and what it may touch."""
