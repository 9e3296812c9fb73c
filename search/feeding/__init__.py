"""What workers and exports leave for the dashboard: notes, pictures, rounded values."""
