"""Ways to start N workers, and nothing else: in this process, or in processes of their own on this host."""
