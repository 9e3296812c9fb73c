"""What stands between the dashboard and whoever asks it for something."""
